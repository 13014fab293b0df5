"""Chapter 4 of the course."""

import pytest

NUMBERS = [  # words of the text, and what its cells compute
    ("Each row of the map is # # # # # #: large", "row"),
    ("The filter of ones answers # to the white picture", "largest['white'][0]"),
    ("and # to the horizontal line: it measures brightness", "largest['horizontal'][0]"),
    ("answers # to the line and # to the others", "[largest['vertical'][1], largest['white'][1]]"),
    ("at the click, at # seconds: # times as large", "[found / 16000, times_elsewhere]"),
    ("It answers # to the click and # to the hiss", "[of_click, of_hiss]"),
    ("Five layers turn # samples into #.", "[lengths[0], lengths[-1]]"),
    (
        "The line detector passes # times the height at 8,000 Hz and # times at 500 Hz",
        "[high, low]",
    ),
    ("and is worse: # dB against #.", "[line, repeat]"),
    ("The best two weights are # and #, nearer to repeating, with # dB", "[*two, gain_of_two]"),
    ("Sixteen times as many taps gain only # dB more", "gains[-1] - gain_of_two"),
    ("layers has # filters of # taps over # channels", "[shape[0], shape[2], shape[1]]"),
    (
        "The voice repeats itself every # samples, # times a second, and so do all # maps",
        "[of_wave, 16000 / of_wave, agreeing]",
    ),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def test_ones_detect_brightness_and_contrast_detects_the_line(chapter):
    names = chapter("04")
    assert names["row"] == [0, 0, 3, 3, 0, 0]
    assert names["largest"] == {"vertical": [3, 3], "white": [3, 0], "horizontal": [2, 0]}


def test_the_line_detector_finds_the_click_of_a_vowel_and_answers_more_to_a_hiss(chapter):
    names = chapter("04")
    assert names["found"] == names["place"]
    assert max(abs(names["speech"][names["vowel"]])) > 4 * names["height"]
    assert names["times_elsewhere"] == pytest.approx(2.6, abs=0.06)
    assert names["of_click"] == pytest.approx(0.2, abs=0.01)
    assert names["of_hiss"] == pytest.approx(0.5, abs=0.02)


def test_five_layers_of_three_taps_leave_ten_of_twenty_samples(chapter):
    names = chapter("04")
    assert names["lengths"] == [20, 18, 16, 14, 12, 10]
    assert names["padded"].tolist() == pytest.approx([1 / 3, 2 / 3] + [1] * 6)


def test_networks_do_not_turn_their_weights_round(chapter):
    names = chapter("04")
    assert names["of_torch"].tolist() == names["turned_round"].tolist()
    assert names["of_torch"].tolist() != names["mathematics"].tolist()


def test_measured_responses_are_those_of_the_formula(chapter):
    names = chapter("04")
    assert max(names["errors"].values()) < 1e-9
    assert names["high"] == pytest.approx(4)
    assert names["low"] == pytest.approx(0.04, abs=0.005)
    assert names["response"](names["filters"]["average of 16"], 1000) < 1e-12


def test_learned_weights_predict_better_than_a_straight_line(chapter):
    names = chapter("04")
    assert names["repeat"] == pytest.approx(11.2, abs=0.05)
    assert names["line"] == pytest.approx(9.5, abs=0.05)
    assert names["two"].tolist() == pytest.approx([-0.29, 1.24], abs=0.005)
    assert names["gain_of_two"] == pytest.approx(11.7, abs=0.05)
    assert names["gains"] == sorted(names["gains"])
    assert names["gains"][0] == pytest.approx(11.3, abs=0.05)
    assert names["gains"][-1] == pytest.approx(14.3, abs=0.05)
    assert names["gains"][-1] - names["gain_of_two"] == pytest.approx(2.6, abs=0.05)


def test_the_maps_of_a_trained_layer_have_the_period_of_the_voice(chapter):
    names = chapter("04")
    assert names["shape"] == (64, 32, 2)
    assert names["of_wave"] == 71
    assert names["agreeing"] == 32


def test_the_answers_to_the_exercises(chapter):
    names = chapter("04")
    assert names["row_of_edges"] == [0, 3, 3, -3, -3, 0]
    assert max(names["left"]) < 1e-9
    assert names["passed"] == pytest.approx(1)
