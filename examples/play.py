"""Plays what a model generates until Ctrl-C.

    python examples/play.py voice.safetensors [seed]

Needs sounddevice (pip install sounddevice), and a model that generates faster than real time.
"""

from __future__ import annotations

import sys
import threading

import numpy as np

import fastwavenet as fw

BLOCK = 512  # samples generated at once


class Ring:
    """float32 samples between a thread that writes and a thread that reads; neither waits."""

    def __init__(self, size: int):
        self.samples = np.zeros(size, np.float32)
        self.written = self.taken = 0  # since the beginning; each is changed by one thread only

    def room(self) -> int:
        """How many samples may be written now."""
        return len(self.samples) - (self.written - self.taken)

    def write(self, block: np.ndarray) -> None:
        """block: float32 (n,), n <= room()."""
        self.samples[np.arange(self.written, self.written + len(block)) % len(self.samples)] = block
        self.written += len(block)

    def take(self, n: int) -> np.ndarray:
        """The next samples, float32 (n,), or fewer if there are no more yet."""
        n = min(n, self.written - self.taken)
        block = self.samples[np.arange(self.taken, self.taken + n) % len(self.samples)]
        self.taken += n
        return block


class Player:
    """Generates ahead in a thread of its own; `callback` is what an audio device calls.

    The device's thread cannot wait, so it only copies what is there; what is missing becomes
    silence and is counted in `gaps`.
    """

    def __init__(self, gen: fw.Generator, seconds: float = 0.5):
        self.gen = gen
        self.rate = gen.model.sample_rate
        self.ring = Ring(max(BLOCK, round(seconds * self.rate)))
        self.gaps = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._fill, daemon=True)

    def _fill(self) -> None:
        while not self.stop.is_set():
            if self.ring.room() < BLOCK:
                self.stop.wait(BLOCK / self.rate / 4)
            else:
                self.ring.write(self.gen.generate(BLOCK))

    def callback(self, out: np.ndarray, frames: int, time: object, status: object) -> None:
        """out: float32 (frames, channels), to be filled."""
        block = self.ring.take(frames)
        out[: len(block)] = block[:, None]
        out[len(block) :] = 0
        self.gaps += len(block) < frames


def main(arguments: list[str]) -> None:
    if len(arguments) not in (1, 2):
        sys.exit("usage: play.py MODEL.safetensors [SEED]")
    seed = int(arguments[1]) if len(arguments) == 2 else None
    import sounddevice

    player = Player(fw.Generator(fw.load(arguments[0]), seed=seed))
    player.thread.start()
    try:
        with sounddevice.OutputStream(player.rate, channels=1, callback=player.callback):
            player.thread.join()  # until Ctrl-C, or an error in the thread
    except KeyboardInterrupt:
        player.stop.set()
    print(f"seed {player.gen.seed}, {player.gaps} gaps")


if __name__ == "__main__":
    main(sys.argv[1:])
