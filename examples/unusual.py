"""Measure how well a model detects unusual sound: ROC and false alarms, of damage and other voices.

    python examples/unusual.py voice.safetensors normal/ held-out/ --other voices/ann voices/bob

The model was trained on neither folder.  normal/ sets the threshold, held-out/ is tested: as it is,
and with unusual stretches of half a second, one in each 4 s, of every kind of damage.  Recordings
of other voices are unusual from begin to end.  The result is a table in Markdown: of each kind, the
area under the ROC curve (AUC) of frames by their excess, their nats and their level, and the share
of frames, and the number of runs of frames, above the threshold of excess.

--frames names a folder of .npy files, one for each recording, for a model of other frames than mel.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import fastwavenet as fw

STRETCH, EVERY = 0.5, 4.0  # seconds
HEADS = ("unusual", "frames", "excess", "nats", "level", "found frames", "found runs")

Damage = Callable[[np.ndarray, np.random.Generator, int, float], np.ndarray]


# ---- kinds of damage ---------------------------------------------------------------------------
# Each takes a stretch, float (n,), random numbers, the rate in Hz and the recording's peak.


def click(stretch: np.ndarray, rng: np.random.Generator, rate: int, peak: float) -> np.ndarray:
    """A single sample of a quarter of the peak is added."""
    damaged = stretch.copy()
    damaged[rng.integers(len(damaged))] += rng.choice((-1, 1)) * peak / 4
    return damaged


def clipping(stretch: np.ndarray, rng: np.random.Generator, rate: int, peak: float) -> np.ndarray:
    """Amplitudes end at an eighth of the peak."""
    return stretch.clip(-peak / 8, peak / 8)


def hum(stretch: np.ndarray, rng: np.random.Generator, rate: int, peak: float) -> np.ndarray:
    """50 Hz and four harmonics, 30 dB below the peak each."""
    phases = 2 * np.pi * 50 / rate * np.arange(len(stretch)) + rng.uniform(0, 2 * np.pi)
    return stretch + peak * 10**-1.5 * sum(np.sin(k * phases) for k in range(1, 6))


def hiss(stretch: np.ndarray, rng: np.random.Generator, rate: int, peak: float) -> np.ndarray:
    """White noise, 50 dB below the peak."""
    return stretch + peak * 10**-2.5 * rng.standard_normal(len(stretch))


def dropout(stretch: np.ndarray, rng: np.random.Generator, rate: int, peak: float) -> np.ndarray:
    """Digital silence."""
    return np.zeros_like(stretch)


def stutter(stretch: np.ndarray, rng: np.random.Generator, rate: int, peak: float) -> np.ndarray:
    """The first 20 ms again and again."""
    return np.resize(stretch[: max(1, rate // 50)], len(stretch))


def backwards(stretch: np.ndarray, rng: np.random.Generator, rate: int, peak: float) -> np.ndarray:
    """From its end to its begin."""
    return stretch[::-1]


def louder(stretch: np.ndarray, rng: np.random.Generator, rate: int, peak: float) -> np.ndarray:
    """Twice the amplitude."""
    return 2 * stretch


DAMAGES: dict[str, Damage] = {
    "click": click,
    "clipping": clipping,
    "hum": hum,
    "hiss": hiss,
    "dropout": dropout,
    "stutter": stutter,
    "backwards": backwards,
    "louder": louder,
}


def damaged(audio: np.ndarray, damage: Damage, rate: int, seed: int) -> np.ndarray:
    """Audio (n,) with a stretch of damage in each EVERY seconds, or one in the middle."""
    rng, result = np.random.default_rng(seed), audio.astype(np.float64)
    peak, length = float(np.abs(audio).max()), min(len(audio), round(STRETCH * rate))
    part = max(length, round(EVERY * rate))
    for begin in range(0, max(1, len(audio) - part + 1), part):
        first = begin + rng.integers(max(1, min(part, len(audio)) - length + 1))
        stretch = result[first : first + length]
        result[first : first + length] = damage(stretch, rng, rate, peak)
    return result.clip(-1, 1).astype(np.float32)


# ---- measures ----------------------------------------------------------------------------------


def roc_auc(unusual: np.ndarray, usual: np.ndarray) -> float:
    """The probability that an unusual frame has more than a usual one; of equal ones half."""
    usual = np.sort(usual)
    below, up_to = (np.searchsorted(usual, unusual, side) for side in ("left", "right"))
    return float((below + up_to).mean() / 2 / len(usual)) if len(unusual) and len(usual) else np.nan


def frames_of(values: np.ndarray, hop: int) -> np.ndarray:
    """Values (n,) in the frames of `surprise`: (frames, hop); samples behind them are left out."""
    count = max(1, len(values) // hop)
    hop = min(hop, len(values))
    return values[: count * hop].reshape(count, hop)


def level_db(audio: np.ndarray, hop: int) -> np.ndarray:
    """The level of each frame, dB of full scale: (frames,)."""
    return 10 * np.log10((frames_of(audio, hop).astype(np.float64) ** 2).mean(axis=1) + 1e-12)


class Frames(NamedTuple):
    """Frames of several recordings together, (frames,) each.

    excess, nats  surprise
    level         dB
    stretch       number, from 1 on, of the run of unusual frames that a frame is in; 0: in none
    """

    excess: np.ndarray
    nats: np.ndarray
    level: np.ndarray
    stretch: np.ndarray


def stretches(unusual: np.ndarray) -> np.ndarray:
    """`Frames.stretch` of frames that are unusual or not, bool (frames,)."""
    return np.cumsum(np.diff(unusual, prepend=False) & unusual) * unusual


def joined(each: list[Frames]) -> Frames:
    """Frames of all; the stretches are numbered on."""
    before = np.cumsum([0, *(frames.stretch.max(initial=0) for frames in each)])
    numbered = [
        frames._replace(stretch=frames.stretch + n * (frames.stretch > 0))
        for frames, n in zip(each, before[:-1], strict=True)
    ]
    return Frames(*(np.concatenate(columns) for columns in zip(*numbered, strict=True)))


def row(name: str, test: Frames, usual: Frames, threshold: float) -> tuple[str, ...]:
    """The line of a kind; usual: frames of the held-out recordings as they are."""
    flags = test.stretch > 0
    above = flags & (test.excess > threshold)
    found, all_of_them = len(np.unique(test.stretch[above])), int(test.stretch.max(initial=0))
    share = above.sum() / flags.sum() if flags.any() else np.nan
    return (
        name,
        f"{flags.sum():,}",
        f"{roc_auc(test.excess[flags], usual.excess):.3f}",
        f"{roc_auc(test.nats[flags], usual.nats):.3f}",
        f"{roc_auc(test.level[flags], usual.level):.3f}",
        f"{100 * share:.1f} %",
        f"{found:,} of {all_of_them:,}",
    )


# ---- the experiment ----------------------------------------------------------------------------


class Experiment:
    """A model, its recordings, and the frames in which they are compared."""

    def __init__(self, model: fw.Model, hop: int, smooth: int, frames: Path | None):
        self.model, self.hop, self.smooth, self.frames = model, hop, smooth, frames

    def read(self, folder: Path) -> dict[str, np.ndarray]:
        """Recordings of a folder or file by name, float32 (n,)."""
        files = sorted(folder.glob("*.*")) if folder.is_dir() else [folder]
        read = [fw.read_audio(file, self.model.sample_rate, convert=True) for file in files]
        return {file.stem: audio for file, (audio, _) in zip(files, read, strict=True)}

    def of(self, name: str, audio: np.ndarray, unusual: np.ndarray) -> Frames:
        """unusual: bool (n,), of each sample of the recording."""
        frames, n = self._conditioning(name, audio)
        audio, unusual = audio[:n], unusual[:n]
        found = fw.surprise(self.model, audio, self.hop, smooth=self.smooth, frames=frames)
        flags = frames_of(unusual, self.hop).any(axis=1)
        return Frames(found.excess, found.nats, level_db(audio, self.hop), stretches(flags))

    def _conditioning(self, name: str, audio: np.ndarray) -> tuple[np.ndarray | None, int]:
        """Frames for the model, and the samples that they cover."""
        end = self.model.spec.conditioning
        if end is None:
            return None, len(audio)
        given = fw.mel(audio, end.mel) if self.frames is None else np.load(self._file(name))
        return given, min(len(audio), len(given) * end.hop)

    def _file(self, name: str) -> Path:
        return Path(self.frames or "") / f"{name}.npy"

    def undamaged(self, recordings: dict[str, np.ndarray], unusual: bool) -> Frames:
        each = recordings.items()
        return joined([self.of(name, a, np.full(len(a), unusual)) for name, a in each])

    def damaged(self, recordings: dict[str, np.ndarray], damage: Damage) -> Frames:
        each = []
        for name, audio in recordings.items():
            seed = zlib.crc32(f"{name} {damage.__name__}".encode())
            changed = damaged(audio, damage, self.model.sample_rate, seed)
            each.append(self.of(name, changed, changed != audio))
        return joined(each)


def experiment(arguments: argparse.Namespace) -> Iterator[str]:
    """Lines of the report."""
    model = fw.load(arguments.model)
    hop = max(2, round(arguments.hop * model.sample_rate))
    work = Experiment(model, hop, arguments.smooth, arguments.frames)
    normal = work.undamaged(work.read(arguments.normal), False)
    held_out = work.read(arguments.held_out)
    usual = work.undamaged(held_out, False)
    threshold = fw.surprise_threshold(normal.excess, arguments.quantile)
    alarms, minutes = usual.excess > threshold, len(usual.excess) * hop / model.sample_rate / 60
    runs = len(fw.surprise_segments(usual.excess, threshold))
    yield (
        f"Threshold {threshold:.3f} nats of excess: quantile {arguments.quantile:g} of "
        f"{len(normal.excess):,} normal frames of {hop / model.sample_rate:g} s, "
        f"smoothed over {arguments.smooth}."
    )
    yield (
        f"False alarms: {alarms.sum():,} of {len(alarms):,} held-out frames "
        f"({100 * alarms.mean():.2f} %), {runs} segments in {minutes:.1f} min."
    )
    yield ""
    yield table_line(HEADS)
    yield table_line(["---", *["--:"] * (len(HEADS) - 1)])
    for name in arguments.kinds:
        yield table_line(row(name, work.damaged(held_out, DAMAGES[name]), usual, threshold))
    for folder in arguments.other:
        unusual = work.undamaged(work.read(folder), True)
        yield table_line(row(f"other: {folder.name}", unusual, usual, threshold))


def table_line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("normal", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--other", type=Path, nargs="*", default=[])
    parser.add_argument("--kinds", choices=DAMAGES, nargs="*", default=list(DAMAGES))
    parser.add_argument("--frames", type=Path, help="folder of .npy files")
    parser.add_argument("--hop", type=float, default=0.05, help="seconds (%(default)s)")
    parser.add_argument("--smooth", type=int, default=1, help="frames (%(default)s)")
    parser.add_argument("--quantile", type=float, default=0.999, help="(%(default)s)")
    for line in experiment(parser.parse_args(argv)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
