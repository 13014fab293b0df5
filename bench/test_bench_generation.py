"""The engine's own speed over time: `pytest bench --benchmark-only`.

Comparisons with others are `fastwavenet bench`.
"""

import numpy as np
import pytest

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.bench.networks import NETWORKS, random_weights

each_isa = pytest.mark.parametrize("isa", fw.available_isas())
each_network = pytest.mark.parametrize("network", ["C1", "C3"])
BLOCK = 1024  # samples


def model_of(network: str) -> fw.Model:
    spec = NETWORKS[network]
    return fw.Model(spec, random_weights(spec))


@each_isa
@each_network
@pytest.mark.parametrize("batch", [1, 8, 64])
def test_generate_1024_samples(benchmark, network, batch, isa):
    generator = fw.Generator(model_of(network), seed=0, batch=batch, isa=isa)
    audio = benchmark(generator.generate, BLOCK // batch)
    assert audio.shape == (batch, BLOCK // batch)
    assert len(np.unique(audio)) > 16


@each_isa
@each_network
def test_score_1024_samples(benchmark, network, isa):
    model = model_of(network)
    codes = np.random.default_rng(1).integers(0, 256, BLOCK)
    nats = benchmark(fw.score, model, codes, isa=isa)
    assert nats.shape == (BLOCK - 1,)
    assert nats.min() > 0 and nats.mean() > np.log(2)  # random codes surprise


@each_isa
@each_network
def test_first_sample(benchmark, network, isa):
    """From a packed model to the first sample: what a new voice costs."""
    model = model_of(network)
    audio = benchmark(lambda: fw.Generator(model, seed=0, isa=isa).generate(1))
    assert np.array_equal(audio, fw.generate(model, n_samples=1, seed=0))


@each_network
def test_load(benchmark, network, tmp_path):
    """From a file to a packed model."""
    spec, path = NETWORKS[network], tmp_path / "model.safetensors"
    modelfile.save(path, spec, random_weights(spec))
    model = benchmark(fw.load, path)
    assert model.spec == spec
    assert model.info() == model_of(network).info()
