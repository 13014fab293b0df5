"""Temperature and min_p of each frame: given by a caller, or by the model's rule for voicing."""

import copy
import pickle

import numpy as np
import pytest
from engines import model_of, run, run_in_chunks
from networks import random_codes, random_frames, random_weights, small_spec
from slow_twin import SlowTwin

import fastwavenet as fw
from fastwavenet import modelfile, reference
from fastwavenet.ends import FrameConditioning, QuietSampling, Sampling, VoicedSampling

each_pair = pytest.mark.each_pair
CHOICES = {"temperature": [0, 0.001, 0.5, 1, 1000], "min_p": [0, 0.1, 1]}
RULE = VoicedSampling(channel=1, temperature=0.4, min_p=0.2)
RULES = {
    "both": RULE,
    "temperature": VoicedSampling(1, temperature=0),
    "min_p": VoicedSampling(1, min_p=1),
}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def spec_of(hop: int = 5, rule: VoicedSampling | None = None, quiet=None, **changes):
    end = FrameConditioning(**{"channels": 3, "hop": hop, "interpolation": "linear"} | changes)
    sampling = Sampling(1.5, None, 0.05, rule, quiet)
    return small_spec(levels=32, conditioning=end, sampling=sampling)


def voicing_frames(spec, samples: int, seed: int) -> np.ndarray:
    """With voicing from -0.2 to 1.2 in channel 1, a fourth of it exactly 0 or 1."""
    rng, frames = np.random.default_rng(seed), random_frames(spec, samples, seed)
    frames[:, 1] = rng.uniform(-0.2, 1.2, len(frames))
    frames[::8, 1], frames[4::8, 1] = 0, 1
    return frames


def numbers_of(frames: int, rows: int | None, seed: int) -> dict[str, np.ndarray]:
    rng, shape = np.random.default_rng(seed), (frames,) if rows is None else (rows, frames)
    return {name: rng.choice(choices, shape) for name, choices in CHOICES.items()}


# ---- numbers of frames -------------------------------------------------------------------------


