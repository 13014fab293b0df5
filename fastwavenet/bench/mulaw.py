"""mu-law at 256 levels: the engine against numpy and PyTorch, float32 to codes and back."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from .. import reference
from ..instruction_sets import available_isas
from ..mulaw import mu_law_decode, mu_law_encode
from .measure import Refused, measure
from .peer import NotAvailable

MU = 255
SAMPLES = 2**20  # a minute at 16 kHz
TABLE_STEPS = 2**15  # amplitudes of the encoder's table, per unit

Coder = Callable[[np.ndarray], np.ndarray]


def rows(seconds: float) -> list[dict]:
    """For each direction and contender: direction, name, kind, lost, samples_per_second, ratio.

    Raises Refused if a contender's codes or amplitudes are wrong.
    """
    audio = np.random.default_rng(2).uniform(-1, 1, SAMPLES).astype(np.float32)
    codes = mu_law_encode(audio)
    encoders, decoders = encoders_for(audio), decoders_for(codes)
    check_encoders(encoders, audio)
    check_decoders(decoders)
    return [
        *_timed("encode", encoders, audio, seconds),
        *_timed("decode", decoders, codes, seconds),
    ]


def encode_formula(audio: np.ndarray) -> np.ndarray:
    x = np.clip(audio, -1, 1)
    c = np.sign(x) * np.log1p(MU * np.abs(x)) / np.float32(math.log1p(MU))
    return np.floor((c + 1) / 2 * MU + np.float32(0.5)).astype(np.uint8)


def decode_formula(codes: np.ndarray) -> np.ndarray:
    c = (2 * codes.astype(np.float32) - MU) / MU
    return np.sign(c) * np.expm1(np.float32(math.log1p(MU)) * np.abs(c)) / MU


def encode_table() -> Coder:
    """Amplitudes rounded to 16 bits choose from a table: exact but within half a step."""
    steps = np.arange(-TABLE_STEPS, TABLE_STEPS + 1)
    table = reference.mu_law_encode(steps / TABLE_STEPS).astype(np.uint8)

    def encode(audio: np.ndarray) -> np.ndarray:
        index = np.rint(audio * np.float32(TABLE_STEPS)).astype(np.int32)
        return table.take(index + TABLE_STEPS, mode="clip")

    return encode


def decode_table() -> Coder:
    return reference.mu_law_decode(np.arange(256)).astype(np.float32).take


def encoders_for(audio: np.ndarray) -> dict[str, Coder | str]:
    from . import torch_mulaw

    return _coders(encode_formula, encode_table(), torch_mulaw.encode, mu_law_encode, audio)


def decoders_for(codes: np.ndarray) -> dict[str, Coder | str]:
    from . import torch_mulaw

    return _coders(decode_formula, decode_table(), torch_mulaw.decode, mu_law_decode, codes)


def _coders(
    formula: Coder, table: Coder, in_torch: Callable, ours: Callable, example: np.ndarray
) -> dict[str, Coder | str]:
    """Contender -> function, or why there is none."""
    from . import torch_mulaw

    return {
        "numpy, formula": formula,
        "numpy, table": table,
        "PyTorch": torch_mulaw.eager(in_torch),
        "torch.compile": _compiled(in_torch, example),
        **{f"fastwavenet, {isa}": functools.partial(ours, isa=isa) for isa in available_isas()},
    }


def _compiled(function: Callable, example: np.ndarray) -> Coder | str:
    """The compiled function, or why there is none."""
    from . import torch_mulaw

    try:
        return torch_mulaw.compiled(function, example)
    except NotAvailable as reason:
        return str(reason)


def check_encoders(encoders: dict[str, Coder | str], audio: np.ndarray) -> None:
    """Codes must be the float64 formula's of an amplitude that is at most `slack` away."""
    for name, encode in encoders.items():
        if callable(encode):
            slack = 0.5 / TABLE_STEPS + 1e-6 if "table" in name else 1e-6
            found = encode(audio)
            low = reference.mu_law_encode(audio.astype(np.float64) - slack)
            high = reference.mu_law_encode(audio.astype(np.float64) + slack)
            wrong = np.flatnonzero((found < low) | (found > high))
            if wrong.size:
                i = wrong[0]
                code = reference.mu_law_encode(audio[i])
                raise Refused(f"mu-law, {name}: {audio[i]} is code {code}, not {found[i]}")


def check_decoders(decoders: dict[str, Coder | str]) -> None:
    codes = np.arange(256, dtype=np.uint8)
    expected = reference.mu_law_decode(codes)
    for name, decode in decoders.items():
        if callable(decode) and not np.abs(decode(codes) - expected).max() <= 1e-6:
            raise Refused(f"mu-law, {name}: an amplitude is more than 1e-6 off the formula")


def _timed(
    direction: str, coders: dict[str, Coder | str], argument: np.ndarray, seconds: float
) -> list[dict]:
    work = {
        name: functools.partial(_repeat, coder, argument)
        for name, coder in coders.items()
        if callable(coder)
    }
    measured = measure(work, seconds)
    rates = {name: len(argument) * rate for name, rate in measured.rates.items()}
    fastest = max(rate for name, rate in rates.items() if not name.startswith("fastwavenet"))
    found: list[dict] = []
    for name, coder in coders.items():
        kind = "engine" if name.startswith("fastwavenet") else "peer"
        row = {"direction": direction, "name": name, "kind": kind, "lost": measured.lost}
        if callable(coder):
            rate = rates[name]
            found.append(row | {"samples_per_second": rate, "times_fastest_peer": rate / fastest})
        else:
            found.append(row | {"not_available": coder})
    return found


def _repeat(coder: Coder, argument: np.ndarray, n: int) -> None:
    for _ in range(n):
        coder(argument)
