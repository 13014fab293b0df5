"""Copies and pickles of models and generators, and the processes that are given them."""

import copy
import gc
import itertools
import multiprocessing
import pickle
import weakref
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from engines import frames_of, generator, model_of, run
from networks import every_network, small_spec

import fastwavenet as fw
from fastwavenet.ends import FrameConditioning

SPEC = small_spec(levels=32)

COPIES = {
    "clone": lambda gen: gen.clone(),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda gen: pickle.loads(pickle.dumps(gen)),
}


@every_network
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_of_a_generator_goes_on_alike_and_apart(spec, copied, precision):
    arguments = {"stream": 4, "batch": 2, "temperature": 0.8, "top_k": 2}
    gen, expected = (generator(spec, precision=precision, **arguments) for _ in range(2))
    for g in (gen, expected):
        run(g, 30)
    twin = copied(gen)
    after = run(expected, 40).bits()
    assert run(twin, 40).bits() == after
    assert gen.position == 30
    assert run(gen, 40).bits() == after
    assert (twin.temperature, twin.top_k, twin.batch) == (0.8, 2, 2)


@pytest.mark.parametrize("arguments", [{"isa": "scalar"}, {"threads": 2}, {"batch": None}])
def test_a_copy_has_the_arguments_of_the_original(arguments):
    gen = generator(**arguments)
    for copied in COPIES.values():
        twin = copied(gen)
        twin.reset(8)
        gen.reset(8)
        assert np.array_equal(twin.generate(100), gen.generate(100))
        assert twin.isa == gen.isa


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_model_is_the_same_model(precision, protocol):
    model = fw.Model(SPEC, dict(model_of(SPEC)._weights), precision, precision_cost={"int8": 0.5})
    twin = pickle.loads(pickle.dumps(model, protocol))
    assert (twin.spec, twin.precision, twin.precision_cost) == (SPEC, precision, {"int8": 0.5})
    assert twin.info()["fingerprint"] == model.info()["fingerprint"]


def test_a_model_does_not_change_with_the_arrays_that_it_was_made_of():
    weights = {name: array.copy() for name, array in model_of(SPEC)._weights.items()}
    views = {name: array[...] for name, array in weights.items()}
    for view in views.values():
        view.flags.writeable = False  # but not what it is a view of
    models = [fw.Model(SPEC, weights), fw.Model(SPEC, views)]
    expected = fw.generate(models[0], n_samples=50, seed=1)
    for array in weights.values():
        array[...] = 0
    for model in models:
        twin = pickle.loads(pickle.dumps(model))
        assert np.array_equal(fw.generate(twin, n_samples=50, seed=1), expected)


def test_a_model_of_a_file_keeps_the_files_bytes_without_a_copy(voice):
    weights = fw.load(voice)._weights.values()
    assert not any(array.flags.owndata for array in weights)


def test_a_model_is_shared_by_copies():
    model = model_of(SPEC)
    assert copy.copy(model) is model
    assert copy.deepcopy(model) is model
    assert copy.deepcopy(generator()).model is generator().model


def test_a_model_of_a_file_can_be_pickled(voice):
    model = fw.load(voice)
    twin = pickle.loads(pickle.dumps(model))
    assert np.array_equal(
        fw.generate(twin, n_samples=50, seed=1), fw.generate(model, n_samples=50, seed=1)
    )


# ---- processes ---------------------------------------------------------------------------------


def next_samples(gen: fw.Generator) -> np.ndarray:
    return gen.generate(100)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes_are_given_generators(method):
    context = multiprocessing.get_context(method)
    gens = [generator(stream=i) for i in range(2)]
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        found = list(pool.map(next_samples, gens))
    assert np.array_equal(found, generator(batch=2).generate(100))


def test_joblib_is_given_generators():
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    work = (joblib.delayed(next_samples)(generator(stream=i)) for i in range(2))
    found = joblib.Parallel(n_jobs=2)(work)
    assert np.array_equal(found, generator(batch=2).generate(100))


# ---- blocks, closing, description --------------------------------------------------------------


def test_a_generator_is_an_endless_iterator_over_blocks():
    gen = generator()
    assert iter(gen) is gen
    blocks = [next(gen), *itertools.islice(gen, 3)]
    assert np.array_equal(np.concatenate(blocks), generator().generate(4 * 256))
    assert generator(batch=3).__next__().shape == (3, 256)


def test_a_closed_generator_refuses_everything_but_closing():
    with generator() as gen:
        state = gen.get_state()
    gen.close()
    for call in (
        lambda: gen.generate(1),
        lambda: next(gen),
        lambda: gen.prime([1]),
        lambda: gen.reset(),
        lambda: gen.get_state(),
        lambda: gen.set_state(state),
        lambda: gen.clone(),
        lambda: gen.position,
        lambda: gen.threads,
        lambda: setattr(gen, "temperature", 0.5),
    ):
        with pytest.raises(ValueError, match="closed"):
            call()
    assert "closed" in repr(gen)


def test_closing_gives_the_memory_back():
    gen = generator()
    stream = weakref.ref(gen._session.stream)
    gen.close()
    gc.collect()
    assert stream() is None


def test_a_generator_describes_model_seed_and_position():
    gen = generator(batch=2)
    gen.generate(7)
    text = repr(gen)
    assert text == f"<Generator of {gen.model!r}, batch 2, seed 5, position 7>"
    assert "batch" not in repr(generator())


def test_conditioned_blocks_need_their_frames():
    spec = small_spec(conditioning=FrameConditioning(channels=3))
    with pytest.raises(ValueError, match="needs frames"):
        next(generator(spec))
    assert generator(spec).generate(5, frames=frames_of(spec, 5)).shape == (5,)