@pytest.mark.parametrize("hop", [1, 2, 5, 200])
@pytest.mark.parametrize("rows", [1, 3])
@each_pair
def test_draws_by_the_numbers_of_frames_are_the_references(hop, rows, isa, precision):
    spec, n = spec_of(hop), max(60, 3 * hop + 1)
    frames = np.stack([random_frames(spec, n, row) for row in range(rows)])
    numbers = numbers_of(frames.shape[1], rows, hop)
    model = model_of(spec, precision=precision)
    gen = fw.Generator(model, seed=9, stream=4, batch=rows, isa=isa)
    steps = run(gen, n, frames=frames, **numbers)
    for row, step in np.ndindex(rows, n):
        now = {name: each[row, step // hop] for name, each in numbers.items()}
        u = reference.uniform(9, step, 4 + row)
        assert steps.codes[row, step] == reference.draw(steps.logits[row, step], u, **now)


@pytest.mark.parametrize(("temperature", "min_p"), [(0, 0), (1, 0.1), (0.7, 0), (1000, 1)])
@each_pair
def test_one_number_for_all_frames_is_the_constant(temperature, min_p, isa, precision):
    spec, n = spec_of(), 83
    model, frames = model_of(spec, precision=precision), random_frames(spec, n, 1)
    constant = {"temperature": temperature, "min_p": min_p}
    each = {name: np.full(len(frames), number) for name, number in constant.items()}
    given = {"n_samples": n, "seed": 7, "frames": frames}
    expected = fw.generate(model, **given, isa="scalar", **constant).tobytes()
    assert fw.generate(model, **given, isa=isa, **each).tobytes() == expected
    assert fw.generate(model, **given, isa=isa, threads=2, **each).tobytes() == expected
    gen = fw.Generator(model, seed=7, isa=isa)
    assert gen.generate(n, frames=frames, **each).tobytes() == expected
    gen.reset(7)
    assert gen.generate(n, frames=frames, **constant).tobytes() == expected
    assert (gen.temperature, gen.min_p) == (1.5, 0.05)


@pytest.mark.parametrize("chunk", [1, 2, 4, 5, 6, 64, 100])
@each_pair
def test_chunks_join_to_one_shot_by_the_numbers_of_frames(chunk, isa, precision):
    spec, n = spec_of(), 101
    frames, model = random_frames(spec, n, 1), model_of(spec, precision=precision)
    numbers = numbers_of(len(frames), None, 3)
    gens = [fw.Generator(model, seed=7, isa=name) for name in (isa, "scalar")]
    found = run_in_chunks(gens[0], n, chunk, frames=frames, **numbers)
    assert found.bits() == run(gens[1], n, frames=frames, **numbers).bits()


@pytest.mark.parametrize("rows", [1, 2, 17])
@each_pair
def test_row_i_draws_by_its_own_numbers(rows, isa, precision):
    spec, n = spec_of(), 47
    frames = np.stack([random_frames(spec, n, row) for row in range(rows)])
    numbers, model = numbers_of(frames.shape[1], rows, 3), model_of(spec, precision=precision)
    audio = fw.generate(model, seed=7, batch=rows, frames=frames, isa=isa, **numbers)
    for row in range(rows):
        own = {name: each[row] for name, each in numbers.items()}
        alone = fw.generate(model, seed=7, stream=row, frames=frames[row], **own)
        assert audio[row].tobytes() == alone.tobytes()


@each_pair
def test_a_state_saved_in_the_middle_of_a_frame_goes_on(isa, another_isa, precision):
    spec, n, cut = spec_of(rule=RULE), 40, 12
    frames, model = voicing_frames(spec, n, 1), model_of(spec, precision=precision)
    for numbers in (numbers_of(len(frames), None, 3), {}):
        whole = fw.Generator(model, seed=7, isa="scalar")
        first, later = (fw.Generator(model, seed=7, isa=name) for name in (isa, another_isa))
        run(first, cut, frames=frames, **numbers)
        later.set_state(first.get_state())
        found = run(later, n - cut, frames=frames, at=cut, **numbers)
        expected = run(whole, n, frames=frames, **numbers).audio[:, cut:]
        assert found.audio.tobytes() == expected.tobytes()


def test_a_frames_numbers_may_lie_where_the_samples_are_written():
    spec = spec_of(hop=1)
    frames = random_frames(spec, 30, 1)
    numbers = np.full(30, 0.5, np.float32)
    expected = fw.generate(model_of(spec), frames=frames, seed=7, temperature=numbers.copy())
    found = fw.generate(model_of(spec), frames=frames, seed=7, temperature=numbers, out=numbers)
    assert found is numbers and found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8, np.uint64, np.longdouble, list])
def test_numbers_of_frames_are_of_any_real_type(dtype):
    spec = spec_of()
    frames, numbers = random_frames(spec, 30, 1), [1, 0, 100, 2, 1, 3]
    expected = fw.generate(
        model_of(spec), frames=frames, seed=7, temperature=np.array(numbers, np.float32)
    )
    given = numbers if dtype is list else np.array(numbers, dtype)
    found = fw.generate(model_of(spec), frames=frames, seed=7, temperature=given)
    assert found.tobytes() == expected.tobytes()


