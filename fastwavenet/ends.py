"""The ends of a network: input, conditioning, output, codec, start, sampling.

Each is a small frozen dataclass that checks its own numbers, lists its own tensors and becomes a
JSON object; `WaveNetSpec` (spec.py) has one of each.  `kind` names the class in a model file: a
kind that this version cannot compute is refused by its name.

All raise ValueError naming the field, the value found and the expected ones; `Sampling`, whose
fields are arguments of `generate` too, TypeError for a value of another type.

The conditioning stands in frame_conditioning.py, the interface of all ends in end.py.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .checks import check_fields, integer, supported, whole, within
from .end import End, Shapes, set_field
from .frame_conditioning import FrameConditioning, Pitch
from .quiet_sampling import QuietSampling
from .shown import shown
from .upsampling import UpsamplingStage
from .voiced_sampling import VoicedSampling, check_min_p, check_temperature

if TYPE_CHECKING:
    from .spec import WaveNetSpec

__all__ = [
    "CodeInput",
    "FrameConditioning",
    "MuLawCodec",
    "Pitch",
    "QuietSampling",
    "Sampling",
    "SoftmaxOutput",
    "Start",
    "UpsamplingStage",
    "VoicedSampling",
]

MAX_KERNEL = 32
MAX_STEPS = 65536  # of a codec, and its largest mu
MAX_START = 2**20  # samples of a start code
MAX_PRE_EMPHASIS = 0.999  # below 1, where its inverse would grow without bound
MAX_COMPANDED = 1.25  # of the outermost codes: beyond 1 amplitudes grow exponentially


@dataclass(frozen=True)
class CodeInput(End):
    """The first convolution, on codes: for each tap a table with a row for each code.

    taps        of the convolution; the last is the current sample
    activation  after it: "none" or "tanh"
    padding     samples before the first one: "zeros", they add nothing, or "start", they have the
                start code
    """

    taps: int = 2
    activation: str = "none"
    padding: str = "zeros"
    kind: ClassVar[str] = "codes"

    def __post_init__(self) -> None:
        set_field(self, "taps", whole("input taps", self.taps, 1, MAX_KERNEL))
        supported("input activation", self.activation, ("none", "tanh"))
        supported("input padding", self.padding, ("zeros", "start"))

    def to_dict(self) -> dict[str, Any]:
        fields = super().to_dict()
        if self.padding == "zeros":  # older versions read the others
            del fields["padding"]
        return fields

    def tensors(self, spec: WaveNetSpec) -> Shapes:
        return {
            "first.weight": (self.taps, spec.levels, spec.residual),
            "first.bias": (spec.residual,),
        }


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
            set_field(self, name, within(f"codec {name}", getattr(self, name), low, high))

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
    times how often it is fed, if it is; each time but the last with the features of the first
          sample, and neither a distribution nor a sample follows
    """

    code: int
    fed: bool = False
    times: int = 1
    kind: ClassVar[str] = "code"

    def __post_init__(self) -> None:
        if not isinstance(self.fed, bool):
            raise ValueError(f"start fed must be true or false, not {shown(self.fed)}")
        set_field(self, "times", whole("start times", self.times, 1, MAX_START))
        if self.times > 1 and not self.fed:
            raise ValueError(f"start times must be 1 unless the code is fed, not {self.times}")

    def to_dict(self) -> dict[str, Any]:
        fields = super().to_dict()
        if self.times == 1:  # older versions read the others
            del fields["times"]
        return fields

    def check(self, spec: WaveNetSpec) -> None:
        set_field(self, "code", whole("start code", self.code, 0, spec.levels - 1))


@dataclass(frozen=True)
class Sampling(End):
    """How codes are drawn where a caller leaves it open: the settings that sound best.

    temperature  divides the logits; 0: always the most probable code; else 0.001 to 1000
    top_k        codes that may be drawn, the most probable ones; None: all
    min_p        codes are dropped whose probability is below min_p x the largest; 0: none
    voiced       where frames hold voicing: temperature, min_p or both of voiced frames, while the
                 numbers above are those of unvoiced ones; None: they are those of all samples
    quiet        where frames hold their level: those that take the most probable code; None: none
    """

    temperature: float = 1.0
    top_k: int | None = None
    min_p: float = 0.0
    voiced: VoicedSampling | None = None
    quiet: QuietSampling | None = None
    kind: ClassVar[str] = "draw"

    def __post_init__(self) -> None:
        set_field(self, "temperature", check_temperature(self.temperature))
        set_field(self, "min_p", check_min_p(self.min_p))
        for name, cls in _RULES.items():
            set_field(self, name, _rule(name, cls, getattr(self, name)))

    def check(self, spec: WaveNetSpec) -> None:
        if self.top_k is not None:
            set_field(self, "top_k", integer("top_k", self.top_k, 1, spec.levels))
        channels = spec.conditioning.channels if spec.conditioning else 0
        for name in _RULES:
            rule = getattr(self, name)
            if rule is not None and rule.channel >= channels:
                raise ValueError(
                    f"sampling {name} channel must be below the {channels} channels of the "
                    f"frames, not {rule.channel}"
                )

    def to_dict(self) -> dict[str, Any]:
        fields = super().to_dict()
        for name in _RULES:
            if getattr(self, name) is None:  # older versions read the others
                del fields[name]
        return fields

    def replaced(self, **numbers: float | None) -> Sampling:
        """With these numbers, of all frames; None stands for its own, and its rules by frame."""
        given = {name: number for name, number in numbers.items() if number is not None}
        voiced = self.voiced.without(given) if self.voiced is not None else None
        quiet = None if "temperature" in given else self.quiet
        return dataclasses.replace(self, **given, voiced=voiced, quiet=quiet)  # type: ignore[arg-type]


# Rules by frame: field of `Sampling` -> class.
_RULES: dict[str, type] = {"voiced": VoicedSampling, "quiet": QuietSampling}


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


def _rule(name: str, cls: type, given: object) -> object:
    """A rule by frame, of a field of `Sampling`; a JSON object becomes one."""
    if isinstance(given, dict):
        check_fields(cls, given, f"sampling {name}")
        return cls(**given)
    if given is None or isinstance(given, cls):
        return given
    raise ValueError(f"sampling {name} must be a {cls.__name__} or None, not {shown(given)}")
