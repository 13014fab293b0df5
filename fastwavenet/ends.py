"""The ends of a network: input, conditioning, output, codec, start, sampling.

Each is a small frozen dataclass that checks its own numbers, lists its own tensors and becomes a
JSON object; `WaveNetSpec` (spec.py) has one of each.  `kind` names the class in a model file: a
kind that this version cannot compute is refused by its name.

All raise ValueError naming the field, the value found and the expected ones; `Sampling`, whose
fields are arguments of `generate` too, TypeError for a value of another type.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .checks import check_fields, integer, whole, within
from .mel_conventions import Mel
from .shown import shown
from .voiced_sampling import VoicedSampling, check_min_p, check_temperature

if TYPE_CHECKING:
    from .spec import WaveNetSpec

__all__ = [
    "CodeInput",
    "FrameConditioning",
    "MuLawCodec",
    "Pitch",
    "Sampling",
    "SoftmaxOutput",
    "Start",
    "VoicedSampling",
]

MAX_KERNEL = 32
MAX_CHANNELS = 4096
MAX_HOP = 65536
MAX_SPEAKERS = 65536
MAX_NAME = 100  # characters
MAX_PITCH = 48_000  # Hz
PITCH_NETWORK = "conditioning.pitch"  # prefix of its tensors' names
MAX_STEPS = 65536  # of a codec, and its largest mu
MAX_PRE_EMPHASIS = 0.999  # below 1, where its inverse would grow without bound
MAX_COMPANDED = 1.25  # of the outermost codes: beyond 1 amplitudes grow exponentially

Shapes = dict[str, tuple[int, ...]]


class End:
    """The interface of all ends."""

    kind: ClassVar[str]

    def tensors(self, spec: WaveNetSpec) -> Shapes:
        """Name -> shape of this end's tensors in a network of these sizes."""
        return {}

    def check(self, spec: WaveNetSpec) -> None:
        """Raises ValueError if the end does not fit a network of these sizes."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON object: the kind, and all fields."""
        return {"kind": self.kind} | dataclasses.asdict(self)  # type: ignore[call-overload]


@dataclass(frozen=True)
class CodeInput(End):
    """The first convolution, on codes: for each tap a table with a row for each code.

    taps        of the convolution; the last is the current sample
    activation  after it: "none"
    """

    taps: int = 2
    activation: str = "none"
    kind: ClassVar[str] = "codes"

    def __post_init__(self) -> None:
        _set(self, "taps", whole("input taps", self.taps, 1, MAX_KERNEL))
        _one_of("input activation", self.activation, ("none",))

    def tensors(self, spec: WaveNetSpec) -> Shapes:
        return {
            "first.weight": (self.taps, spec.levels, spec.residual),
            "first.bias": (spec.residual,),
        }


@dataclass(frozen=True)
class Pitch:
    """Channels of pitch behind those of a mel: log F0, voicing and correlation of each frame.

    fmin, fmax  the range of F0 in Hz, as in `fastwavenet.pitch`
    hidden      channels of the hidden layers of a network that predicts pitch from mel frames, for
                frames without it (pitch_prediction.py); 0: there is none
    """

    fmin: float = 60.0
    fmax: float = 500.0
    hidden: int = 0
    channels: ClassVar[int] = 3
    voicing: ClassVar[int] = 1  # its place among the channels
    kernels: ClassVar[tuple[int, ...]] = (5, 5, 1)  # of the network, over frames

    def __post_init__(self) -> None:
        _set(self, "fmin", within("pitch fmin", self.fmin, 10, MAX_PITCH))
        _set(self, "fmax", within("pitch fmax", self.fmax, 2 * self.fmin, 2 * MAX_PITCH))
        _set(self, "hidden", whole("pitch hidden", self.hidden, 0, MAX_CHANNELS))

    def tensors(self, mels: int) -> Shapes:
        """Of the network that predicts pitch."""
        if not self.hidden:
            return {}
        shapes, inputs = Shapes(), mels
        for layer, kernel in enumerate(self.kernels):
            last = layer + 1 == len(self.kernels)
            outputs = self.channels if last else self.hidden
            shapes[f"{PITCH_NETWORK}.{layer}.weight"] = (outputs, inputs, kernel)
            shapes[f"{PITCH_NETWORK}.{layer}.bias"] = (outputs,)
            inputs = outputs
        return shapes