WRONG = {
    "too few": ({"temperature": [1.0] * 5}, r"\(6,\) or \(1, 6\), one for each frame, not \(5,\)"),
    "too many": ({"min_p": [0.5] * 7}, r"min_p must be .* not \(7,\)"),
    "rows": ({"min_p": np.zeros((2, 6))}, r"not \(2, 6\)"),
    "cube": ({"min_p": np.zeros((1, 1, 6))}, r"not \(1, 1, 6\)"),
    "none": ({"temperature": []}, r"not \(0,\)"),
    "nan": ({"temperature": [1, 1, np.nan, 1, 1, 1]}, r"temperature must be 0 .*nan, in frame 2$"),
    "infinite": ({"temperature": [np.inf] * 6}, r"not inf, in frame 0$"),
    "negative": ({"temperature": [1] * 5 + [-1]}, r"temperature .* not -1\.0, in frame 5$"),
    "low": ({"temperature": [9e-4] * 6}, r"from 0\.001 to 1000, not 0\.0009, in frame 0$"),
    "huge": ({"temperature": [1e9] * 6}, r"not 1000000000\.0, in frame 0$"),
    "beyond float": ({"temperature": [10**400] * 6}, "not object"),
    "over 1": ({"min_p": [0, 0, 0, 1.0001, 0, 0]}, r"min_p .* not 1\.0001, in frame 3$"),
    "below 0": ({"min_p": [-1e-9] * 6}, r"min_p must be from 0 to 1, not -1e-09, in frame 0$"),
    "text": ({"temperature": ["1"] * 6}, "temperature must be a real number or an array of them"),
    "none of them": ({"min_p": [None] * 6}, "min_p must be a real number"),
    "complex": ({"min_p": np.zeros(6, complex)}, "not complex128"),
    "true": ({"min_p": np.ones(6, bool)}, "not bool"),
    "masked": ({"min_p": np.ma.zeros(6)}, "min_p must be an array without a mask"),
    "one text": ({"temperature": "1"}, "temperature must be a number, not '1'"),
    "one nan": ({"temperature": np.nan}, "temperature must be 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_number_of_a_frame_is_refused_and_changes_nothing(name):
    arguments, message = WRONG[name]
    spec = spec_of()
    frames, model = random_frames(spec, 30, 1), model_of(spec)
    gen = fw.Generator(model, seed=7)
    calls = (
        lambda: gen.generate(30, frames=frames, **arguments),
        lambda: fw.generate(model, frames=frames, **arguments),
        lambda: fw.vocode(model, frames, **arguments),
    )
    for call in calls:
        with pytest.raises((ValueError, TypeError), match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert gen.position == 0


def test_a_network_without_frames_and_a_list_of_sounds_take_one_number():
    with pytest.raises(ValueError, match="temperature must be one number, since the model takes"):
        fw.generate(model_of(small_spec()), n_samples=9, temperature=[1.0])
    frames, spec = np.zeros((6, 3)), spec_of()
    with pytest.raises(ValueError, match="of a list of sounds must be one number each"):
        fw.vocode(model_of(spec), [frames], temperature=np.ones(6))
    fw.vocode(model_of(spec), [frames], temperature=0.5, min_p=0.5)


# ---- the rule for voicing ----------------------------------------------------------------------


@every_rule
@pytest.mark.parametrize("hop", [1, 5, 200])
@pytest.mark.parametrize("rows", [1, 3])
@each_pair
def test_a_rule_draws_by_the_mixtures_of_its_formula(rule, hop, rows, isa, precision):
    spec, n = spec_of(hop, rule), max(60, 3 * hop + 1)
    model = model_of(spec, precision=precision)
    frames = np.stack([voicing_frames(spec, n, row) for row in range(rows)])
    found = fw.generate(model, n_samples=n, seed=7, batch=rows, frames=frames, isa=isa)
    expected = SlowTwin(model, rows, 7, 0).generate(n, frames)
    assert found.tobytes() == expected.tobytes()


def test_a_voiced_frame_has_the_voiced_numbers_and_an_unvoiced_one_the_others():
    spec = spec_of(rule=RULE)
    model, frames = model_of(spec), random_frames(spec, 100, 1)
    for voicing, numbers in ((0, (1.5, 0.05)), (-3, (1.5, 0.05)), (1, (0.4, 0.2)), (9, (0.4, 0.2))):
        frames[:, 1] = voicing
        constant = dict(zip(("temperature", "min_p"), numbers, strict=True))
        expected = fw.generate(model, frames=frames, seed=7, **constant)
        assert fw.generate(model, frames=frames, seed=7).tobytes() == expected.tobytes()


def test_a_mixture_too_low_to_divide_by_takes_the_most_probable_code():
    rule = VoicedSampling(1, temperature=0)
    spec = spec_of(rule=rule)
    model, frames = model_of(spec), random_frames(spec, 100, 1)
    for voicing, greedy in ((1 - 0.0005 / 1.5, True), (1 - 0.002 / 1.5, False), (1, True)):
        frames[:, 1] = voicing
        temperature = 0 if greedy else (1 - np.float64(np.float32(voicing))) * 1.5
        expected = fw.generate(model, frames=frames, seed=7, temperature=temperature)
        assert fw.generate(model, frames=frames, seed=7).tobytes() == expected.tobytes()


@every_rule
@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("interpolation", ["held", "linear"])
def test_sounds_of_a_list_are_drawn_as_alone(rule, batch, interpolation, precision):
    spec = spec_of(rule=rule, interpolation=interpolation)
    model = model_of(spec, precision=precision)
    frames = [voicing_frames(spec, 5 * n, n)[:n] for n in (3, 0, 1, 130, 7, 65, 2, 64)]
    audio = fw.vocode(model, frames, seed=7, batch=batch)
    for each, given in zip(audio, frames, strict=True):
        if len(given):
            alone = fw.generate(model, frames=given, seed=7)
            assert each.tobytes() == alone.tobytes() == fw.vocode(model, given, seed=7).tobytes()


def test_a_sound_is_vocoded_by_the_numbers_of_its_frames(precision):
    spec = spec_of(rule=RULE)
    model, frames = model_of(spec, precision=precision), voicing_frames(spec, 5 * 150, 1)
    numbers = numbers_of(len(frames), None, 3)
    expected = fw.generate(model, frames=frames, seed=7, **numbers)
    assert fw.vocode(model, frames, seed=7, **numbers).tobytes() == expected.tobytes()


@pytest.mark.parametrize("cuts", [[], [1], [0, 1, 2, 7], [3, 3, 19]])
def test_frames_that_arrive_in_chunks_are_drawn_by_the_rule(cuts):
    spec = spec_of(rule=RULE)
    model, frames = model_of(spec), voicing_frames(spec, 100, 1)
    blocks = fw.Generator(model, seed=7).vocode(np.split(frames, cuts))
    expected = fw.generate(model, frames=frames, seed=7)
    assert np.concatenate([*blocks]).tobytes() == expected.tobytes()


def test_an_argument_takes_the_place_of_the_rule_for_its_number():
    spec = spec_of(rule=RULE)
    model, frames = model_of(spec), voicing_frames(spec, 200, 1)
    voicing = np.clip(frames[:, 1].astype(np.float64), 0, 1)
    mixed = {
        "temperature": (1 - voicing) * 1.5 + voicing * 0.4,
        "min_p": (1 - voicing) * 0.05 + voicing * 0.2,
    }

    def sound(**arguments):
        return fw.generate(model, frames=frames, seed=7, **arguments).tobytes()

    assert sound() == sound(**mixed) != sound(temperature=1.5)
    assert sound(temperature=1.5) == sound(temperature=1.5, min_p=mixed["min_p"])
    assert sound(min_p=0.5) == sound(min_p=0.5, temperature=mixed["temperature"])
    assert sound(top_k=3) == sound(top_k=3, **mixed)
    numbers = {"temperature": 1.5, "min_p": 0.05}
    assert sound(**numbers) == sound(**{n: [v] * len(frames) for n, v in numbers.items()})
    assert len({sound(), sound(temperature=1.5), sound(min_p=0.05), sound(**numbers)}) == 4


def test_a_generator_and_its_copies_keep_the_rule_until_it_is_replaced():
    spec = spec_of(rule=RULE)
    model, frames = model_of(spec), voicing_frames(spec, 100, 1)

    def sound(gen):
        gen.reset(7)
        return gen.generate(100, frames=frames).tobytes()

    gen = fw.Generator(model)
    expected = sound(gen)
    for twin in (gen.clone(), copy.deepcopy(gen), pickle.loads(pickle.dumps(gen))):
        assert sound(twin) == expected
    assert (gen.temperature, gen.min_p) == (1.5, 0.05)
    gen.min_p = 0.05
    by_temperature = sound(gen)
    gen.temperature = 1.5
    plain = sound(gen)
    assert len({expected, by_temperature, plain}) == 3
    assert sound(gen.clone()) == plain
    gen.temperature = None
    assert sound(gen) == sound(gen.clone()) == by_temperature
    gen.min_p = None
    assert sound(gen) == expected


def test_known_samples_are_scored_and_primed_whatever_the_rule(precision):
    plain, ruled = (model_of(spec_of(rule=rule), precision=precision) for rule in (None, RULE))
    codes, frames = random_codes(plain.spec, 40, 1), voicing_frames(plain.spec, 45, 1)
    nats = [fw.score(model, codes, frames=frames).tobytes() for model in (plain, ruled)]
    assert nats[0] == nats[1]
    gens = [fw.Generator(model, seed=7) for model in (plain, ruled)]
    for gen in gens:
        gen.prime(codes, frames=frames)
    assert gens[0].get_state() == gens[1].get_state()
    twin = SlowTwin(ruled, 1, 7, 0)
    twin.prime(codes[None], frames)
    assert gens[1].generate(45, frames=frames).tobytes() == twin.generate(45, frames).tobytes()


# ---- quiet frames ------------------------------------------------------------------------------

QUIET = QuietSampling(channel=2, below=-0.25)


@pytest.mark.parametrize("rule", [None, *RULES.values()], ids=["none", *RULES])
@pytest.mark.parametrize("rows", [1, 3])
@each_pair
def test_quiet_frames_take_the_most_probable_code_and_others_are_drawn(rule, rows, isa, precision):
    spec, n = spec_of(5, rule, QUIET), 90
    model = model_of(spec, precision=precision)
    frames = np.stack([voicing_frames(spec, n, row) for row in range(rows)])
    found = fw.generate(model, n_samples=n, seed=7, batch=rows, frames=frames, isa=isa)
    assert found.tobytes() == SlowTwin(model, rows, 7, 0).generate(n, frames).tobytes()


def test_a_frame_at_the_threshold_is_not_quiet():
    spec = spec_of(quiet=QUIET)
    model, frames = model_of(spec), random_frames(spec, 100, 1)
    threshold = np.float32(QUIET.below)
    for level, greedy in (
        (threshold, False),
        (np.nextafter(threshold, np.float32(-1)), True),
        (np.nextafter(threshold, np.float32(1)), False),
        (np.float32(-1), True),
    ):
        frames[:, 2] = level
        expected = fw.generate(model, frames=frames, seed=7, temperature=0 if greedy else 1.5)
        assert fw.generate(model, frames=frames, seed=7).tobytes() == expected.tobytes()


def test_a_temperature_takes_the_place_of_the_rule_for_quiet_frames_and_min_p_does_not():
    spec = spec_of(quiet=QUIET)
    model, frames = model_of(spec), random_frames(spec, 300, 1)
    by_frame = np.where(frames[:, 2] < QUIET.below, 0, 1.5)

    def sound(**arguments):
        return fw.generate(model, frames=frames, seed=7, **arguments).tobytes()

    assert sound() == sound(temperature=by_frame) != sound(temperature=1.5)
    assert sound(min_p=0.5) == sound(min_p=0.5, temperature=by_frame)
    assert sound(top_k=3) == sound(top_k=3, temperature=by_frame)
    assert sound(temperature=[1.5] * len(frames)) == sound(temperature=1.5)
    gen = fw.Generator(model, seed=7)
    gen.temperature = 1.5
    assert gen.clone().generate(300, frames=frames).tobytes() == sound(temperature=1.5)
    gen.temperature = None
    assert gen.generate(300, frames=frames).tobytes() == sound()


def test_a_file_keeps_the_rule_for_quiet_frames_and_one_without_has_no_field_for_it(tmp_path):
    for quiet in (None, QUIET):
        spec = spec_of(quiet=quiet)
        assert ("quiet" in spec.to_dict()["sampling"]) == (quiet is not None)
        modelfile.save(tmp_path / "m", spec, random_weights(spec, 3))
        assert fw.load(tmp_path / "m").spec == spec


# ---- numpy's errors ----------------------------------------------------------------------------


def test_the_hosts_errors_of_numpy_do_not_matter():
    spec = spec_of(rule=RULE, quiet=QUIET)
    frames = np.full((6, 3), 1e-40, np.float32)
    with np.errstate(all="raise"):
        fw.generate(model_of(spec), frames=frames, seed=7)
        fw.generate(model_of(spec), frames=frames, seed=7, min_p=[1e-300] * 6)


def test_a_file_keeps_the_rule_and_one_without_has_no_field_for_it(tmp_path):
    for rule in (None, *RULES.values()):
        spec = spec_of(rule=rule)
        assert ("voiced" in spec.to_dict()["sampling"]) == (rule is not None)
        modelfile.save(tmp_path / "m", spec, random_weights(spec, 3))
        assert fw.load(tmp_path / "m").spec == spec
