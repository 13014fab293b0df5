"""Notes to the frames of an instrument, improvised melodies, and what generate does with them."""

import json

import numpy as np
import pytest
import soundfile
from networks import random_weights, small_spec

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.ends import FrameConditioning
from fastwavenet.improvisation import improvise
from fastwavenet.piano_roll import Note, note_name, piano_roll, piano_roll_name, read_notes

LOW, HIGH, HOP = 48, 64, 80
NAME = piano_roll_name(LOW, HIGH)
END = FrameConditioning(HIGH - LOW + 2, HOP, features=NAME)
SPEC = small_spec(conditioning=END)  # 8000 Hz: 100 frames a second
SEEDS = range(100)


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "instrument.safetensors"
    modelfile.save(file, SPEC, random_weights(SPEC, 3))
    return file


@pytest.fixture
def instrument(file):
    return fw.load(file)


# ---- notes ---------------------------------------------------------------------------------------


def test_c4_is_key_60_and_accidentals_are_semitones():
    keys = [note.key for note in read_notes("C4 c4 C#4 Db4 B3 Cb4 B#3 A4 C-1 -")]
    assert keys == [60, 60, 61, 61, 59, 59, 60, 69, 0, None]


def test_a_note_lasts_its_seconds_or_0_4():
    assert [note.seconds for note in read_notes("D3:0.5 D3 -:2 -")] == [0.5, 0.4, 2.0, 0.4]


def test_the_name_of_a_key_is_read_back():
    assert [read_notes(note_name(key))[0].key for key in range(128)] == list(range(128))


@pytest.mark.parametrize("word", ["H3", "D", "D3:", "D3:0", "D3:-1", "D3:1.2.3", "D3:9999", "3D"])
def test_a_note_that_cannot_be_read_is_named(instrument, word):
    with pytest.raises(ValueError, match="expected notes such as D5.*" + word):
        fw.melody(instrument, f"C3 {word} E3")


@pytest.mark.parametrize("name", ["B2", "F4"])
def test_a_note_outside_the_range_is_named_with_the_range(instrument, name):
    with pytest.raises(ValueError, match=f"plays from C3 to E4, not {name}"):
        fw.melody(instrument, f"C3 {name}")


def test_the_lowest_and_the_highest_note_are_played(instrument):
    frames = fw.melody(instrument, "C3:0.1 E4:0.1")
    assert np.flatnonzero(frames[0, :-1]).tolist() == [0]
    assert np.flatnonzero(frames[-1, :-1]).tolist() == [HIGH - LOW]


def test_no_notes_are_no_frames(instrument):
    assert fw.melody(instrument, "").shape == (0, END.channels)
    assert fw.melody(instrument, seconds=0, seed=1).shape == (0, END.channels)


# ---- the piano roll ------------------------------------------------------------------------------


def test_a_key_sounds_from_its_first_frame_to_the_one_before_its_end():
    roll = piano_roll([Note(None, 0.02), Note(50, 0.03), Note(None, 0.01)], 50, 50, 100)
    np.testing.assert_array_equal(roll[:, 0] > 0, [False, False, True, True, True, False])


def test_the_attack_begins_at_1_with_each_note_and_decays_through_rests():
    attack = piano_roll([Note(50, 0.02), Note(50, 0.02), Note(None, 0.02)], 50, 50, 100)[:, -1]
    decay = np.exp(-np.arange(4) * 0.01 / 0.08)
    np.testing.assert_allclose(attack, [*decay[:2], *decay], rtol=1e-6)


def test_ends_of_notes_are_rounded_so_that_errors_do_not_add_up():
    assert len(piano_roll([Note(50, 0.0149)] * 100, 50, 50, 100)) == 149


# ---- improvised melodies -------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.5, 1.0, 4.0, 60.0])
@pytest.mark.parametrize("bounds", [(36, 76), (60, 60), (60, 65), (0, 127)])
def test_an_improvisation_lasts_its_seconds_within_the_range(seconds, bounds):
    for seed in SEEDS:
        notes = improvise(seconds, seed, *bounds)
        assert sum(length for _, length in notes) == pytest.approx(seconds)
        assert all(bounds[0] <= key <= bounds[1] and length > 0 for key, length in notes)


def test_it_ends_on_its_first_note_which_is_the_longest():
    for seed in SEEDS:
        notes = improvise(8, seed, 36, 76)
        assert notes[-1][0] == notes[0][0]
        assert notes[-1][1] == max(length for _, length in notes)


