"""The name of the CPU, beside measurements of time."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

# Virtual machines often hide the product's name, but not the design: family, and Intel's models.
INTEL = {
    85: "Skylake or Cascade Lake",
    106: "Ice Lake",
    143: "Sapphire Rapids",
    173: "Granite Rapids",
    207: "Emerald Rapids",
}


def cpu_name() -> str:
    """As the system states it, with the design where that is known; else the architecture."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    return name_of(text) or platform.machine()


def name_of(cpuinfo: str) -> str:
    """The name of the first CPU in /proc/cpuinfo, as in "AMD EPYC (Zen 5)"; "" if it has none."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name, design = fields.get("model name", ""), _design(fields)
    return f"{name} ({design})" if name and design and design not in name else name


def _design(fields: Mapping[str, str]) -> str:
    vendor, family = fields.get("vendor_id"), fields.get("cpu family")
    if vendor == "AuthenticAMD":
        zen_4 = "avx512f" in fields.get("flags", "").split()
        return {"23": "Zen 2 or older", "25": "Zen 4" if zen_4 else "Zen 3", "26": "Zen 5"}.get(
            family or "", ""
        )
    if vendor == "GenuineIntel" and family == "6":
        return INTEL.get(int(fields.get("model", "0")), "")
    return ""
