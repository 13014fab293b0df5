"""The search finds the lowest score of a known function, and spends no time on hopeless lines."""

import math

import pytest

from fastwavenet.ends import Sampling
from fastwavenet.tuning_search import MOST_TRIED, PLAIN, search


def bowl(temperature=1.0, min_p=0.0, voiced=None, top_k=256):
    """A score with its minimum, 1, at these numbers."""

    def score(sampling: Sampling) -> float:
        rule = sampling.voiced
        own = sampling.temperature if rule is None else rule.temperature
        return (
            1
            + 20 * abs(sampling.temperature - temperature)
            + abs(math.log(sampling.min_p + 1e-3) - math.log(min_p + 1e-3))
            + abs(math.log(sampling.top_k or 256) - math.log(top_k))
            + (0 if voiced is None else 20 * abs(own - voiced))
        )

    return score


def best(score, levels=256, voicing=None) -> Sampling:
    return search(score, levels, voicing)[0]


@pytest.mark.parametrize("temperature", [0.6, 0.72, 0.85, 0.95, 1, 1.05, 1.2])
def test_the_best_temperature_is_found_to_0_03(temperature):
    assert best(bowl(temperature)).temperature == pytest.approx(temperature, abs=0.03)


@pytest.mark.parametrize("min_p", [0, 0.001, 0.002, 0.01, 0.1])
def test_the_best_min_p_of_the_ladder_is_found(min_p):
    assert best(bowl(min_p=min_p)).min_p == min_p


@pytest.mark.parametrize("top_k", [32, 64, 90])
def test_the_best_top_k_is_found(top_k):
    assert best(bowl(top_k=top_k)).top_k == pytest.approx(top_k, rel=0.02)


def test_a_higher_temperature_that_needs_a_limit_is_found():
    found = best(bowl(temperature=1.1, min_p=0.02))
    assert (found.temperature, found.min_p) == (1.1, 0.02)


def test_voiced_frames_get_a_temperature_where_frames_hold_voicing():
    found = best(bowl(temperature=1, voiced=0.7), voicing=81)
    assert (found.voiced.channel, found.voiced.temperature) == (81, 0.7)
    assert best(bowl(temperature=1, voiced=0.7)).voiced is None


def test_each_sampling_is_tried_once_and_plain_first():
    tried = []
    score = bowl(0.85, 0.01, 0.6)
    ranked = search(lambda sampling: tried.append(sampling) or score(sampling), 256, 81)
    assert tried[0] == PLAIN == Sampling()
    assert len(set(tried)) == len(tried) == len(ranked) <= MOST_TRIED
    assert [score(each) for each in ranked] == sorted(map(score, tried))


def test_of_equal_scores_the_first_tried_is_the_best():
    assert search(lambda _: 1.0, 256)[0] == PLAIN


def test_a_line_ends_with_a_hopeless_score():
    tried = search(lambda sampling: 1 + 100 * abs(sampling.temperature - 1), 256)
    assert Sampling(temperature=0.9) in tried and Sampling(temperature=0.8) not in tried


@pytest.mark.parametrize("levels", [2, 3, 4, 16, 17, 256])
def test_every_sampling_suits_the_number_of_codes(levels):
    for score in (bowl(), bowl(top_k=1), bowl(0.3), bowl(1.5), bowl(min_p=0.2)):
        for each in search(score, levels):
            assert each.top_k is None or 1 <= each.top_k < levels
