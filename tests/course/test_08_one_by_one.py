"""Chapter 8 of the course."""

import numpy as np
import pytest

NUMBERS = [  # words of the text, and what its cells compute
    (
        "finds that # to # % of a network's weights",
        "[100 * one_by_one['tiny'], 100 * one_by_one['ibab']]",
    ),
    ("The dilated one gives others, # % away", "100 * changes['dilated']", 5),
    (
        "hold # % of the weights of preset tiny, # % of base, and # % of ibab",
        "[100 * one_by_one[name] for name in ('tiny', 'base', 'ibab')]",
    ),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def test_a_1x1_convolution_is_a_matrix(names):
    assert names["difference"] < 1e-5


def test_shuffling_the_samples_shuffles_its_result_and_changes_that_of_a_dilated_one(names):
    assert names["changes"]["1x1"] < 1e-6
    assert names["changes"]["dilated"] == pytest.approx(0.58, abs=0.05)


def test_middle_and_side_separate_the_voice_and_the_tone(names):
    assert max(names["left_over"]) < 1e-6


def test_shapes_are_those_of_the_spec(names):
    weights = {f"{name}.weight": shape[1] for name, shape in names["shapes"].items()}
    tensors = names["spec"].tensors()
    assert weights.items() <= tensors.items()
    assert "layers.1.residual" not in names["shapes"]
    assert {shape[2] for name, shape in weights.items() if "dilated" not in name} == {1}


def test_shares_of_the_weights_are_those_of_the_text(names):
    assert names["one_by_one"] == {"tiny": 0.46, "small": 0.61, "base": 0.6, "ibab": 0.85}
    for preset, counts in names["counts"].items():
        tensors = names["preset_spec"](preset, 16000).tensors()
        assert sum(counts.values()) == sum(int(np.prod(shape)) for shape in tensors.values())


def test_a_1x1_convolution_folds_into_the_next_convolution(names):
    assert names["fold_difference"] < 1e-4


def test_the_answers_count_and_predict(names):
    kinds = {"1x1": 0, "dilated": 0}
    for name, count in names["own"].items():
        kinds["dilated" if "dilated" in name else "1x1"] += count
    assert kinds == {"1x1": names["in_one_by_one"], "dilated": names["in_dilated"]}
    assert names["change"] < 1e-6
