"""Any recordings with frames from files and speakers from folders: each target has its own."""

import dataclasses
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import noise, record
from runs import SPEC

import fastwavenet as fw
from fastwavenet.ends import FrameConditioning, UpsamplingStage
from fastwavenet.training.data import Corpus, load_corpus
from fastwavenet.training.windows import IGNORED, Batch, Windows

NAMES = ("ann", "bob", "cid")
FED = 9999  # a start code that is no code
LEAST = 20  # samples of a recording that is used


@dataclasses.dataclass
class Recording:
    speaker: int
    more: int  # samples beyond three frames
    frames: int  # more or fewer in its file than it has
    held_out: bool


RECORDINGS = st.lists(
    st.builds(
        Recording,
        st.sampled_from([0, 1, 2]),
        st.sampled_from([0, 1, 7, 60, 250]),
        st.sampled_from([0, -1, 1]),
        st.sampled_from([False, False, True]),
    ),
    min_size=1,
    max_size=5,
)
STAGES = [
    (),
    (UpsamplingStage(2, 5, crop=2),),
    (UpsamplingStage(2, 3), UpsamplingStage(2, 3, crop=1, padding="zeros")),
]


class Known:
    """The recordings as they were written: codes of each, and the frames that it has."""

    def __init__(self, folder: Path, recordings: list[Recording], hop: int, speakers: bool):
        self.hop, self.speakers = hop, speakers
        self.recordings, trained = list[Recording](), set[int]()
        for each in recordings:  # the first of each speaker is trained on
            held_out = each.held_out and each.speaker in trained
            self.recordings.append(dataclasses.replace(each, held_out=held_out))
            trained.add(each.speaker)
        self.names = tuple(NAMES[number] for number in sorted(trained)) if speakers else ()
        self.codes, self.counts = list[np.ndarray](), list[int]()
        for number, each in enumerate(self.recordings):
            self._write(folder, number, each)

    def _write(self, folder: Path, number: int, each: Recording) -> None:
        audio = noise(max(3 * self.hop, LEAST) + each.more, number)
        count = len(audio) // self.hop + each.frames
        place = Path(NAMES[each.speaker] if self.speakers else "deep", f"{number}.wav")
        record(folder / ("held" if each.held_out else "in") / place, audio, subtype="FLOAT")
        frames = folder / "frames" / place.with_suffix(".npy")
        frames.parent.mkdir(parents=True, exist_ok=True)
        np.save(frames, np.column_stack([np.full(count, number), np.arange(count)]))
        self.codes.append(fw.mu_law_encode(audio, SPEC.levels))
        self.counts.append(min(count, len(audio) // self.hop))

    def check(self, batch: Batch) -> list[tuple[int, int]]:
        """The recording and the number of each target's sample."""
        found = []
        for row, targets in enumerate(batch.targets):
            for i in np.flatnonzero(targets != IGNORED):
                frame, within = divmod(batch.at + i, self.hop)
                number, index = batch.frames[row, :, frame].astype(int)
                sample = index * self.hop + within
                assert targets[i] == self.codes[number][sample]
                before = self.codes[number][sample - 1] if sample else FED
                assert batch.inputs[row, i] in (before, FED)
                if self.speakers:
                    name = NAMES[self.recordings[number].speaker]
                    assert self.names[batch.speakers[row]] == name
                found.append((number, sample))
        return found


def corpus_of(known: Known, folder: Path, end: FrameConditioning) -> Corpus:
    spec = dataclasses.replace(SPEC, conditioning=end)
    held = folder / "held" if (folder / "held").exists() else None
    corpus = load_corpus(folder / "in", spec, held, frames=folder / "frames")
    assert not corpus.skipped
    return corpus


@given(
    recordings=RECORDINGS,
    hop=st.sampled_from([1, 2, 16, 80]),
    speakers=st.booleans(),
    stages=st.sampled_from(STAGES),
    context=st.sampled_from([1, 5, 100]),
    fresh=st.sampled_from([1, 20, 90]),
    start=st.sampled_from([None, FED]),
)
@settings(max_examples=60)
def test_each_target_has_the_frame_of_its_sample_and_its_speaker(
    recordings, hop, speakers, stages, context, fresh, start, tmp_path_factory
):
    """Tiles have each sample once, but those that nothing precedes; batches have only such."""
    folder = tmp_path_factory.mktemp("corpus")
    known = Known(folder, recordings, hop, speakers)
    embedding = 2 * len(known.names[:1])
    end = FrameConditioning(2, hop, "linear", known.names, embedding, upsampling=stages)
    corpus, found = corpus_of(known, folder, end), []
    for clips in (corpus.train, corpus.validation):
        windows = Windows(clips, context, fresh, end, start=start)
        own = [at for tile in windows.tiles(10**6) for at in known.check(tile)]
        assert set(known.check(windows.batch(1, 3))) <= set(own)
        firsts = len(clips) if start is None else 0
        assert len(own) == sum(len(clip.codes) for clip in clips) - firsts
        found += own
    assert len(set(found)) == len(found)
    assert all(sample < known.counts[number] * hop for number, sample in found)