def test_a_seed_names_a_melody(instrument):
    melodies = [fw.melody(instrument, seconds=4, seed=seed).tobytes() for seed in SEEDS]
    assert fw.melody(instrument, seconds=4, seed=7).tobytes() == melodies[7]
    assert len(set(melodies)) > 50


def test_melodies_stay_equal_between_versions():
    keys = [key for key, _ in improvise(3, 7, 36, 76)]
    assert " ".join(map(note_name, keys)) == EXPECTED


EXPECTED = "F#2 C#3 F#3 A#3 F#3 C#3 F#3 C#3 B2 F#2"


def test_seconds_are_4_unless_given(instrument):
    assert len(fw.melody(instrument, seed=1)) == 400
    assert len(fw.melody(instrument, seconds=1.5)) == 150


# ---- errors --------------------------------------------------------------------------------------


def test_notes_leave_no_room_for_seconds_or_a_seed(instrument):
    for arguments in ({"seconds": 1}, {"seed": 1}):
        with pytest.raises(ValueError, match="leave them or notes out"):
            fw.melody(instrument, "C3", **arguments)


@pytest.mark.parametrize("seconds", [-1, float("nan"), 1e9, "4"])
def test_seconds_must_be_a_number_of_at_most_an_hour(instrument, seconds):
    with pytest.raises(ValueError, match="seconds must be"):
        fw.melody(instrument, seconds=seconds)


@pytest.mark.parametrize(
    ("end", "found"),
    [
        (None, "found no frames"),
        (FrameConditioning(3, HOP), "found frames 'without a name'"),
        (FrameConditioning(3, HOP, features="pitch"), "found frames 'pitch'"),
        (FrameConditioning(3, HOP, features=NAME), "has 18 channels, the model's frames 3"),
    ],
    ids=["none", "unnamed", "other", "wrong channels"],
)
def test_a_model_of_other_frames_plays_no_melody(tmp_path, end, found):
    spec = small_spec(conditioning=end)
    modelfile.save(tmp_path / "m.safetensors", spec, random_weights(spec, 1))
    with pytest.raises(ValueError, match=found):
        fw.melody(fw.load(tmp_path / "m.safetensors"), "C3")


# ---- fastwavenet generate ------------------------------------------------------------------------


def generated(run, file, *line):
    """The result and the samples of fastwavenet generate."""
    out = file.parent / "out.wav"
    code, said, errors = run("generate", file, "-o", out, "--json", *line)
    assert (code, errors) == (0, "")
    return json.loads(said), soundfile.read(out, dtype="int16")[0]


def test_generate_plays_notes(run, file, instrument):
    _, audio = generated(run, file, "--notes", "C3:0.1 E3:0.2", "--seed", "5")
    frames = fw.melody(instrument, "C3:0.1 E3:0.2")
    expected = fw.generate(instrument, frames=frames, seed=5)
    fw.write_audio(file.parent / "expected.wav", expected, 8000)
    np.testing.assert_array_equal(
        audio, soundfile.read(file.parent / "expected.wav", dtype="int16")[0]
    )


@pytest.mark.parametrize("samples", [1, HOP - 1, HOP, HOP + 1, 4000])
def test_generate_improvises_by_its_seed_which_it_reports(run, file, samples):
    result, audio = generated(run, file, "--samples", samples)
    again = generated(run, file, "--samples", samples, "--seed", result["seed"])[1]
    assert len(audio) == samples
    np.testing.assert_array_equal(audio, again)


def refused(run, file, *line) -> str:
    code, _, errors = run("generate", file, "-o", file.parent / "out.wav", *line)
    assert code == 2 and errors.count("\n") == 1
    assert not (file.parent / "out.wav").exists()
    return errors


def test_generate_refuses_notes_beside_frames_and_for_other_models(run, file, tmp_path):
    np.save(tmp_path / "f.npy", np.zeros((3, END.channels), np.float32))
    error = refused(run, file, "--notes", "C3", "--frames", tmp_path / "f.npy")
    assert "either --frames or --notes" in error
    modelfile.save(tmp_path / "m.safetensors", small_spec(), random_weights(small_spec(), 1))
    assert "piano roll" in refused(run, tmp_path / "m.safetensors", "--notes", "C3")


def test_generate_refuses_more_seconds_than_the_notes_last_and_endless_melodies(run, file):
    assert "last 800" in refused(run, file, "--notes", "C3:0.1", "--seconds", "1")
    assert "has an end" in refused(run, file, "--raw", "--seconds", "inf")
