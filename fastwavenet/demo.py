"""The first minute: train on the bundled clip, export, generate, compare speeds, draw a picture."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np

from .activity import Activity
from .atomic import check_folder, check_target
from .audio import read_audio, write_audio
from .generator import Generator, generate
from .model import Model, load

CLIP = "arctic_a0009.flac"
SECONDS, SEED = 4.0, 7


def run_demo(output: Path, minutes: float = 1.0) -> None:
    """Writes voice.safetensors, out.wav, picture.png, table.txt and the run folder to `output`.

    Needs the `train` and `plot` extras.  Raises OSError if a file cannot be written.
    """
    import matplotlib  # noqa: F401  a missing one is an error before a minute is gone

    from .training import train

    _make_folder(output)
    run = output / "run"
    shutil.rmtree(run, ignore_errors=True)
    with resources.as_file(resources.files("fastwavenet") / "data" / CLIP) as clip:
        original, rate = read_audio(clip)
        print(f"Training for {minutes:g} min on {len(original) / rate:.1f} s of speech ({CLIP})")
        train(clip, run, preset="tiny", minutes=minutes)
    shutil.copyfile(run / "model.safetensors", output / "voice.safetensors")

    model = load(output / "voice.safetensors")
    audio = generate(model, seconds=SECONDS, seed=SEED)
    write_audio(output / "out.wav", audio, rate)
    print(f"Generated {SECONDS:g} s in {model.precision}")
    activity = Activity(1, rate)
    activity.add(audio[None])
    if activity.still_voices():
        print(f"{activity.share():.0%} of it is silent: train longer (--minutes)")

    print("\nSamples per second, one thread:")
    table = speed_table(model, output / "voice.safetensors")
    (output / "table.txt").write_text(table + "\n")
    print(table)
    _draw(output, original, audio, rate)
    print(f"\nIn {output}/: out.wav (listen), picture.png (look), voice.safetensors (the model)")
    print(f"Next: fastwavenet generate {output}/voice.safetensors -o more.wav --seconds 10")


def _make_folder(output: Path) -> None:
    """Raises OSError, before the work, if a result cannot be written there."""
    check_folder(output)
    output.mkdir(parents=True, exist_ok=True)
    for name in ("voice.safetensors", "out.wav", "picture.png", "table.txt"):
        check_target(output / name)


def speed_table(model: Model, path: Path) -> str:
    """Naive PyTorch, queued PyTorch and the engine on the same network, as text."""
    import torch

    from .bench.torch_generate import generate_naive, generate_queued
    from .training import load_model

    module = load_model(path)
    prime = torch.full((1, model.spec.receptive_field), model.spec.start.code)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [
            ("PyTorch, naive", _speed(lambda n: generate_naive(module, n, prime=prime), 8)),
            ("PyTorch, queued", _speed(lambda n: generate_queued(module, n), 256)),
        ]
    finally:
        torch.set_num_threads(threads)
    gen = Generator(model, seed=SEED)
    rows.append((f"fastwavenet ({gen.isa}, {model.precision})", _speed(gen.generate, 4096)))
    lines = [f"{'':32}{'samples/s':>12}{'x real time':>14}"]
    for name, speed in rows:
        lines.append(f"{name:32}{speed:12,.0f}{speed / model.sample_rate:14.3f}")
    return "\n".join(lines)


def _speed(generate_n: Callable[[int], object], n: int, seconds: float = 2.0) -> float:
    """Samples per second: the best of the runs that fit into `seconds`, after one to warm up."""
    generate_n(n)
    best, end = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        generate_n(n)
        best = min(best, time.perf_counter() - start)
    return n / best


def _draw(output: Path, original: np.ndarray, generated: np.ndarray, rate: int) -> None:
    from .plots import save_comparison

    log = [json.loads(line) for line in (output / "run" / "log.jsonl").read_text().splitlines()]
    sounds = {
        f"original ({CLIP})": original,
        f"generated (seed {SEED})": generated,
    }
    save_comparison(output / "picture.png", sounds, rate, log)
