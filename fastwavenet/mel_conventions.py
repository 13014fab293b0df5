"""The constants of mel spectrograms, and the conventions of projects in wide use, by name.

A vocoder and the acoustic model before it must agree in each of these numbers, so a model file
holds them.  The computation is in features.py; this file needs the standard library only, so that
a network's spec may hold a `Mel`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from .checks import check_fields, number, whole, within
from .shown import shown

MAX_RATE = 768_000
MAX_N_FFT = 65536
MAX_MELS = 1024
MAX_NUMBER = 1e6  # of a level in the logarithmic domain
NARROWEST = 1.0  # Hz from fmin to fmax

_CHOICES: dict[str, tuple[object, ...]] = {
    "mel_scale": ("slaney", "htk"),
    "filter_norm": ("slaney", "none"),
    "power": (1, 2),
    "log": ("ln", "log10"),
    "padding": ("center", "same"),
}


@dataclass(frozen=True, kw_only=True)
class Mel:
    """All constants of a mel spectrogram.  Frozen; equal constants give equal frames.

        X     = DFT of n_fft samples under a periodic Hann window
        S     = sqrt(max(|X|^2, power_floor) + epsilon), or its square
        y     = log_factor log(max(filters S, floor)) + log_offset
        frame = clip((y - mean) / deviation)

    sample_rate   Hz
    n_fft         samples of a transform, even
    hop           samples from a frame to the next
    window        samples of the Hann window, which is centred in n_fft
    mels          filters, and channels of a frame
    fmin, fmax    Hz of the lowest filter's lower edge and the highest filter's upper edge
    mel_scale     "slaney": linear below 1 kHz, logarithmic above; "htk": logarithmic
    filter_norm   "slaney": each triangle has the area 1 Hz; "none": each has the height 1
    power         1: magnitudes; 2: power
    power_floor   least |X|^2
    epsilon       added to |X|^2
    floor         least value before the logarithm
    log           "ln" or "log10"
    log_factor, log_offset
                  applied to the logarithm
    padding       "center": n_fft / 2 reflected samples at each end, so that frame i has its centre
                  at sample i hop; "same": (n_fft - hop) / 2, so that it has its centre in the
                  middle of samples i hop to (i + 1) hop - 1
    mean, deviation
                  of the affine normalisation: a number for all channels, or (mels,), one for each
    clip          (lowest, highest) value of a frame; None: no limits

    Raises ValueError naming the field, the value found and the expected ones.
    """

    sample_rate: int
    n_fft: int
    hop: int
    window: int
    mels: int
    fmin: float
    fmax: float
    mel_scale: Literal["slaney", "htk"] = "slaney"
    filter_norm: Literal["slaney", "none"] = "slaney"
    power: Literal[1, 2] = 1
    power_floor: float = 0.0
    epsilon: float = 0.0
    floor: float = 1e-5
    log: Literal["ln", "log10"] = "ln"
    log_factor: float = 1.0
    log_offset: float = 0.0
    padding: Literal["center", "same"] = "center"
    mean: float | tuple[float, ...] = 0.0
    deviation: float | tuple[float, ...] = 1.0
    clip: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        self._check_sizes()
        self._check_choices()
        self._check_levels()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # the class is frozen for everyone else

    def _check_sizes(self) -> None:
        self._whole("sample_rate", MAX_RATE)
        self._whole("n_fft", MAX_N_FFT, low=2)
        if self.n_fft % 2:
            raise ValueError(f"mel n_fft must be even, not {self.n_fft}")
        self._whole("hop", self.n_fft)
        self._whole("window", self.n_fft, low=2)
        self._whole("mels", MAX_MELS)
        if self.padding == "same" and (self.n_fft - self.hop) % 2:
            raise ValueError(
                f'mel hop must be even with padding "same", not {self.hop}: '
                f"(n_fft - hop) / 2 samples are reflected at each end"
            )
        half = self.sample_rate / 2
        self._within("fmin", 0, half - NARROWEST)
        self._within("fmax", self.fmin + NARROWEST, half)

    def _check_choices(self) -> None:
        for name, known in _CHOICES.items():
            value = getattr(self, name)
            if value not in known or isinstance(value, (bool, float)):
                expected = " or ".join(map(repr, known))
                raise ValueError(f"mel {name} must be {expected}, not {shown(value)}")
            self._set(name, known[known.index(value)])  # of a plain type, for JSON

    def _check_levels(self) -> None:
        self._within("power_floor", 0, MAX_NUMBER)
        self._within("epsilon", 0, MAX_NUMBER)
        self._set("floor", number("mel floor", self.floor, zero=False))
        for name in ("log_factor", "log_offset"):
            self._within(name, -MAX_NUMBER, MAX_NUMBER)
        self._for_channels("mean", -MAX_NUMBER, MAX_NUMBER)
        self._for_channels("deviation", 1 / MAX_NUMBER, MAX_NUMBER)
        self._set("clip", _limits(self.clip))

    def _whole(self, name: str, high: int, low: int = 1) -> None:
        self._set(name, whole(f"mel {name}", getattr(self, name), low, high))

    def _within(self, name: str, low: float, high: float) -> None:
        self._set(name, within(f"mel {name}", getattr(self, name), low, high))

    def _for_channels(self, name: str, low: float, high: float) -> None:
        given = getattr(self, name)
        values = given.tolist() if hasattr(given, "tolist") else given  # of numpy
        if not isinstance(values, (tuple, list)):
            self._within(name, low, high)
            return
        if len(values) != self.mels:
            raise ValueError(
                f"mel {name} must be one number or {self.mels}, one for each channel, "
                f"not {len(values)} numbers"
            )
        self._set(name, tuple(within(f"each of mel {name}", v, low, high) for v in values))

    # ---- names -----------------------------------------------------------------------------

    @property
    def preset(self) -> str | None:
        """The name of the preset with these constants, or None."""
        return next((name for name, known in _PRESETS.items() if known == self), None)

    def __str__(self) -> str:
        """The preset's name, or the sizes of a mel without a name; for messages."""
        sizes = f"{self.sample_rate} Hz, n_fft {self.n_fft}, hop {self.hop}, {self.mels} mels"
        return self.preset or f"a mel of {sizes}"

    # ---- as in the model file --------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """All fields as numbers, strings, lists or None, for JSON."""
        fields = dataclasses.asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in fields.items()}

    @classmethod
    def from_dict(cls, fields: object) -> Mel:
        """The inverse of `to_dict`.  Raises ValueError naming an unknown, missing or bad field."""
        if not isinstance(fields, dict):
            raise ValueError(f"a mel must be a JSON object, not {type(fields).__name__}")
        check_fields(cls, fields, "mel", all_of_them=True)
        return cls(**fields)