@dataclass(frozen=True)
class FrameConditioning(End):
    """Features of frames, a speaker, or both, of which each layer adds a projection to its gates.

    channels          C: features of a frame; 0: there are no frames
    hop               samples that a frame lasts: frame i begins with sample i hop
    interpolation     "held": the same features for all samples of a frame; "linear": from each
                      frame's first sample to the next one's, where the last is held
    speakers          their names, in the order of their embeddings; (): none
    speaker_channels  E: of a speaker's embedding
    features          their convention: a Mel, which the model file holds with all its constants,
                      or a name; None: unnamed
    pitch             behind the channels of a Mel those of `fastwavenet.pitch`; None: none
    """

    channels: int = 0
    hop: int = 1
    interpolation: str = "held"
    speakers: tuple[str, ...] = ()
    speaker_channels: int = 0
    features: Mel | str | None = None
    pitch: Pitch | None = None
    kind: ClassVar[str] = "frames"

    def __post_init__(self) -> None:
        for name, low, high in (
            ("channels", 0, MAX_CHANNELS),
            ("hop", 1, MAX_HOP),
            ("speaker_channels", 0, MAX_CHANNELS),
        ):
            _set(self, name, whole(f"conditioning {name}", getattr(self, name), low, high))
        _one_of("conditioning interpolation", self.interpolation, ("held", "linear"))
        _set(self, "speakers", _names(self.speakers))
        _set(self, "features", _features(self.features))
        _set(self, "pitch", _pitch(self.pitch))
        if self.pitch is not None and self.mel is None:
            raise ValueError("conditioning pitch needs features that are a Mel")
        if bool(self.speakers) != bool(self.speaker_channels):
            raise ValueError(
                f"conditioning needs speaker_channels where there are speakers, and only there: "
                f"{len(self.speakers)} speakers, {self.speaker_channels} channels"
            )
        if not self.inputs:
            raise ValueError("conditioning must have channels or speakers, or be None")

    @property
    def mel(self) -> Mel | None:
        """The convention of the frames, if they are mel frames."""
        return self.features if isinstance(self.features, Mel) else None

    def check(self, spec: WaveNetSpec) -> None:
        if self.mel is None:
            return
        found = (self.channels, self.hop, spec.sample_rate)
        channels = self.mel.mels + (0 if self.pitch is None else self.pitch.channels)
        expected = (channels, self.mel.hop, self.mel.sample_rate)
        if found != expected:
            raise ValueError(
                f"conditioning channels, hop and sample_rate {found} are not those of its "
                f"features, {expected}"
            )

    @property
    def voicing(self) -> int | None:
        """The channel that holds the voicing, 0 to 1; None: there is none."""
        if self.mel is None or self.pitch is None:
            return None
        return self.mel.mels + self.pitch.voicing

    @property
    def predicted_from(self) -> int | None:
        """Channels of mel frames to which the model's network adds pitch; None: there is none."""
        with_network = self.mel is not None and self.pitch is not None and self.pitch.hidden
        return self.mel.mels if self.mel is not None and with_network else None

    @property
    def described(self) -> str:
        """The name of the features as in `--mel`, or "" for unnamed ones."""
        return f"{self.features or ''}{'+pitch' if self.pitch else ''}"

    @property
    def inputs(self) -> int:
        """Channels of a frame and of its speaker together."""
        return self.channels + self.speaker_channels

    def tensors(self, spec: WaveNetSpec) -> Shapes:
        shapes: Shapes = {}
        if self.speakers:
            shapes["conditioning.speakers.weight"] = (len(self.speakers), self.speaker_channels)
        for layer in range(spec.layers):
            shape = (2 * spec.dilation_channels, self.inputs, 1)
            shapes[f"layers.{layer}.conditioning.weight"] = shape
        if self.mel is not None and self.pitch is not None:
            shapes |= self.pitch.tensors(self.mel.mels)
        return shapes

    def frames(self, samples: int) -> int:
        """Number of frames that so many samples belong to."""
        return -(-samples // self.hop)

    def speaker(self, given: int | str | None) -> int:
        """The index of a speaker by name or index.  Raises ValueError, TypeError."""
        known = ", ".join(self.speakers[:20])
        if given is None:
            raise ValueError(f"the model needs a speaker, one of {known}")
        if isinstance(given, str):
            if given not in self.speakers:
                raise ValueError(f"speaker {shown(given)} is unknown, expected one of {known}")
            return self.speakers.index(given)
        return integer("speaker", given, 0, len(self.speakers) - 1)


@dataclass(frozen=True)
class SoftmaxOutput(End):
    """A hidden layer, and a logit for each code."""

    kind: ClassVar[str] = "softmax"

    def tensors(self, spec: WaveNetSpec) -> Shapes:
        return {
            "head.hidden.weight": (spec.head, spec.skip, 1),
            "head.hidden.bias": (spec.head,),
            "head.output.weight": (spec.levels, spec.head, 1),
            "head.output.bias": (spec.levels,),
        }


@dataclass(frozen=True)
class MuLawCodec(End):
    """How amplitudes x in [-1, 1] become codes 0 .. levels - 1, and codes amplitudes.

        c(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu)
        code = clip(floor((c(x) + 1) / 2 steps + encode_offset), 0, levels - 1)
        u    = 2 (code - decode_offset) / decode_divisor - 1
        x    = sign(u) ((1 + mu)^|u| - 1) / mu

    Known projects differ in each of these numbers, by a code on half of all inputs, so a model
    carries its own.  `MuLawCodec.symmetric(levels)` is the convention in which every code survives
    decoding and encoding, and -1 and 1 are codes.

    pre_emphasis  a in y(t) = x(t) - a x(t - 1), which is applied before encoding and undone after
                  decoding, from silence on; 0: none
    """

    mu: float
    steps: float
    decode_divisor: float
    encode_offset: float = 0.5
    decode_offset: float = 0.0
    pre_emphasis: float = 0.0
    kind: ClassVar[str] = "mu-law"

    def __post_init__(self) -> None:
        bounds = {
            "mu": (1, MAX_STEPS),
            "steps": (1, MAX_STEPS),
            "decode_divisor": (1, 2 * MAX_STEPS),
            "encode_offset": (-MAX_STEPS, MAX_STEPS),
            "decode_offset": (-MAX_STEPS, MAX_STEPS),
            "pre_emphasis": (0, MAX_PRE_EMPHASIS),
        }
        for name, (low, high) in bounds.items():
            _set(self, name, within(f"codec {name}", getattr(self, name), low, high))

    @classmethod
    def symmetric(cls, levels: int) -> MuLawCodec:
        """mu = steps = levels - 1, to the nearest code."""
        return cls(mu=levels - 1, steps=levels - 1, decode_divisor=levels - 1)

    def check(self, spec: WaveNetSpec) -> None:
        self.check_levels(spec.levels)

    def check_levels(self, levels: int) -> None:
        """Raises ValueError unless all codes 0 .. levels - 1 decode to moderate amplitudes."""
        for code in (0, levels - 1):
            u = 2 * (code - self.decode_offset) / self.decode_divisor - 1
            if not abs(u) <= MAX_COMPANDED:
                raise ValueError(
                    f"codec decodes code {code} to {u:.6g} before expansion, expected a number "
                    f"from {-MAX_COMPANDED} to {MAX_COMPANDED}"
                )


@dataclass(frozen=True)
class Start(End):
    """The first input of a network without a past.

    code  of silence, usually: levels // 2
    fed   False: the first known sample, if there is one, takes its place; True: it is fed as a
          sample of its own, and the first known sample follows it
    """

    code: int
    fed: bool = False
    kind: ClassVar[str] = "code"

    def __post_init__(self) -> None:
        if not isinstance(self.fed, bool):
            raise ValueError(f"start fed must be true or false, not {shown(self.fed)}")

    def check(self, spec: WaveNetSpec) -> None:
        _set(self, "code", whole("start code", self.code, 0, spec.levels - 1))


@dataclass(frozen=True)
class Sampling(End):
    """How codes are drawn where a caller leaves it open: the settings that sound best.

    temperature  divides the logits; 0: always the most probable code; else 0.001 to 1000
    top_k        codes that may be drawn, the most probable ones; None: all
    min_p        codes are dropped whose probability is below min_p x the largest; 0: none
    voiced       where frames hold voicing: temperature, min_p or both of voiced frames, while the
                 numbers above are those of unvoiced ones; None: they are those of all samples
    """

    temperature: float = 1.0
    top_k: int | None = None
    min_p: float = 0.0
    voiced: VoicedSampling | None = None
    kind: ClassVar[str] = "draw"

    def __post_init__(self) -> None:
        _set(self, "temperature", check_temperature(self.temperature))
        _set(self, "min_p", check_min_p(self.min_p))
        _set(self, "voiced", _voiced(self.voiced))

    def check(self, spec: WaveNetSpec) -> None:
        if self.top_k is not None:
            _set(self, "top_k", integer("top_k", self.top_k, 1, spec.levels))
        channels = spec.conditioning.channels if spec.conditioning else 0
        if self.voiced is not None and self.voiced.channel >= channels:
            raise ValueError(
                f"sampling voiced channel must be below the {channels} channels of the frames, "
                f"not {self.voiced.channel}"
            )

    def to_dict(self) -> dict[str, Any]:
        fields = super().to_dict()
        if self.voiced is None:  # older versions read the others
            del fields["voiced"]
        return fields

    def replaced(self, **numbers: float | None) -> Sampling:
        """With these numbers, of all frames; None stands for its own, and its rule by voicing."""
        given = {name: number for name, number in numbers.items() if number is not None}
        rule = self.voiced.without(given) if self.voiced is not None else None
        return dataclasses.replace(self, **given, voiced=rule)  # type: ignore[arg-type]


_KINDS: dict[str, tuple[type[End], ...]] = {
    "input": (CodeInput,),
    "conditioning": (FrameConditioning,),
    "output": (SoftmaxOutput,),
    "codec": (MuLawCodec,),
    "start": (Start,),
    "sampling": (Sampling,),
}
ENDS = tuple(_KINDS)  # the fields of a spec
_OPTIONAL = ("conditioning",)


def check_end(name: str, value: object) -> None:
    """Raises ValueError unless `value` is an end of one of the kinds for the field `name`."""
    if (value is None and name in _OPTIONAL) or isinstance(value, _KINDS[name]):
        return
    raise ValueError(f"{name} must be {_expected(name)}, not {shown(value)}")


def end_from_dict(name: str, value: object) -> Any:
    """The end in a model file's field `name`: the inverse of `to_dict`."""
    if value is None and name in _OPTIONAL:
        return None
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a JSON object, not {shown(value)}")
    kind = value.get("kind")
    for cls in _KINDS[name]:
        if kind == cls.kind:
            fields = {field: number for field, number in value.items() if field != "kind"}
            check_fields(cls, fields, name)
            return cls(**fields)
    known = " or ".join(repr(cls.kind) for cls in _KINDS[name])
    raise ValueError(f"{name} kind {shown(kind)} is not supported by this version, only {known}")


def _expected(name: str) -> str:
    names = [cls.__name__ for cls in _KINDS[name]] + ["None"] * (name in _OPTIONAL)
    return " or ".join(names)


def _set(end: object, name: str, value: object) -> None:
    object.__setattr__(end, name, value)  # the classes are frozen for everyone else


def _names(given: object) -> tuple[str, ...]:
    names = tuple(given) if isinstance(given, (tuple, list)) else (None,)
    right = len(names) <= MAX_SPEAKERS
    if not right or not all(isinstance(n, str) and 0 < len(n) <= MAX_NAME for n in names):
        raise ValueError(
            f"conditioning speakers must be at most {MAX_SPEAKERS} names of 1 to {MAX_NAME} "
            f"characters, not {shown(given)}"
        )
    if len(set(names)) < len(names):
        raise ValueError("conditioning speakers must have different names")
    return names


def _features(given: object) -> Mel | str | None:
    if isinstance(given, dict):
        return Mel.from_dict(given)
    if given is None or isinstance(given, (Mel, str)):
        return given
    raise ValueError(f"conditioning features must be a Mel, a name or None, not {shown(given)}")


def _pitch(given: object) -> Pitch | None:
    if isinstance(given, dict):
        check_fields(Pitch, given, "conditioning pitch")
        return Pitch(**given)
    if given is None or isinstance(given, Pitch):
        return given
    raise ValueError(f"conditioning pitch must be a Pitch or None, not {shown(given)}")


def _voiced(given: object) -> VoicedSampling | None:
    if isinstance(given, dict):
        check_fields(VoicedSampling, given, "sampling voiced")
        return VoicedSampling(**given)
    if given is None or isinstance(given, VoicedSampling):
        return given
    raise ValueError(f"sampling voiced must be a VoicedSampling or None, not {shown(given)}")


def _one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        expected = " or ".join(map(repr, known))
        raise ValueError(f"{name} {shown(value)} is not supported by this version, only {expected}")
