"""fastwavenet info: sizes and cost of a model; without one, versions and CPU."""

from __future__ import annotations

import argparse
import platform
from importlib import metadata
from pathlib import Path

import soundfile

from .. import _engine
from .._version import __version__
from ..ends import FrameConditioning, Sampling
from ..instruction_sets import available_isas, isa
from ..model import Model
from ..precision import describe_precision_cost
from ..shown import shown
from ..spec import WaveNetSpec
from .arguments import add_command, path
from .models import MODEL, load_model, model_file
from .report import Report

PACKAGES = ("numpy", "soundfile", "soxr", "safetensors", "torch")
SHOWN_SPEAKERS = 20


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "describe a model file, or this installation",
        "fastwavenet info voice.safetensors",
    )
    option(
        "model",
        type=path,
        nargs="?",
        help=f"{MODEL}; without it: versions and CPU",
    )


def run(arguments: argparse.Namespace) -> int:
    report = Report(arguments)
    if arguments.model is None:
        facts = _installation()
        report.result(facts, *_lines({name: _text(value) for name, value in facts.items()}))
    else:
        model = load_model(arguments.model)
        facts = _model(model, model_file(arguments.model))
        report.result(facts, *_lines(_described(model.spec, facts)))
    return 0


def _installation() -> dict[str, object]:
    return {
        "fastwavenet": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **{name: _version(name) for name in PACKAGES},
        "libsndfile": soundfile.__libsndfile_version__,
        "isa": isa(),
        "available_isas": available_isas(),
        "built_with": _engine.build_info(),
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _model(model: Model, path: Path) -> dict[str, object]:
    spec, packed = model.spec, model.info()
    return {
        "file": str(path),
        "spec": spec.to_dict(),
        "precision": model.precision,
        "precision_cost": model.precision_cost,
        "receptive_field_samples": spec.receptive_field,
        "receptive_field_ms": 1000 * spec.receptive_field / spec.sample_rate,
        "weights": spec.weight_bytes() // 4,
        "weight_bytes": spec.weight_bytes(),
        "macs_per_sample": spec.macs_per_sample,
        "bytes_read_per_sample": packed["step_bytes"],
        "packed_bytes": packed["arena_bytes"],
        "huge_page_bytes": packed.get("huge_page_bytes"),
        "past_bytes_per_voice": spec.past_bytes,
        "bytes_per_voice": packed["voice_bytes"],
        "fingerprint": f"{packed['fingerprint']:016x}",
    }


def _conditioning(end: FrameConditioning | None) -> str:
    if end is None:
        return "none"
    parts = [_speakers(end.speakers)] if end.speakers else []
    if end.channels:
        features = f" ({end.described})" if end.described else ""
        every = f"{end.channels} numbers every {end.hop} samples, {end.interpolation}"
        if end.upsampling:
            every += f" after {len(end.upsampling)} learned stages, every {end.feature_hop} samples"
        parts.append(f"frames{features}: {every}")
    return "; ".join(parts)


def _speakers(names: tuple[str, ...]) -> str:
    more = ", ..." if len(names) > SHOWN_SPEAKERS else ""
    count = "1 speaker" if len(names) == 1 else f"{len(names)} speakers"
    return f"{count} ({', '.join(map(shown, names[:SHOWN_SPEAKERS]))}{more})"


def _sampling(own: Sampling) -> str:
    parts = [f"top_k {own.top_k or 'all'}"]
    for name in ("temperature", "min_p"):
        voiced = getattr(own.voiced, name, None)
        rule = "" if voiced is None else f", in voiced frames {voiced:g}"
        parts.append(f"{name} {getattr(own, name):g}{rule}")
    if own.voiced is not None:
        parts.append(f"voicing in channel {own.voiced.channel}")
    if own.quiet is not None:
        parts.append(f"temperature 0 where channel {own.quiet.channel} < {own.quiet.below:g}")
    return "; ".join(parts)


def _described(spec: WaveNetSpec, facts: dict) -> dict[str, str]:
    """For people: name -> text."""
    kernels = sorted(set(spec.kernel))
    return {
        "file": shown(Path(facts["file"])),
        "sample rate": f"{spec.sample_rate} Hz, {spec.levels} mu-law levels",
        "layers": f"{spec.layers}, kernel {_text(kernels)}, dilations {_runs(spec.dilations)}",
        "channels": f"residual {spec.residual}, dilation {spec.dilation_channels}, "
        f"skip {spec.skip}, head {spec.head}",
        "conditioning": _conditioning(spec.conditioning),
        "sampling": _sampling(spec.sampling),
        "receptive field": f"{spec.receptive_field} samples, {facts['receptive_field_ms']:.1f} ms",
        "weights": f"{facts['weights']:,} in {facts['weight_bytes']:,} bytes",
        "precision": f"{facts['precision']} ({_cost(facts['precision_cost'])})",
        "per sample": f"{spec.macs_per_sample:,} multiply-adds, "
        f"{facts['bytes_read_per_sample']:,} bytes read",
        "packed": f"{facts['packed_bytes']:,} bytes, {_huge(facts['huge_page_bytes'])}",
        "per voice": f"{facts['bytes_per_voice']:,} bytes",
        "fingerprint": facts["fingerprint"],
    }


def _cost(cost: dict[str, float]) -> str:
    if not cost:
        return "others were not measured: see fastwavenet export --measure"
    return f"against float32: {describe_precision_cost(cost)}"


def _huge(size: int | None) -> str:
    return "pages of unknown size" if size is None else f"{size:,} in huge pages"


def _runs(dilations: tuple[int, ...]) -> str:
    """1 2 4 1 2 4 as "2 x (1 2 4)"."""
    n = len(dilations)
    period = next(
        p for p in range(1, n + 1) if n % p == 0 and dilations == dilations[:p] * (n // p)
    )
    cycle = _text(list(dilations[:period]))
    return cycle if period == n else f"{n // period} x ({cycle})"


def _text(value: object) -> str:
    if value is None:
        return "not installed"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _lines(facts: dict[str, str]) -> list[str]:
    width = max(map(len, facts)) + 2
    return [f"{name.replace('_', ' '):{width}}{text}" for name, text in facts.items()]
