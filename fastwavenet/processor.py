"""The name of the CPU, beside measurements of time."""

from __future__ import annotations

import platform
from pathlib import Path


def cpu_name() -> str:
    """As the system states it; else that of the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
