"""Chapter 14 of the course."""

import numpy as np
import pytest

NUMBERS = [  # words of the text, and what its cells compute
    (
        "A second is # frames of # numbers: # numbers for 16,000 samples",
        "[RATE / mel.hop, mel.mels, RATE / mel.hop * mel.mels]",
    ),
    ("raises the cost from # to about # nats a sample", "[right, by_semitones[1]]", 0.05),
    ("Griffin-Lim is *nearer* to the recording (#)", "distances['Griffin-Lim']", 0.01),
    ("than the [codec](03-mu-law.md) is (#)", "distances['mu-law codec']"),
    ("Its own samples are rough: # from the frames", 'distances["the network\'s samples"]', 0.02),
    ("until they have the frames, # away", "distances['and mel matching']"),
    (
        "# samples, which is no whole number. Each frame is then # samples too long",
        "[exact_hop, 276 - exact_hop]",
    ),
    ("the sound is # samples, # ms, late", "[late, late / 22.05]"),
    ("It is the dearest: # nats against #.", "[octave, semitone]", 0.1),
    ("Being a single frame of 10 ms late costs #.", "by_frames[1] - right"),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def test_a_sentence_has_whole_frames_and_samples_left_over(names):
    assert names["frames"].shape == (193, 80)
    assert names["left_over"] == 49520 - 193 * 256
    assert names["RATE"] / names["mel"].hop * names["mel"].mels == 5000


def test_a_click_is_loudest_in_its_own_frame(names):
    assert names["found"] == [40, 40, 40]
    assert np.argsort(names["energies"](128))[-3:].tolist() == [39, 41, 40]


def test_conditioning_costs_a_tenth_of_a_percent(names):
    assert names["share"] == pytest.approx(0.001, abs=0.0005)


def test_a_held_term_is_a_staircase_and_a_linear_one_a_line(names):
    assert np.unique(names["term"]("held")).tolist() == [0, 0.5, 1]
    assert np.allclose(np.diff(names["term"]("linear")[:9]), 1 / 8)


def test_vocoding_is_generating_with_frames(names):
    assert names["same"]


def test_the_recorder_plays_the_keys_of_its_frames(names):
    assert names["voiced"].mean() > 0.9
    assert names["cents"] < 25


def test_wrong_frames_cost_nats_and_an_octave_most(names):
    right, by_semitones, by_frames = (names[n] for n in ("right", "by_semitones", "by_frames"))
    assert right == by_semitones[0] == by_frames[0] == pytest.approx(1.57, abs=0.01)
    assert by_semitones[1] == pytest.approx(3, abs=0.05)
    assert by_semitones[1] - right == pytest.approx(1.4, abs=0.05)
    assert by_frames[1] - right == pytest.approx(0.09, abs=0.005)
    assert max(by_semitones.values()) == by_semitones[12] == pytest.approx(4.5, abs=0.1)
    assert by_semitones[12] - right == pytest.approx(3, abs=0.05)


def test_with_frames_greedy_generation_is_not_silent(names):
    levels = names["levels"]
    assert max(levels.values()) - min(levels.values()) < 1.5


def test_griffin_lim_is_nearer_than_the_codec_by_the_number_that_it_makes_small(names):
    assert names["distances"]["mu-law codec"] == pytest.approx(0.14, abs=0.005)
    assert names["distances"]["Griffin-Lim"] == pytest.approx(0.125, abs=0.01)


def test_mel_matching_brings_the_networks_sound_to_its_frames(names):
    assert names["distances"]["the network's samples"] == pytest.approx(0.65, abs=0.02)
    assert names["distances"]["and mel matching"] == pytest.approx(0.04, abs=0.005)


def test_speakers_differ_by_their_rows_alone(names):
    assert np.abs(names["ann"] - names["ben"]).max() > 0.1
    assert np.array_equal(*names["twins"])


def test_a_rounded_hop_is_late_by_frames(names):
    assert names["exact_hop"] == 275.625
    assert names["late"] == pytest.approx(900)
    assert names["late"] / 22050 > 3 * 0.0125
