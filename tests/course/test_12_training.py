"""Chapter 12 of the course.  The networks are trained where the tests run: bounds, not digits."""

import numpy as np
import pytest

NUMBERS = [  # words of the text, and what its cells compute
    ("The last window ends with the clip, so # targets count twice", "counted - (trained_on - 1)"),
    ("$\\ln 256 = #$ nats", "learnt['guessing']"),
    (
        "an adaptive spread is worth # nats of the # between",
        "[learnt['linear'] - learnt['linear, adaptive'], learnt['linear'] - learnt['network']]",
        0.15,
    ),
    (
        "Three seconds are # lessons for # numbers",
        "[trained_on - 1, sum(w.size for w in model.weights.values())]",
    ),
    ("With 0.01 the network ends at # nats a sample", "ends[0.01][1]", 5e-05),
    (
        "The lowest held-out loss came at step #. With decay 1 it came at step # and was "
        "lower, #, and the rise to # afterwards",
        "[lowest[0.01][0], lowest[1.0][0], lowest[1.0][2], ends[1.0][2]]",
        0.05,
    ),
    ("so 250 steps were about # passes", "passes"),
    (
        "67 %, # % and # % for `tiny`; # %, # % and # % for `small`",
        "[100 * share for share in [*waste[511][1:], *waste[2047]]]",
    ),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def test_windows_count_each_target_and_ignore_their_context(names):
    assert names["inside"][1].tolist() == [-100, -100, 7, 8, 9]
    assert names["at_the_begin"][1].tolist() == [1, 2, 3, 4, 5]
    assert len(names["in_order"]) == 11
    assert names["counted"] == names["trained_on"] - 1 + 1000


def test_predictors_are_better_in_the_order_of_the_text(names):
    learnt, held_out = names["learnt"], names["held_out"]
    assert list(learnt) == sorted(learnt, key=learnt.get, reverse=True)
    assert all(held_out[name] < learnt[name] for name in learnt if name != "guessing")
    assert learnt["guessing"] == pytest.approx(5.545, abs=0.001)


def test_the_lead_of_the_network_is_on_audio_it_was_trained_on(names):
    learnt, held_out = names["learnt"], names["held_out"]
    assert learnt["linear, adaptive"] - learnt["network"] == pytest.approx(0.5, abs=0.15)
    assert held_out["linear, adaptive"] == pytest.approx(held_out["network"], abs=0.15)


def test_a_linear_guess_is_as_near_as_the_networks_mean_and_a_spread_is_worth_nats(names):
    assert names["snr_linear"] == pytest.approx(names["snr_network"], abs=1)
    learnt = names["learnt"]
    assert learnt["linear"] - learnt["linear, adaptive"] == pytest.approx(0.3, abs=0.05)
    assert learnt["linear"] - learnt["network"] == pytest.approx(0.8, abs=0.15)


def test_the_run_goes_on_to_its_new_budget(names):
    assert names["summary"].steps == 150 == names["steps"][-1]
    assert 50 in names["steps"]
    rates = {line["step"]: line["learning_rate"] for line in names["log"]}
    assert rates[50] < 1e-4 > rates[150] and max(rates.values()) > 0.009


def test_losses_fall_with_steps_and_the_log_of_few_windows_jumps(names):
    old, new = zip(*names["losses"].values(), strict=True)
    assert list(names["losses"]) == [50, 150, 250]
    assert np.all(np.diff(old) < -0.3) and np.all(np.diff(new) < 0)
    assert names["jump"] > 0.25
    log = names["log"]
    assert log[-1]["validation_loss"] < log[-1]["train_loss"] - 0.3


def test_sounds_go_from_white_noise_to_a_murmur(names):
    level, flat, voiced = zip(*names["measures"].values(), strict=True)
    assert list(names["measures"]) == ["recording", *(f"after {n} steps" for n in (50, 150, 250))]
    assert flat[1] == pytest.approx(0.56, abs=0.05) and level[1] > 1.5
    assert flat[1] > flat[2] > flat[3] > flat[0]
    assert voiced[1] < 0.05 and 0.03 < voiced[3] < voiced[0]


def test_the_kept_runs_learn_by_heart_later_with_more_decay(names):
    lowest, ends = names["lowest"], names["ends"]
    assert (lowest[0.01][0], lowest[1.0][0]) == (100, 150)
    assert lowest[1.0][2] < lowest[0.01][2]
    assert ends[0.01][1] < 0.001 and ends[0.01][2] == pytest.approx(16.4, abs=0.1)
    assert ends[1.0][1:].tolist() == pytest.approx([1.2, 3.6], abs=0.05)
    assert names["losses"][250][1] == pytest.approx(lowest[1.0][2], abs=0.15)  # trained here


def test_passes_and_the_waste_of_short_windows(names):
    assert names["steps_of_an_hour"] == 14_062.5
    assert round(names["passes"]) == 23
    assert names["waste"] == {511: [0.67, 0.33, 0.11], 2047: [0.89, 0.67, 0.33]}
