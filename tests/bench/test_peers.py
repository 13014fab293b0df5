"""What the engine is compared with is right: the PyTorch generators, and the benchmark's peers."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from c_build import HELPERS
from networks import NETWORKS, random_codes, random_weights, small_spec

from fastwavenet import Model, reference
from fastwavenet.bench import contenders
from fastwavenet.bench import known as study
from fastwavenet.bench import networks as bench_networks
from fastwavenet.bench.contenders import CLEAN, PEERS, line_up
from fastwavenet.bench.engine_peer import Engine
from fastwavenet.bench.known import FASTEST, ONE_VOICE, miswritten
from fastwavenet.bench.measure import Answers, Refused
from fastwavenet.bench.numpy_peer import TunedNumpy
from fastwavenet.bench.onnx_peer import OnnxQueue
from fastwavenet.bench.openvino_peer import OPTIONS, OpenVinoBfloat16, OpenVinoInt8, OpenVinoQueue
from fastwavenet.bench.peer import NotAvailable
from fastwavenet.bench.torch_compiled import CompiledQueue
from fastwavenet.bench.torch_generate import (
    NaiveWaveNet,
    QueuedWaveNet,
    draw,
    generate_naive,
    generate_queued,
)
from fastwavenet.bench.torch_peers import CleanQueue, Naive, TunedTorch
from fastwavenet.ends import CodeInput, FrameConditioning
from fastwavenet.training.model import WaveNet

pytestmark = pytest.mark.usefixtures("one_thread")

THEIRS = "wavenet-coding, numpy"

# Conditioned ones: test_conditions.py.
COMPARABLE = {name: spec for name, spec in NETWORKS.items() if not spec.conditioning}


def float64_net(spec, seed: int) -> tuple[WaveNet, dict[str, np.ndarray]]:
    weights = random_weights(spec, seed)
    net = WaveNet(spec)
    net.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return net.double(), weights


# ---- fastwavenet.bench.torch_generate ----------------------------------------------------------

both_ways = pytest.mark.parametrize("stepper", [NaiveWaveNet, QueuedWaveNet])


@both_ways
@pytest.mark.parametrize("spec", COMPARABLE.values(), ids=COMPARABLE)
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
    for known in ([net.spec.start.code], [3], random_codes(net.spec, 12, seed=22).tolist()):
        prime = None if known == [net.spec.start.code] else torch.tensor([known])
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

TUNED = [
    TunedTorch,
    TunedNumpy,
    OnnxQueue,
    OpenVinoQueue,
    pytest.param(CompiledQueue, marks=pytest.mark.slow),
]
FIT = {
    name: spec
    for name, spec in COMPARABLE.items()
    if len(set(spec.kernel)) == 1 and spec.input == CodeInput(2) and spec.bias
}

every_peer = pytest.mark.parametrize("peer", [Naive, CleanQueue, *TUNED])
every_tuned_peer = pytest.mark.parametrize("peer", TUNED)


def check_rows(peer, spec, batch: int, n: int, tolerance: float = 2e-5) -> None:
    """Each voice's logits are the reference's; the second time, the peer has forgotten the first.

    The voices are fed different codes, so that none can pass for another.
    """
    weights = random_weights(spec, seed=11)
    rows = np.stack([random_codes(spec, n, seed=12 + voice) for voice in range(batch)])
    expected = np.stack([reference.teacher_forced(spec, weights, codes) for codes in rows])
    contender = peer(spec, weights, batch)
    for _ in range(2):
        found = contender.logits(rows)
        assert np.abs(found - expected).max() <= tolerance * max(1, np.abs(expected).max())


@every_peer
@pytest.mark.parametrize("spec", FIT.values(), ids=FIT)
def test_peers_compute_the_logits_of_the_reference(spec, peer):
    check_rows(peer, spec, batch=1, n=spec.receptive_field + 20)


@pytest.mark.parametrize("peer", [CleanQueue, *TUNED])
@pytest.mark.parametrize("batch", [2, 3, 64])
@pytest.mark.parametrize("name", ["kernel_2", "kernel_3", "one_layer", "width_17"])
def test_each_voice_of_a_batch_has_the_logits_of_the_reference(name, batch, peer):
    spec = NETWORKS[name]
    check_rows(peer, spec, batch, n=spec.receptive_field + (20 if batch < 64 else 2))


@pytest.mark.parametrize("peer, step", [(OpenVinoBfloat16, 2**-8), (OpenVinoInt8, 1 / 127)])
@pytest.mark.parametrize("name, batch", [("kernel_2", 1), ("kernel_3", 3), ("one_layer", 64)])
def test_a_narrower_format_is_not_float32_but_within_a_few_of_its_steps(name, batch, peer, step):
    spec = NETWORKS[name]
    try:
        check_rows(peer, spec, batch, n=60, tolerance=4 * step)
        with pytest.raises(AssertionError):
            check_rows(peer, spec, batch, n=60)
    except NotAvailable as reason:
        pytest.skip(str(reason))


def test_an_output_without_weights_may_have_weights_in_int8():
    spec = NETWORKS["kernel_2"]
    weights = {name: np.zeros_like(a) for name, a in random_weights(spec, seed=28).items()}
    assert not OpenVinoInt8(spec, weights).logits(np.zeros((1, 3), np.int64)).any()


def test_what_openvino_does_not_offer_makes_its_row_say_so(monkeypatch):
    spec = NETWORKS["one_layer"]
    monkeypatch.setitem(OPTIONS, "NO_SUCH_OPTION", "1")
    with pytest.raises(NotAvailable, match="NO_SUCH_OPTION"):
        OpenVinoQueue(spec, random_weights(spec, seed=27))


SIGNAL_AFTER_OPENVINO = """
import signal, sys
sys.path.insert(0, sys.argv[1])
from networks import NETWORKS, random_weights
from fastwavenet.bench.openvino_peer import OpenVinoInt8, OpenVinoQueue
spec = NETWORKS["one_layer"]
first, second = (peer(spec, random_weights(spec, seed=0)) for peer in (OpenVinoQueue, OpenVinoInt8))
del first, second
signal.signal(signal.SIGINT, lambda *_: print("got it"))
signal.raise_signal(signal.SIGINT)
"""


def test_a_signal_ends_nothing_once_openvino_peers_are_gone():
    """In a process of its own: a kernel that finds no stack for a signal ends the process."""
    command = [sys.executable, "-c", SIGNAL_AFTER_OPENVINO, str(HELPERS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("got it\n", 0), done.stderr


@every_tuned_peer
@pytest.mark.parametrize("kernel, batch", [(2, 1), (3, 1), (3, 2)])
def test_rings_of_different_periods_stay_in_step(peer, kernel, batch):
    check_rows(peer, small_spec(dilations=(3, 5, 2), kernel=kernel), batch, n=2 * 60 + 7)


@pytest.mark.parametrize("peer", [TunedNumpy])
def test_a_long_product_is_the_sum_of_its_pieces(peer):
    spec = small_spec(dilations=(1, 2) * 3, dilation_channels=96)  # 577 inputs, in three pieces
    check_rows(peer, spec, batch=2, n=20)


@every_peer
@pytest.mark.parametrize("batch", [1, 3])
def test_peers_draw_from_the_softmax_of_what_they_drew_before(peer, batch):
    spec = NETWORKS["kernel_2"]
    weights = random_weights(spec, seed=15)
    torch.manual_seed(16)
    contender = peer(spec, weights, batch)
    rows = np.concatenate([contender.generate(n) for n in (1, 700, 300)], axis=1)
    assert rows.shape == (batch, 1001)
    assert len({tuple(codes) for codes in rows}) == batch
    for codes in rows:
        check_draws(spec, weights, codes)


def check_draws(spec, weights, codes) -> None:
    logits = reference.teacher_forced(spec, weights, [spec.start.code, *codes[:-1]])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    surplus = (codes[:, None] == np.arange(spec.levels)).sum(axis=0) - p.sum(axis=0)
    assert np.all(np.abs(surplus) < 5 * np.sqrt((p * (1 - p)).sum(axis=0)))
    surprise, entropy = -np.log(p[np.arange(len(codes)), codes]), -(p * np.log(p)).sum(axis=1)
    assert abs((surprise - entropy).mean()) < 4 * surprise.std() / np.sqrt(len(codes))


@every_tuned_peer
@pytest.mark.parametrize("batch", [1, 2])
def test_tuned_peers_continue_where_they_stopped(peer, batch):
    spec = NETWORKS["kernel_3"]
    weights = random_weights(spec, seed=17)
    whole, parts = peer(spec, weights, batch, seed=18), peer(spec, weights, batch, seed=18)
    expected = whole.generate(600)
    found = np.concatenate([parts.generate(n) for n in (1, 255, 344)], axis=1)
    assert np.array_equal(found, expected)
    assert not np.array_equal(peer(spec, weights, batch, seed=19).generate(600), expected)


def test_the_naive_peer_is_timed_on_a_whole_receptive_field():
    spec = NETWORKS["kernel_3"]
    naive = Naive(spec, random_weights(spec, seed=20))
    naive.fill()
    assert naive.net.codes.shape == (1, spec.receptive_field)


@every_tuned_peer
@pytest.mark.parametrize("name", ["kernels_mixed", "first_kernel_1", "no_bias"])
def test_tuned_peers_refuse_what_they_are_not_written_for(name, peer):
    spec = NETWORKS[name]
    with pytest.raises(ValueError, match="need one kernel size"):
        peer(spec, random_weights(spec, seed=21))


def test_without_a_cpp_compiler_there_is_no_compiled_peer(no_cpp_compiler):
    spec = NETWORKS["one_layer"]
    with pytest.raises(NotAvailable, match=r"No working C\+\+ compiler"):
        CompiledQueue(spec, random_weights(spec, seed=24))


# ---- wavenet-coding, which needs TensorFlow -----------------------------------------------------


def expressible(**changes):
    """A network that wavenet-coding has too, and its weights."""
    spec = small_spec(kernel=2, dilations=(1, 2, 4, 1, 2, 4), skip=6, head=6, **changes)
    return spec, bench_networks.random_weights(spec, seed=40)


def test_wavenet_coding_computes_the_distributions_of_the_reference():
    theirs = pytest.importorskip("fastwavenet.bench.wavenet_coding_peer", exc_type=ImportError)
    spec, weights = expressible()
    peer = theirs.WavenetCoding(spec, weights)
    for _ in range(2):
        answers = Answers(spec, weights, 1)
        answers.check("theirs", peer)
    codes = peer.generate(2000)
    assert codes.shape == (1, 2000)
    check_draws(spec, weights, codes[0])
    wrong = dict(weights) | {"head.output.bias": 1 - weights["head.output.bias"]}
    with pytest.raises(Refused, match="theirs, voice 0 of 1"):
        answers.check("theirs", theirs.WavenetCoding(spec, wrong))


def test_wavenet_coding_is_given_the_rows_of_frames():
    theirs = pytest.importorskip("fastwavenet.bench.wavenet_coding_peer", exc_type=ImportError)
    end = FrameConditioning(channels=3, hop=5, interpolation="linear")
    spec, weights = expressible(conditioning=end)
    answers = Answers(spec, weights, 1)
    answers.check("theirs", theirs.WavenetCoding(spec, weights, 1, answers.conditions))


@pytest.mark.parametrize("change", ["kernel", "head", "dilations", "table"])
def test_wavenet_coding_is_absent_where_it_has_no_such_network(change):
    theirs = pytest.importorskip("fastwavenet.bench.wavenet_coding_peer", exc_type=ImportError)
    spec, weights = expressible()
    others = {"kernel": (3,) * 6, "head": 5, "dilations": (1, 2, 4, 1, 2, 3)}
    if change == "table":
        weights = random_weights(spec, seed=41)
    else:
        spec = dataclasses.replace(spec, **{change: others[change]})
        weights = bench_networks.random_weights(spec)
    with pytest.raises(NotAvailable, match=f"wavenet-coding .* {change}"):
        theirs.WavenetCoding(spec, weights)


# ---- who takes part ----------------------------------------------------------------------------


def without_compiling(monkeypatch) -> None:
    quick = {name: kind for name, kind in PEERS.items() if not name.startswith("torch.compile")}
    monkeypatch.setattr(contenders, "PEERS", quick)


@pytest.mark.parametrize("batch", [1, 2])
def test_contenders_are_made_for_the_batch_and_the_naive_one_only_for_one_voice(monkeypatch, batch):
    without_compiling(monkeypatch)
    spec = NETWORKS["kernel_2"]
    field = line_up(spec, random_weights(spec, seed=25), batch)
    # Not every CPU has bfloat16, nor every environment TensorFlow.
    assert field.missing.keys() <= {"OpenVINO, bfloat16", THEIRS}
    names = contenders.peers_of(batch)
    assert ("PyTorch, naive" in names) == (THEIRS in names) == (batch == 1)
    assert list(field.peers) == [name for name in names if name not in field.missing]
    assert list(field.engines) == [
        "fastwavenet, float32",
        "fastwavenet, bfloat16",
        "fastwavenet, bfloat16x16",
        "fastwavenet, int8",
        "fastwavenet, int8x8",
    ]
    for contender in (*field.peers.values(), *field.engines.values()):
        assert contender.generate(3).shape == (batch, 3)


def test_a_peer_whose_library_is_missing_is_reported_and_the_yardstick_is_required(monkeypatch):
    without_compiling(monkeypatch)
    spec = NETWORKS["kernel_2"]
    arguments = spec, random_weights(spec, seed=26), 1
    monkeypatch.delitem(sys.modules, "fastwavenet.bench.onnx_peer")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # importing it raises ImportError
    monkeypatch.delitem(sys.modules, "fastwavenet.bench.openvino_peer")
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "fastwavenet.bench.wavenet_coding_peer", raising=False)
    monkeypatch.setitem(sys.modules, "wavenet_coding", None)
    assert line_up(*arguments).missing == {
        name: f"{library} is missing: pip install 'fastwavenet[{extra}]'"
        for name, library, extra in (
            (THEIRS, "wavenet_coding", "wavenet-coding"),
            ("ONNX Runtime, one step", "onnxruntime", "bench"),
            ("OpenVINO, one step", "openvino", "bench"),
            ("OpenVINO, bfloat16", "openvino", "bench"),
            ("OpenVINO, int8 weights", "openvino", "bench"),
        )
    }
    monkeypatch.delitem(sys.modules, "fastwavenet.bench.torch_peers")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="torch"):
        line_up(*arguments)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_engine_as_a_contender_has_the_logits_of_the_reference(batch, isa):
    check_rows(lambda s, w, b: Engine(Model(s, w), isa, b), NETWORKS["kernel_3"], batch, n=60)


# ---- known ratios ------------------------------------------------------------------------------


def rates_at(share: float, network: str = "C3") -> dict[str, float]:
    """Peers at a share of their known speeds, the clean queue at all of it."""
    rates = {name: share * of[network] for name, of in ONE_VOICE.items()}
    return rates | {CLEAN: float(ONE_VOICE[CLEAN][network])}


def test_all_known_peers_take_part_and_all_tuned_ones_in_float32_are_known():
    unknown = {"PyTorch, naive", THEIRS, "OpenVINO, bfloat16", "OpenVINO, int8 weights"}
    assert PEERS.keys() - ONE_VOICE.keys() == unknown
    assert ONE_VOICE.keys() <= PEERS.keys()


@pytest.mark.parametrize("slow", [name for name in ONE_VOICE if name != CLEAN])
@pytest.mark.parametrize("cpu, least", [("Intel(R) Xeon(R)", 0.8), ("AMD EPYC (Zen 5)", 0.6)])
def test_a_peer_below_its_known_ratio_is_called_miswritten(monkeypatch, slow, cpu, least):
    monkeypatch.setattr(study, "cpu_name", lambda: cpu)
    rates = rates_at(least + 0.001)
    yardstick = rates[CLEAN]
    assert miswritten("C3", 1, rates, yardstick) == []
    rates[slow] *= (least - 0.001) / (least + 0.001)
    (complaint,) = miswritten("C3", 1, rates, yardstick)
    assert "C3" in complaint and slow in complaint
    assert miswritten("C3", 1, {name: 2 * rate for name, rate in rates.items()}, 2 * yardstick)


@pytest.mark.parametrize("batch", FASTEST)
def test_with_several_voices_the_fastest_peer_is_checked(monkeypatch, batch):
    monkeypatch.setattr(study, "cpu_name", lambda: "Intel(R) Xeon(R)")
    yardstick, known = float(ONE_VOICE[CLEAN]["C2"]), FASTEST[batch]["C2"]
    rates = {"one": 0.1 * known, "two": 0.801 * known}
    assert miswritten("C2", batch, rates, yardstick) == []
    (complaint,) = miswritten("C2", batch, rates | {"two": 0.799 * known}, yardstick)
    assert f"{batch} voices" in complaint and "two" in complaint


def test_what_the_study_does_not_have_is_not_checked():
    assert miswritten("another", 1, {CLEAN: 1.0}, 1e9) == []
    assert miswritten("C3", 3, {CLEAN: 1.0}, 1e9) == []
    assert miswritten("C4x30", 8, {CLEAN: 1.0}, 1e9) == []
