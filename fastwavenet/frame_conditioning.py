"""The conditioning of a network on frames, with pitch and upsampling or not, and on speakers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .checks import check_fields, integer, supported, whole, within
from .end import End, Shapes, set_field
from .mel_conventions import Mel
from .shown import shown
from .upsampling import Stages, check_upsampling, checked_stages, rate, reach, stage_tensors

if TYPE_CHECKING:
    from .spec import WaveNetSpec

MAX_CHANNELS = 4096
MAX_HOP = 65536
MAX_SPEAKERS = 65536
MAX_NAME = 100  # characters
MAX_PITCH = 48_000  # Hz
PITCH_NETWORK = "conditioning.pitch"  # prefix of its tensors' names


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
        set_field(self, "fmin", within("pitch fmin", self.fmin, 10, MAX_PITCH))
        set_field(self, "fmax", within("pitch fmax", self.fmax, 2 * self.fmin, 2 * MAX_PITCH))
        set_field(self, "hidden", whole("pitch hidden", self.hidden, 0, MAX_CHANNELS))

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
    upsampling        stages that turn frames into the features that the layers take; (): frames
                      are the features.  The product of their strides divides hop
    edges             frames before the first and behind the last one, for the upsampling: "held":
                      equal to the first and the last, "zeros": zeros, as PyTorch pads

    With upsampling, "held" and "linear" are between features instead of frames.
    """

    channels: int = 0
    hop: int = 1
    interpolation: str = "held"
    speakers: tuple[str, ...] = ()
    speaker_channels: int = 0
    features: Mel | str | None = None
    pitch: Pitch | None = None
    upsampling: Stages = ()
    edges: str = "held"
    kind: ClassVar[str] = "frames"

    def __post_init__(self) -> None:
        for name, low, high in (
            ("channels", 0, MAX_CHANNELS),
            ("hop", 1, MAX_HOP),
            ("speaker_channels", 0, MAX_CHANNELS),
        ):
            set_field(self, name, whole(f"conditioning {name}", getattr(self, name), low, high))
        supported("conditioning interpolation", self.interpolation, ("held", "linear"))
        set_field(self, "speakers", _names(self.speakers))
        set_field(self, "features", _features(self.features))
        set_field(self, "pitch", _pitch(self.pitch))
        if self.pitch is not None and self.mel is None:
            raise ValueError("conditioning pitch needs features that are a Mel")
        supported("conditioning edges", self.edges, ("held", "zeros"))
        set_field(self, "upsampling", checked_stages(self.upsampling))
        check_upsampling(self.upsampling, self.channels, self.hop, self.edges)
        if bool(self.speakers) != bool(self.speaker_channels):
            raise ValueError(
                f"conditioning needs speaker_channels where there are speakers, and only there: "
                f"{len(self.speakers)} speakers, {self.speaker_channels} channels"
            )
        if not self.inputs:
            raise ValueError("conditioning must have channels or speakers, or be None")

    def to_dict(self) -> dict[str, Any]:
        """A JSON object; without upsampling that of versions that had none."""
        fields = super().to_dict()
        if not self.upsampling:
            del fields["upsampling"], fields["edges"]
            return fields
        for stage in fields["upsampling"]:
            if stage["padding"] == "none":  # older versions read the others
                del stage["padding"]
        return fields

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

    def channels_given(self, shape: tuple[int, ...]) -> int:
        """The channels that frames of this shape must have to be vocoded.

        They are those of mel frames alone if pitch is predicted from them and the frames have as
        many, or are transposed.  Raises ValueError for frames that have neither number.
        """
        mels = self.predicted_from
        if mels is None or shape[-1:] == (self.channels,):
            return self.channels
        if mels not in shape[-2:]:
            raise ValueError(
                f"frames must have shape (frames, {self.channels}), or (frames, {mels}) without "
                f"pitch, not {shape}"
            )
        return mels

    @property
    def described(self) -> str:
        """The name of the features as in `--mel`, or "" for unnamed ones."""
        return f"{self.features or ''}{'+pitch' if self.pitch else ''}"

    @property
    def feature_channels(self) -> int:
        """Channels of the features that the layers take."""
        return self.upsampling[-1].channels if self.upsampling else self.channels

    @property
    def feature_hop(self) -> int:
        """Samples that features last."""
        return self.hop // rate(self.upsampling)

    @property
    def inputs(self) -> int:
        """Channels of features and of a speaker together."""
        return self.feature_channels + self.speaker_channels

    @property
    def reach(self) -> tuple[int, int]:
        """Frames before and after a sample's own on which it depends."""
        return reach(self.upsampling, following=int(self.interpolation == "linear"))

    def tensors(self, spec: WaveNetSpec) -> Shapes:
        shapes: Shapes = {}
        if self.speakers:
            shapes["conditioning.speakers.weight"] = (len(self.speakers), self.speaker_channels)
        shapes |= stage_tensors(self.upsampling, self.channels)
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
