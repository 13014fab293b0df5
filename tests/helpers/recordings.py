"""Sound to read, write and train on, and disks that are full or cannot be written."""

import contextlib
import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 16000


def tone(n: int = RATE, hz: float = 440.0, rate: int = RATE) -> np.ndarray:
    """float32 (n,), amplitude 1/2"""
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(n) / rate)).astype(np.float32)


def record(path, audio=None, rate=RATE, **how):
    """Writes audio, or a second of a tone, as soundfile would, with missing folders; the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone() if audio is None else audio, rate, **how)
    return path


def two_tones(folder):
    """Two recordings of a tone; the folder."""
    for name in ("a.wav", "b.wav"):
        record(folder / name, tone(2000))
    return folder


@contextlib.contextmanager
def full_disk(room: int):
    """Within it no file can grow beyond `room` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def mounted(folder, options: str):
    """A file system in memory; skips the test where it cannot be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system in memory cannot be mounted: needs root and mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@contextlib.contextmanager
def nobody():
    """Within it root is an ordinary user, whom permissions concern; others are that already."""
    before = os.geteuid()
    os.seteuid(before or 65534)
    try:
        yield
    finally:
        os.seteuid(before)


@contextlib.contextmanager
def public_folder():
    """A folder that nobody may enter too, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


def noise(n: int, seed: int = 0, amplitude: float = 0.1) -> np.ndarray:
    """float32 (n,), normally distributed."""
    return (amplitude * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def alternating(seconds, seed):
    """Stretches of 0.1 s, each of noise or silence by chance, which the frames show in advance."""
    rng = np.random.default_rng(seed)
    stretches = [rng.uniform(-0.5, 0.5, 1600) * rng.integers(2) for _ in range(round(10 * seconds))]
    return np.concatenate(stretches).astype(np.float32)
