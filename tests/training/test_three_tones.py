"""End to end: a network that has learnt three tones by heart plays them, by the C engine.

Plain gradient descent, because it forgives no mistake in the network or the loss.
"""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import fastwavenet as fw
from fastwavenet.training import WaveNet, export_model

RATE = 2000
TONES = (155.56, 196.0, 233.08)  # Hz
SPEC = fw.WaveNetSpec(
    sample_rate=RATE,
    residual=32,
    dilation_channels=32,
    skip=32,
    head=32,
    dilations=tuple(2**i for i in range(7)) * 2,
)


def three_tones() -> np.ndarray:
    """Half a second: float32 (1000,)"""
    seconds = np.arange(RATE // 2) / RATE
    return sum(np.sin(2 * np.pi * hz * seconds) / 3 for hz in TONES).astype(np.float32)


def share_of_the_tones(audio: np.ndarray) -> float:
    """The part of the power from 0 to 500 Hz that lies within 5 Hz of a tone."""
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2
    hz = np.fft.rfftfreq(len(audio), 1 / RATE)
    near = np.any([abs(hz - tone) <= 5 for tone in TONES], axis=0)
    return power[near].sum() / power[hz <= 500].sum()


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """Losses of 400 steps, and the exported model."""
    codes = torch.from_numpy(fw.mu_law_encode(three_tones()).astype(np.int64))[None]  # (1, 1000)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = WaveNet(SPEC)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.95)
    losses = []
    for _ in range(400):
        loss = F.cross_entropy(net(codes[:, :-1]), codes[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    torch.set_num_threads(threads)
    path = tmp_path_factory.mktemp("tones") / "tones.safetensors"
    export_model(net, path)
    return losses, fw.load(path)


def test_three_tones_are_learnt_by_heart(learnt):
    losses, _ = learnt
    assert losses[-1] < 0.1
    assert losses[-1] < 0.02 * losses[0]


def test_the_engine_agrees_with_the_loss(learnt):
    losses, model = learnt
    assert fw.score(model, three_tones()).mean() == pytest.approx(losses[-1], rel=0.2)


# Not at 1: every few hundred samples it draws an unlikely code, and a network that knows nothing
# but one sound by heart does not find back to it.
@pytest.mark.parametrize("temperature", [0, 0.5])
def test_the_engine_plays_the_three_tones(learnt, temperature):
    _, model = learnt
    audio = three_tones()
    prime = audio[: SPEC.receptive_field]
    played = fw.generate(model, n_samples=1000, prime=prime, seed=0, temperature=temperature)
    assert share_of_the_tones(audio) > 0.95
    assert share_of_the_tones(played) > 0.7


def test_noise_is_not_taken_for_tones():
    noise = np.random.default_rng(0).standard_normal(1000)
    assert share_of_the_tones(noise) < 0.2
