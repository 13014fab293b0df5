"""A prepared corpus: recordings whose samples and frames are mapped, not read into memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .ends import FrameConditioning
from .manifest import CorpusError, Entry, Manifest, bytes_of_frames, is_unfinished
from .mulaw import code_dtype, mu_law_encode, pre_emphasised
from .shown import shown
from .spec import WaveNetSpec
from .types import Audio

SAMPLE = np.dtype("<i2")


class CorpusFolder:
    """A corpus that is open for reading.

    folder      its place now; `source` in the manifest is not needed
    recordings  path of a recording, as if it lay in the folder -> its entry
    """

    def __init__(self, folder: Path):
        """Raises CorpusError if it is unfinished or damaged, OSError if it cannot be read."""
        self.folder = folder
        if is_unfinished(folder):
            raise CorpusError(
                f"{shown(folder)}: is an unfinished corpus, whose preparation was interrupted: "
                f"run fastwavenet prepare again"
            )
        self.manifest = Manifest.load(folder)
        self.recordings = {folder / entry.path: entry for entry in self.manifest.recordings}
        self._maps: dict[str, np.ndarray] = {}  # name of a pack -> its content

    def samples(self, entry: Entry) -> npt.NDArray[np.int16]:
        """The samples of a recording (n,), mapped."""
        pack = self._mapped(self.manifest.packs[entry.pack].file, SAMPLE)
        return pack[entry.at : entry.at + entry.samples]

    def frames(self, entry: Entry, name: str) -> np.ndarray:
        """The frames of a mel (frames, channels), float16 or float32, mapped."""
        kind, place = self.manifest.features[name], entry.frames[name]
        dtype = np.dtype(place.dtype).newbyteorder("<")
        shape = place.frames, kind.conditioning.channels
        size = bytes_of_frames(place, kind.conditioning)
        pack = self._mapped(kind.packs[place.pack].file, np.dtype(np.uint8))
        return pack[place.at : place.at + size].view(dtype).reshape(shape)

    def check_rate(self, sample_rate: int) -> None:
        """Raises CorpusError if the corpus has another rate than a network."""
        found = self.manifest.options.sample_rate
        if found != sample_rate:
            raise CorpusError(
                f"{shown(self.folder)}: has {found} Hz, but the network {sample_rate} Hz: train "
                f"with --sample-rate {found}, or prepare it with --sample-rate {sample_rate}"
            )

    def name_of_frames(self, end: FrameConditioning) -> str:
        """The name of the features that a network is conditioned on.

        Raises CorpusError if the corpus has none of their convention.
        """
        for name, kind in self.manifest.features.items():
            own = kind.conditioning
            limits = [p and (p.fmin, p.fmax) for p in (own.pitch, end.pitch)]
            if own.features == end.features and limits[0] == limits[1]:
                return name
        found = ", ".join(self.manifest.features) or "none"
        raise CorpusError(
            f"{shown(self.folder)}: has no frames of {shown(end.described)}, found {found}: "
            f"prepare it with --mel {end.described}"
        )

    def _mapped(self, name: str, dtype: np.dtype) -> np.ndarray:
        """All of a pack, which is mapped once."""
        if name not in self._maps:
            try:
                self._maps[name] = _mapped(self.folder / name, dtype)
            except OSError as error:
                raise CorpusError(
                    f"{shown(self.folder / name)}: cannot be mapped: {error.strerror}"
                ) from None
        return self._maps[name]


class MappedCodes:
    """The mu-law codes of mapped samples (n,); each slice of them is made when it is cut.

    samples   int16, of the whole recording; the codes are those of samples start to stop - 1
    identity  hashes of the recording's samples and frames

    A slice has the bits that `read_codes` gives of the whole recording, with pre-emphasis too.
    """

    def __init__(self, samples: npt.NDArray[np.int16], spec: WaveNetSpec, identity: str):
        self.samples, self.spec, self.identity = samples, spec, identity
        self.dtype = np.dtype(code_dtype(spec.levels))
        self.start, self.stop = 0, len(samples)
        self._plain = replace(spec.codec, pre_emphasis=0.0)

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, cut: slice) -> np.ndarray:
        """The codes of a slice without a step."""
        start, stop, step = cut.indices(len(self))
        if step != 1:
            raise ValueError(f"codes are cut without a step, not {step}")
        return self._coded(self.start + start, self.start + max(start, stop))

    def part(self, start: int, stop: int) -> MappedCodes:
        """Codes start to stop - 1, not made yet."""
        part = MappedCodes(self.samples, self.spec, self.identity)
        part.start, part.stop = self.start + start, self.start + stop
        return part

    @property
    def fingerprint(self) -> bytes:
        """Another one for other samples, frames or bounds."""
        return f"{self.identity} {self.start} {self.stop}".encode()

    def _coded(self, start: int, stop: int) -> np.ndarray:
        audio = as_float(self.samples[start:stop])
        if self.spec.codec.pre_emphasis:
            before = as_float(self.samples[start - 1 : start]) if start else np.zeros(1, np.float32)
            audio = pre_emphasised(audio, self.spec.codec, before)
        return mu_law_encode(audio, self.spec.levels, codec=self._plain)


def as_float(samples: npt.NDArray[np.int16]) -> Audio:
    """int16 as float32 with full scale 1, as libsndfile reads it."""
    return samples.astype(np.float32) * np.float32(2**-15)


def as_int16(audio: Audio) -> npt.NDArray[np.int16]:
    """clip(rint(32768 x))"""
    return np.rint(audio * np.float32(2**15)).clip(-(2**15), 2**15 - 1).astype(SAMPLE)


def _mapped(file: Path, dtype: npt.DTypeLike) -> np.ndarray:
    """All of a file; an empty one cannot be mapped."""
    if not file.stat().st_size:
        return np.empty(0, dtype)
    return np.memmap(file, dtype, "r").view(np.ndarray)