def _limits(clip: object) -> tuple[float, float] | None:
    if clip is None:
        return None
    if not isinstance(clip, (tuple, list)) or len(clip) != 2:
        raise ValueError(f"mel clip must be None or two numbers, not {shown(clip)}")
    low, high = (within("each of mel clip", value, -MAX_NUMBER, MAX_NUMBER) for value in clip)
    if not low < high:
        raise ValueError(f"mel clip must be (lower, higher), not {shown(clip)}")
    return low, high


# ---- presets ---------------------------------------------------------------------------------

_TACOTRON2 = Mel(
    sample_rate=22050, n_fft=1024, hop=256, window=1024, mels=80, fmin=0, fmax=8000, floor=1e-5
)
_HIFIGAN = dataclasses.replace(_TACOTRON2, padding="same", epsilon=1e-9)

_PRESETS: dict[str, Mel] = {
    "hifigan-22k": _HIFIGAN,  # also Matcha's before its normalisation, and BigVGAN's of 22 kHz
    "hifigan-16k": dataclasses.replace(_HIFIGAN, sample_rate=16000),
    "bigvgan-24k": dataclasses.replace(_HIFIGAN, sample_rate=24000, mels=100, fmax=12000),
    "vocos-24k": dataclasses.replace(
        _TACOTRON2,
        sample_rate=24000,
        mels=100,
        fmax=12000,
        mel_scale="htk",
        filter_norm="none",
        floor=1e-7,
    ),
    "espnet-24k": dataclasses.replace(
        _TACOTRON2,
        sample_rate=24000,
        n_fft=2048,
        hop=300,
        window=1200,
        fmin=80,
        fmax=7600,
        power_floor=1e-10,
        floor=1e-10,
        log="log10",
    ),
    "tacotron2": _TACOTRON2,
    "nv-16k": dataclasses.replace(_TACOTRON2, sample_rate=16000, n_fft=800, hop=200, window=800),
    "autovc-16k": dataclasses.replace(
        _TACOTRON2,
        sample_rate=16000,
        fmin=90,
        fmax=7600,
        log="log10",
        log_factor=20,
        log_offset=-16,
        mean=-100,
        deviation=100,
        clip=(0, 1),
    ),
}
DEFAULT = "hifigan-22k"


def mel_presets() -> dict[str, Mel]:
    """Name -> constants of each convention that has a name; a new dictionary.

    hifigan-22k  HiFi-GAN, BigVGAN of 22 kHz, Matcha-TTS before its normalisation
    hifigan-16k  the same at 16 kHz, hop 256: the sizes of SpeechBrain's HiFi-GAN of 16 kHz
    bigvgan-24k  BigVGAN of 24 kHz with 100 mels
    vocos-24k    Vocos
    espnet-24k   ESPnet2 TTS before its normalisation
    tacotron2    Tacotron 2, WaveGlow
    nv-16k       nv-wavenet
    autovc-16k   AutoVC, without the high-pass filter and noise before it
    """
    return dict(_PRESETS)


def as_mel(convention: Mel | str) -> Mel:
    """A preset by its name, or the constants themselves.

    Raises ValueError for an unknown name, TypeError for another type.
    """
    if isinstance(convention, Mel):
        return convention
    if not isinstance(convention, str):
        raise TypeError(f"a mel must be a Mel or a preset's name, not {shown(convention)}")
    if convention not in _PRESETS:
        known = ", ".join(_PRESETS)
        raise ValueError(f"unknown mel preset {shown(convention)}, expected one of {known}")
    return _PRESETS[convention]
