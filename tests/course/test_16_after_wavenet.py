"""Chapter 16 of the course."""

import numpy as np
import pytest

NUMBERS = [  # words of the text, and what its cells compute
    (
        "WaveGlow does # times as many as our `base`",
        "networks['WaveGlow'][1] / networks['WaveNet, base'][1]",
    ),
    ("some # million weights", "waveglow_weights / 1e6"),
    ("almost # of 16 bits", "gain / 6.02", 0.3),
    (
        "By 16, to # steps of two draws each, which are # in a row. FARGAN has #,",
        "[subscale / 2, subscale, networks['FARGAN'][3]]",
    ),
    ("The recording itself has # bits a second", "16 * RATE"),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def macs(names, network):
    return names["networks"][network][1]


@pytest.mark.parametrize(
    "check, tolerance",
    [("HiFi-GAN V1", 0.02), ("HiFi-GAN V3", 0.02), ("WaveGlow", 0.02), ("DiffWave", 0.02)],
)
def test_counts_agree_with_published_ones(names, check, tolerance):
    ((counted, published),) = [c for name, c in names["checks"].items() if name.startswith(check)]
    assert counted == pytest.approx(published, rel=tolerance)


def test_of_lpcnet_a_fifth_is_missing(names):
    counted, published = names["checks"]["LPCNet, GFLOPS"]
    assert 1 - counted / published == pytest.approx(0.2, abs=0.03)


def test_flows_and_diffusion_do_more_and_gans_and_codecs_less_than_base(names):
    base = macs(names, "WaveNet, base")
    assert macs(names, "WaveGlow") / base == pytest.approx(12, abs=0.5)
    assert macs(names, "DiffWave, 6 steps") / base == pytest.approx(9, abs=0.1)
    for network in ("HiFi-GAN V3", "EnCodec, decoder", "LPCNet", "FARGAN"):
        assert macs(names, network) < base / 5
    assert min(names["networks"], key=lambda n: macs(names, n)) == "FARGAN"


def test_linear_prediction_takes_twenty_decibels_and_almost_four_bits(names):
    assert names["gain"] > 20
    assert names["gain"] / 6.02 == pytest.approx(3.8, abs=0.1)


def test_serial_and_parallel_filters_give_the_same_sound(names):
    assert names["error"] < 1e-3
    assert names["taps"] > 10 * names["order"]


def test_tables_divide_the_error_by_three(names):
    errors = names["errors"]
    assert all(np.diff(errors) < 0)
    assert errors[0] / errors[-1] == pytest.approx(3, abs=0.3)
    assert all(e / f < 2 for e, f in zip(errors, errors[1:], strict=False))


def test_subscale_wavernn_has_3000_draws_a_second(names):
    assert names["subscale"] == 3000
    assert names["networks"]["FARGAN"][3] == 400


def test_the_networks_that_a_core_could_run(names):
    late = set(names["networks"]) - set(names["in_time"])
    assert late == {"WaveGlow", "WaveNet, r9y9's"}
    fast = {"WaveNet, base", "LPCNet", "HiFi-GAN V3", "EnCodec, decoder", "FARGAN"}
    assert set(names["ten_times"]) == fast
