"""The network's sizes and ends, from which every other part of fastwavenet is made.

`WaveNetSpec.tensors()` is the one list of weights.  Export fills it, the loader checks a file
against it, the C engine is given it, tests draw random weights from it, benchmarks count it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

from .checks import check_fields, whole
from .ends import (
    ENDS,
    CodeInput,
    FrameConditioning,
    MuLawCodec,
    Sampling,
    SoftmaxOutput,
    Start,
    check_end,
    end_from_dict,
)
from .frame_conditioning import PITCH_NETWORK
from .shown import shown
from .upsampling import inputs_of

Given = TypeVar("Given")
Kept = TypeVar("Kept")

if TYPE_CHECKING:

    class _Completed(Generic[Given, Kept]):
        """For type checkers: a field that is given in one form and kept in another."""

        def __get__(self, spec: object, owner: type) -> Kept: ...
        def __set__(self, spec: object, value: Given) -> None: ...


# Upper bounds of all sizes in a file, so that none can overflow or exhaust memory.
MAX_LEVELS = 65536
MAX_CHANNELS = 4096
MAX_LAYERS = 512
MAX_KERNEL = 32
MAX_DILATION = 2**20
MAX_WEIGHT_BYTES = 2**31  # as packed by the engine
MAX_VOICE_BYTES = 2**30  # of the memory that one generated voice takes
MAX_SAMPLE_RATE = 768_000

# Sizes by which the engine allocates: csrc/model.c computes the same bounds.
CHANNELS = 16  # channels are padded to multiples of it
LINE = 64  # bytes that int8's rows are padded to
BLOCK = 64  # samples that go through the layers together
TILE = 32  # rows that may be read past the last one
MORE_FRAMES = 2  # frames of a block beyond one for each sample
AHEAD = 16  # samples for which past taps are computed at once, at most

Precision: TypeAlias = Literal["float32", "bfloat16", "int8", "bfloat16x16", "int8x8"]

# Number formats of the engine, in the order of their numbers: name -> bytes of a product's weight.
PRECISIONS: dict[Precision, int] = {
    "float32": 4,
    "bfloat16": 2,
    "int8": 1,
    "bfloat16x16": 2,
    "int8x8": 1,
}
# Those that "auto" never takes.
ONLY_BY_NAME: frozenset[Precision] = frozenset({"bfloat16x16", "int8x8"})


@dataclass(frozen=True, kw_only=True)
class WaveNetSpec:
    """Sizes of a WaveNet.  Frozen; equal specs describe networks with the same tensors.

    sample_rate         Hz of the audio the network was trained on
    levels              Q: number of mu-law codes, of inputs and of outputs
    residual            R: channels of the stream that runs through all layers
    dilation_channels   D: channels of each gate (the dilated convolution has 2 D outputs)
    skip, head          S, H: channels of the skip sum and of the hidden layer after it
    dilations           one number per layer, in samples
    kernel              taps of the dilated convolutions: one number, or one per layer (a tuple)
    bias                whether the convolutions have biases
    input, conditioning, output, codec, start, sampling
                        the network's ends, see `fastwavenet.ends`

    Raises ValueError naming the field, the value found and the expected ones.
    """

    sample_rate: int
    levels: int = 256
    residual: int
    dilation_channels: int
    skip: int
    head: int
    dilations: tuple[int, ...]
    kernel: _Completed[tuple[int, ...] | int, tuple[int, ...]] = 2  # type: ignore[assignment]
    bias: bool = True
    input: CodeInput = CodeInput()
    conditioning: FrameConditioning | None = None
    output: SoftmaxOutput = SoftmaxOutput()
    # None: MuLawCodec.symmetric(levels), and Start(levels // 2)
    codec: _Completed[MuLawCodec | None, MuLawCodec] = None  # type: ignore[assignment]
    start: _Completed[Start | None, Start] = None  # type: ignore[assignment]
    sampling: Sampling = Sampling()

    def __post_init__(self) -> None:
        self._check_sizes()
        self._check_layers()
        self._check_ends()
        self._check_memory()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # the class is frozen for everyone else

    def _check_sizes(self) -> None:
        self._set("sample_rate", whole("sample_rate", self.sample_rate, 1, MAX_SAMPLE_RATE))
        self._set("levels", whole("levels", self.levels, 2, MAX_LEVELS))
        for name in ("residual", "dilation_channels", "skip", "head"):
            self._set(name, whole(name, getattr(self, name), 1, MAX_CHANNELS))
        if not isinstance(self.bias, bool):
            raise ValueError(f"bias must be true or false, not {shown(self.bias)}")

    def _check_layers(self) -> None:
        self._set("dilations", _tuple("dilations", self.dilations, 1, MAX_DILATION))
        kernel = self.kernel
        if not isinstance(kernel, (tuple, list)):
            kernel = (kernel,) * len(self.dilations)
        self._set("kernel", _tuple("kernel", kernel, 2, MAX_KERNEL))
        if len(self.kernel) != len(self.dilations):
            raise ValueError(
                f"kernel must be one number or one per layer: "
                f"{len(self.kernel)} kernels for {len(self.dilations)} dilations"
            )

    def _check_ends(self) -> None:
        if self.codec is None:
            self._set("codec", MuLawCodec.symmetric(self.levels))
        if self.start is None:
            self._set("start", Start(self.levels // 2))
        for name in ENDS:
            check_end(name, getattr(self, name))
            if getattr(self, name) is not None:
                getattr(self, name).check(self)

    def _check_memory(self) -> None:
        if self.voice_bytes > MAX_VOICE_BYTES:
            raise ValueError(
                f"a voice would take {self.voice_bytes} bytes, more than {MAX_VOICE_BYTES}: "
                f"fewer or smaller layers or dilations are needed"
            )
        if self.packed_bytes > MAX_WEIGHT_BYTES:
            raise ValueError(
                f"the weights would take {self.packed_bytes} bytes, more than {MAX_WEIGHT_BYTES}: "
                f"fewer or smaller layers are needed"
            )

    def own_sampling(
        self, temperature: float | None, top_k: int | None, min_p: float | None
    ) -> Sampling:
        """Sampling by these numbers; None stands for that of the spec, with its rule by voicing.

        Raises TypeError for no numbers, ValueError out of bounds.
        """
        chosen = self.sampling.replaced(temperature=temperature, top_k=top_k, min_p=min_p)
        chosen.check(self)
        return chosen

    # ---- derived numbers -------------------------------------------------------------------

    @property
    def layers(self) -> int:
        return len(self.dilations)

    @property
    def receptive_field(self) -> int:
        """Samples that can influence one output, the newest included."""
        return 1 + (self.input.taps - 1) + sum(self._past)

    @property
    def past_bytes(self) -> int:
        """Bytes of float32 that the layers of one generated voice remember."""
        return 4 * self.residual * sum(self._past)

    @property
    def packed_bytes(self) -> int:
        """Bytes of the weights as the engine packs them, at most, in the precision that needs most.

        That is float32.  A model file's tensors never take more either.
        """
        r, d, s, h, q = self._padded
        numbers = self.input.taps * (self.levels + 1) * r + r
        numbers += 2 * d * (sum(self.kernel) * r + self.layers)
        numbers += (self.layers - 1) * r * (d + 1)
        numbers += self.layers * s * (d + 1) + h * (s + 1) + q * (h + 1)
        if self.conditioning is not None:
            inputs = _padded(self.conditioning.inputs)
            numbers += self.layers * 2 * d * (inputs + 1)
            numbers += len(self.conditioning.speakers) * _padded(self.conditioning.speaker_channels)
            numbers += sum(self._stage_numbers(self.conditioning))
        return 4 * numbers + 16 * LINE

    def _stage_numbers(self, end: FrameConditioning) -> Iterator[int]:
        """Packed numbers of each stage of the upsampling."""
        inputs = inputs_of(end.upsampling, end.channels)
        for stage, channels in zip(end.upsampling, inputs, strict=True):
            yield _padded(stage.stride * stage.channels) * (stage.taps * channels + 1)

    @property
    def voice_bytes(self) -> int:
        """Bytes of the memory of one generated voice, at most, in the precision that needs most."""
        r, d, s, h, q = self._padded
        z = self.layers * d  # the outputs of all gates
        slots = sum(self._past) + self.layers * BLOCK
        ahead = sum(min(dilation, AHEAD) for dilation in self.dilations)
        row = 4 * (r + 2 * d + s + h + q) + max(4 * z, _lines(z) + LINE)
        row += 3 * (_row_bytes(s) + _row_bytes(h))  # alone, and with two threads
        small = (8 * self.layers + 64) * LINE
        cond = 0
        if self.conditioning is not None:
            inputs, frames = _padded(self.conditioning.inputs), BLOCK + MORE_FRAMES
            cond = self.layers * frames * 8 * d + (frames + TILE + 1) * _row_bytes(inputs)
        return slots * _row_bytes(r) + ahead * 8 * d + (BLOCK + TILE) * row + cond + small

    @property
    def _padded(self) -> list[int]:
        """R, D, S, H and Q as multiples of CHANNELS."""
        sizes = (self.residual, self.dilation_channels, self.skip, self.head, self.levels)
        return [_padded(size) for size in sizes]

    @property
    def _past(self) -> list[int]:
        """Samples of its own input that each layer remembers."""
        return [(k - 1) * d for k, d in zip(self.kernel, self.dilations, strict=True)]

    @property
    def macs_per_sample(self) -> int:
        """Multiply-adds of one generated sample, a share of its frame's among them; no tables."""
        of_frames = self._product_weights(".conditioning.weight")
        end = self.conditioning
        hop = 1 if end is None else end.feature_hop
        upsampling = 0 if end is None else -(-self._upsampling_macs(end) // end.hop)
        return self._product_weights(".weight") - of_frames + -(-of_frames // hop) + upsampling

    def _upsampling_macs(self, end: FrameConditioning) -> int:
        """Multiply-adds of the upsampling of one frame."""
        macs, features = 0, 1
        for stage, channels in zip(
            end.upsampling, inputs_of(end.upsampling, end.channels), strict=True
        ):
            features *= stage.stride
            macs += features * stage.channels * stage.taps * channels
        return macs

    def _product_weights(self, ending: str) -> int:
        """Number of weights in the layers' and the head's matrices whose names end so."""
        return sum(
            math.prod(shape)
            for name, shape in self.tensors().items()
            if name.endswith(ending) and name.startswith(("layers.", "head."))
        )

    def weight_bytes(self, precision: str = "float32") -> int:
        """Bytes of all weights and biases; in float32, as stored in the model file.

        The precision is that of the products.  In int8 and int8x8 each output has a float32 scale:
        one for every tap of a dilated convolution, one for the skip products of all layers
        together.
        Raises ValueError for an unknown precision.
        """
        if not isinstance(precision, str) or precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise ValueError(f"precision must be one of {known}, not {shown(precision)}")
        numbers = sum(math.prod(shape) for shape in self.tensors().values())
        if PRECISIONS[precision] == 1:
            numbers += 2 * self.dilation_channels * sum(self.kernel)
            numbers += self.residual * (self.layers - 1) + self.skip + self.head + self.levels
            if self.conditioning is not None:
                numbers += 2 * self.dilation_channels * self.layers
        return 4 * numbers - (4 - PRECISIONS[precision]) * self._product_weights(".weight")

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every tensor, in order; the layout is PyTorch's (out, in, tap)."""
        shapes = self.input.tensors(self)
        for layer in range(self.layers):
            shapes |= self._layer_tensors(layer)
        if self.conditioning is not None:
            shapes |= self.conditioning.tensors(self)
        shapes |= self.output.tensors(self)
        kept = (".weight",) if not self.bias else (".weight", ".bias")
        return {
            name: shape
            for name, shape in shapes.items()
            if name.endswith(kept) or name.startswith(PITCH_NETWORK)
        }

    def _layer_tensors(self, layer: int) -> dict[str, tuple[int, ...]]:
        r, d, s = self.residual, self.dilation_channels, self.skip
        prefix = f"layers.{layer}"
        shapes: dict[str, tuple[int, ...]] = {
            f"{prefix}.dilated.weight": (2 * d, r, self.kernel[layer]),  # tanh half first
            f"{prefix}.dilated.bias": (2 * d,),
        }
        if layer + 1 < self.layers:  # nothing reads the residual stream after the last layer
            shapes[f"{prefix}.residual.weight"] = (r, d, 1)
            shapes[f"{prefix}.residual.bias"] = (r,)
        return shapes | {f"{prefix}.skip.weight": (s, d, 1), f"{prefix}.skip.bias": (s,)}

    # ---- to and from the model file --------------------------------------------------------

    def to_dict(self) -> dict:
        """Plain numbers, strings, lists and objects, for JSON."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values["dilations"] = list(self.dilations)
        values["kernel"] = list(self.kernel)
        for name in ENDS:
            values[name] = None if values[name] is None else values[name].to_dict()
        return values

    @classmethod
    def from_dict(cls, fields: object) -> WaveNetSpec:
        """The inverse of `to_dict`.  Raises ValueError naming an unknown, missing or bad field."""
        if not isinstance(fields, dict):
            raise ValueError(f"a spec must be a JSON object, not {type(fields).__name__}")
        check_fields(cls, fields, "spec")
        try:
            ends = {name: end_from_dict(name, fields[name]) for name in ENDS if name in fields}
            return cls(**fields | ends)
        except TypeError as error:  # of a number in `sampling`, which is an argument elsewhere
            raise ValueError(str(error)) from None


def _tuple(name: str, values: object, low: int, high: int) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or not 1 <= len(values) <= MAX_LAYERS:
        raise ValueError(
            f"{name} must be a list of 1 to {MAX_LAYERS} whole numbers, not {shown(values)}"
        )
    return tuple(whole(f"each of {name}", value, low, high) for value in values)


def _padded(size: int) -> int:
    return -(-size // CHANNELS) * CHANNELS


def _row_bytes(channels: int) -> int:
    """A row of inputs: float32, or int8's two bytes a channel and the row's scale."""
    return max(4 * channels, 2 * _lines(channels) + 4)


def _lines(size: int) -> int:
    return -(-size // LINE) * LINE
