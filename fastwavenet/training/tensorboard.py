"""A run in TensorBoard: scalars, sounds and spectrograms (the `tensorboard` extra)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..picture import palette, spectrogram_pixels
from ..types import Audio
from .previews import Preview
from .report_page import LOSSES, speeds
from .snapshot import Snapshot

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard:
    """Writes event files to a folder, which is made with the first report.

    A resumed run adds a file to those that are there.  Raises ModuleNotFoundError if the package
    tensorboard is missing.
    """

    name = "TensorBoard's files"

    def __init__(self, folder: Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ModuleNotFoundError(
                "tensorboard is missing: pip install 'fastwavenet[tensorboard]', or leave out "
                "--tensorboard"
            ) from error
        self.folder, self.make = folder, SummaryWriter
        self.writer: SummaryWriter | None = None

    def report(self, now: Snapshot, previews: list[Preview]) -> None:
        """Adds the last record; the first report of a new folder adds all of them."""
        new = 1 if any(self.folder.glob("events.*")) else len(now.history)
        if self.writer is None:
            self.writer = self.make(self.folder)
        speed = dict(speeds(now.history))
        for record in now.history[-new:]:
            _add_scalars(self.writer, record, speed)
        rate = now.settings.spec.sample_rate
        for index, preview in enumerate(previews, 1):
            _add_sound(self.writer, f"preview {index}", preview.audio, now.steps, rate)
            if preview.original is not None and len(preview.original):
                tag = f"preview {index}, recording"
                _add_sound(self.writer, tag, preview.original, now.steps, rate)
        self.writer.flush()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def _add_scalars(writer: SummaryWriter, record: dict, speed: dict[int, float]) -> None:
    step = record["step"]
    scalars = {f"loss/{name}": record[key] for key, name, _ in LOSSES if key in record}
    scalars["learning rate"] = record["learning_rate"]
    if step in speed:
        scalars["steps per second"] = speed[step]
    for tag, value in scalars.items():
        writer.add_scalar(tag, value, step)


def _add_sound(writer: SummaryWriter, tag: str, audio: Audio, step: int, rate: int) -> None:
    writer.add_audio(tag, audio[None], step, rate)
    picture = palette()[spectrogram_pixels(audio, rate)]
    writer.add_image(tag, picture, step, dataformats="HWC")
