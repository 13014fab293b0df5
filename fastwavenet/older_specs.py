"""Specs of model files of format versions 1 and 2, in the form of version 3."""

from __future__ import annotations

from typing import Any

from .shown import shown

SIZES = (
    "sample_rate", "levels", "residual", "dilation_channels", "skip", "head", "dilations",
    "kernel", "bias",
)  # fmt: skip
CODEC = ("mu", "encode_offset", "decode_offset", "decode_divisor")


def upgraded_spec(fields: object) -> object:
    """The JSON value `spec` of an older file in the form that `WaveNetSpec.from_dict` reads.

    Anything but a JSON object is returned as it is, to be refused there.
    Raises ValueError naming a field that those versions lack, or a kind that they did not have.
    """
    if not isinstance(fields, dict):
        return fields
    old = dict(fields)
    new = {name: old.pop(name) for name in SIZES if name in old}
    for name, kind in (("input", "codes"), ("output", "softmax"), ("start_state", "zeros")):
        _expect(name, old.pop(name, kind), kind)
    if "first_kernel" in old:
        new["input"] = {"kind": "codes", "taps": old.pop("first_kernel")}
    if "start_code" in old:
        new["start"] = {"kind": "code", "code": old.pop("start_code")}
    if "codec" in old:
        new["codec"] = _codec(old.pop("codec"))
    conditioning = old.pop("conditioning", None)
    if conditioning is not None:
        raise ValueError(f"conditioning {shown(conditioning)} is not supported by this version")
    if old:
        raise ValueError(f"unknown spec field {shown(next(iter(old)))}")
    return new


def _codec(fields: object) -> Any:
    """Those versions had mu steps: four numbers described a codec."""
    if not isinstance(fields, dict):
        return fields
    unknown = [name for name in fields if name not in CODEC]
    if unknown:
        raise ValueError(f"unknown codec field {shown(unknown[0])}")
    steps = {"steps": fields["mu"]} if "mu" in fields else {}
    return {"kind": "mu-law"} | fields | steps


def _expect(name: str, value: object, known: str) -> None:
    if value != known:
        raise ValueError(f"{name} {shown(value)} is not supported by this version, only {known!r}")
