"""What the engine is compared with is right: the PyTorch generators, and the benchmark's peers."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import NETWORKS, every_network, random_codes, random_weights, small_spec

from fastwavenet import reference
from fastwavenet.training.generate import (
    NaiveWaveNet,
    QueuedWaveNet,
    draw,
    generate_naive,
    generate_queued,
)
from fastwavenet.training.model import WaveNet


def load_peers():
    """bench/peers.py, without putting the folder of scripts on the path."""
    path = Path(__file__).parents[1] / "bench" / "peers.py"
    spec = importlib.util.spec_from_file_location("bench_peers", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


peers = load_peers()


pytestmark = pytest.mark.usefixtures("one_thread")


def float64_net(spec, seed: int) -> tuple[WaveNet, dict[str, np.ndarray]]:
    weights = random_weights(spec, seed)
    net = WaveNet(spec)
    net.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return net.double(), weights


# ---- fastwavenet.training.generate -------------------------------------------------------------

both_ways = pytest.mark.parametrize("stepper", [NaiveWaveNet, QueuedWaveNet])


@both_ways
@every_network
def test_steps_compute_the_logits_of_the_reference_row_by_row(spec, stepper):
    net, weights = float64_net(spec, seed=1)
    n = spec.receptive_field + 20
    rows = np.stack([random_codes(spec, n, seed=2), random_codes(spec, n, seed=3)])
    stepping = stepper(net, batch=2)
    found = np.stack([stepping.step(torch.from_numpy(column)).numpy() for column in rows.T], axis=1)
    for codes, logits in zip(rows, found, strict=True):
        expected = reference.teacher_forced(spec, weights, codes)
        assert np.abs(logits - expected).max() <= 1e-12 * max(1, np.abs(expected).max())


@both_ways
def test_codes_that_are_fed_count_as_steps(stepper):
    net, _ = float64_net(NETWORKS["kernel_3"], seed=4)
    codes = torch.from_numpy(random_codes(net.spec, 30, seed=5))
    stepped, fed = stepper(net), stepper(net)
    for code in codes[:-1]:
        stepped.step(code[None])
    fed.feed(codes[None, :-1])
    assert torch.equal(stepped.step(codes[-1:]), fed.step(codes[-1:]))


@pytest.mark.parametrize("name", ["kernel_2", "kernel_3", "one_layer", "first_kernel_1"])
@pytest.mark.parametrize("temperature", [0, 0.7])
def test_naive_and_queued_generation_draw_the_same_codes(name, temperature):
    net, _ = float64_net(NETWORKS[name], seed=6)
    prime = torch.from_numpy(random_codes(net.spec, 2 * 25, seed=7).reshape(2, 25))
    for start in (None, prime[:, :1], prime):
        codes = [
            generate(
                net,
                40,
                batch=2,
                prime=start,
                temperature=temperature,
                generator=torch.Generator().manual_seed(8),
            )
            for generate in (generate_naive, generate_queued)
        ]
        assert codes[0].shape == (2, 40)
        assert torch.equal(*codes)


def test_greedy_generation_takes_the_most_probable_code_after_what_came_before():
    net, weights = float64_net(NETWORKS["kernel_2"], seed=9)
    for known in ([net.spec.start_code], [3], random_codes(net.spec, 12, seed=22).tolist()):
        prime = None if known == [net.spec.start_code] else torch.tensor([known])
        (codes,) = generate_queued(net, 30, prime=prime, temperature=0).tolist()
        logits = reference.teacher_forced(net.spec, weights, known + codes[:-1])
        assert codes == logits.argmax(axis=1)[len(known) - 1 :].tolist()
        assert len(set(codes)) > 1


@pytest.mark.parametrize("generate", [generate_naive, generate_queued])
def test_no_samples_is_an_empty_row(generate):
    net, _ = float64_net(NETWORKS["kernel_2"], seed=23)
    assert generate(net, 0, batch=2).shape == (2, 0)


def test_draw_follows_the_softmax_at_its_temperature():
    logits, temperature, n = torch.tensor([1.0, -0.5, 0.3, 2.0]), 1.7, 20000
    found = draw(logits.expand(n, -1), temperature, torch.Generator().manual_seed(10))
    expected = n * torch.softmax(logits / temperature, dim=0)
    chi_square = ((torch.bincount(found, minlength=4) - expected) ** 2 / expected).sum()
    assert chi_square < 16.3  # three degrees of freedom: passed by all but one seed in 1000


# ---- the benchmark's peers ---------------------------------------------------------------------

ALL = [peers.Naive, peers.CleanQueue, peers.TunedTorch, peers.TunedNumpy]
TUNED = [peers.TunedTorch, peers.TunedNumpy]
FIT = {
    name: spec
    for name, spec in NETWORKS.items()
    if len(set(spec.kernel)) == 1 and spec.first_kernel == 2 and spec.bias
}


@pytest.mark.parametrize("peer", ALL, ids=lambda peer: peer.__name__)
@pytest.mark.parametrize("spec", FIT.values(), ids=FIT)
def test_peers_compute_the_logits_of_the_reference(spec, peer):
    weights = random_weights(spec, seed=11)
    codes = random_codes(spec, spec.receptive_field + 20, seed=12)
    expected = reference.teacher_forced(spec, weights, codes)
    contender = peer(spec, weights)
    for _ in range(2):  # the second time, it has forgotten the first
        found = contender.logits(codes)
        assert np.abs(found - expected).max() <= 2e-5 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("peer", TUNED, ids=lambda peer: peer.__name__)
def test_rings_of_different_periods_stay_in_step(peer, kernel):
    spec = small_spec(dilations=(3, 5, 2), kernel=kernel)
    weights = random_weights(spec, seed=13)
    codes = random_codes(spec, 2 * 60 + 7, seed=14)
    expected = reference.teacher_forced(spec, weights, codes)
    found = peer(spec, weights).logits(codes)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("peer", ALL, ids=lambda peer: peer.__name__)
def test_peers_draw_from_the_softmax_of_what_they_drew_before(peer):
    spec = NETWORKS["kernel_2"]
    weights = random_weights(spec, seed=15)
    torch.manual_seed(16)
    contender = peer(spec, weights)
    codes = np.concatenate([contender.generate(n) for n in (1, 700, 300)])
    logits = reference.teacher_forced(spec, weights, [spec.start_code, *codes[:-1]])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    surplus = (codes[:, None] == np.arange(spec.levels)).sum(axis=0) - p.sum(axis=0)
    assert np.all(np.abs(surplus) < 5 * np.sqrt((p * (1 - p)).sum(axis=0)))
    surprise, entropy = -np.log(p[np.arange(len(codes)), codes]), -(p * np.log(p)).sum(axis=1)
    assert abs((surprise - entropy).mean()) < 4 * surprise.std() / np.sqrt(len(codes))


@pytest.mark.parametrize("peer", TUNED, ids=lambda peer: peer.__name__)
def test_tuned_peers_continue_where_they_stopped(peer):
    spec = NETWORKS["kernel_3"]
    weights = random_weights(spec, seed=17)
    whole, parts = peer(spec, weights, seed=18), peer(spec, weights, seed=18)
    expected = whole.generate(600)
    assert np.array_equal(np.concatenate([parts.generate(n) for n in (1, 255, 344)]), expected)
    assert not np.array_equal(peer(spec, weights, seed=19).generate(600), expected)


def test_the_naive_peer_is_timed_on_a_whole_receptive_field():
    spec = NETWORKS["kernel_3"]
    naive = peers.Naive(spec, random_weights(spec, seed=20))
    naive.fill()
    assert naive.net.codes.shape == (1, spec.receptive_field)


@pytest.mark.parametrize("peer", TUNED, ids=lambda peer: peer.__name__)
@pytest.mark.parametrize("name", ["kernels_mixed", "first_kernel_1", "no_bias"])
def test_tuned_peers_refuse_what_they_are_not_written_for(name, peer):
    spec = NETWORKS[name]
    with pytest.raises(ValueError, match="need one kernel size"):
        peer(spec, random_weights(spec, seed=21))


def test_a_peer_below_its_known_ratio_is_called_miswritten():
    rates = {peers.CleanQueue.name: 1000.0, peers.TunedTorch.name: 2250.0}
    assert peers.miswritten("C3", rates | {peers.TunedNumpy.name: 2289.0}) == []
    (complaint,) = peers.miswritten("C3", rates | {peers.TunedNumpy.name: 2287.0})
    assert "C3" in complaint and peers.TunedNumpy.name in complaint
