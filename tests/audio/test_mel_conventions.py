"""The constants of mel spectrograms and the audio that is refused."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
from c_build import ROOT
from recordings import noise

import fastwavenet as fw
from fastwavenet import features, spec
from fastwavenet.mel_conventions import DEFAULT, MAX_MELS, MAX_RATE

PRESETS = fw.mel_presets()
SMALL = fw.Mel(sample_rate=800, n_fft=32, hop=8, window=32, mels=5, fmin=0, fmax=400)

each_preset = pytest.mark.parametrize("name", PRESETS)


# ---- refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "audio, error, message",
    [
        (
            np.zeros(9, np.int16),
            TypeError,
            "must be float32 or float64, not int16: divide it by 32",
        ),
        (np.zeros(9, ">i2"), TypeError, "must be float32 or float64, not >i2: divide it by 32768"),
        (np.zeros(9, np.uint8), TypeError, "must be float32 or float64, not uint8$"),
        ([1, 2, 3], TypeError, "must be float32 or float64, not int64$"),
        (np.zeros(9, bool), TypeError, "must be float32 or float64, not bool"),
        (np.zeros(9, np.float16), TypeError, "must be float32 or float64, not float16"),
        (np.zeros(9, complex), TypeError, "must be float32 or float64, not complex128"),
        ("hello.wav", TypeError, "read the file first"),
        (np.ma.masked_array([0.0]), TypeError, "without a mask"),
        (np.zeros((2, 9)), ValueError, r"must have shape \(n,\), not \(2, 9\)"),
        (np.float32(1), ValueError, r"must have shape \(n,\), not \(\)"),
        ([0, 0.5, math.nan, math.inf], ValueError, "finite: nan at index 2"),
        (np.append(np.zeros(100_000), -math.inf), ValueError, "finite: -inf at index 100000"),
        ([0.0, 1e39], ValueError, r"finite: 1e\+39 at index 1"),
    ],
)
def test_bad_audio_is_refused_by_its_flaw(audio, error, message):
    with pytest.raises(error, match=message):
        fw.mel(audio)
    with pytest.raises(error, match=message):
        fw.MelStream().feed(audio)


def test_the_loudest_audio_gives_finite_frames():
    loud = np.full(9000, np.finfo(np.float32).max)
    for mel in PRESETS.values():
        assert np.isfinite(fw.mel(loud, mel)).all()
        assert np.isfinite(fw.mel(loud, dataclasses.replace(mel, power=2, deviation=1e-6))).all()


@pytest.mark.parametrize("call", [lambda **how: fw.mel(noise(999), **how), fw.MelStream])
def test_another_rate_is_refused_with_both(call):
    call(convention="nv-16k", sample_rate=np.int64(16000))
    with pytest.raises(ValueError, match="22050 Hz, expected the 16000 Hz of nv-16k: resample"):
        call(convention="nv-16k", sample_rate=22050)
    with pytest.raises(TypeError, match="sample_rate must be a whole number"):
        call(convention="nv-16k", sample_rate=16000.0)


@pytest.mark.parametrize(
    "convention, error, message",
    [
        ("hifigan", ValueError, "unknown mel preset 'hifigan', expected one of hifigan-22k, "),
        (80, TypeError, "a mel must be a Mel or a preset's name, not 80"),
    ],
)
def test_an_unknown_convention_is_refused(convention, error, message):
    with pytest.raises(error, match=message):
        fw.mel(noise(999), convention)


# ---- the constants ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, message",
    [
        ({"sample_rate": 0}, "mel sample_rate must be a whole number from 1 to 768000, not 0"),
        ({"n_fft": 1023}, "mel n_fft must be even, not 1023"),
        ({"n_fft": 131072}, "mel n_fft must be a whole number from 2 to 65536"),
        ({"hop": 1025}, "mel hop must be a whole number from 1 to 1024, not 1025"),
        ({"hop": 255}, 'mel hop must be even with padding "same", not 255'),
        ({"hop": 256.0}, "mel hop must be a whole number"),
        ({"window": 1025}, "mel window must be a whole number from 2 to 1024, not 1025"),
        ({"mels": True}, "mel mels must be a whole number from 1 to 1024, not True"),
        ({"fmin": -1}, "mel fmin must be from 0 to 11024.0, not -1"),
        ({"fmin": 7999.5}, "mel fmax must be from 8000.5 to 11025.0, not 8000"),
        ({"fmax": 11026}, "mel fmax must be from 1.0 to 11025.0, not 11026"),
        ({"fmax": math.nan}, "mel fmax must be from 1.0 to 11025.0, not nan"),
        ({"fmax": "8000"}, "mel fmax must be a number, not '8000'"),
        ({"mel_scale": "bark"}, "mel mel_scale must be 'slaney' or 'htk', not 'bark'"),
        ({"filter_norm": None}, "mel filter_norm must be 'slaney' or 'none', not None"),
        ({"power": 1.0}, "mel power must be 1 or 2, not 1.0"),
        ({"log": 10}, "mel log must be 'ln' or 'log10', not 10"),
        ({"padding": "reflect"}, "mel padding must be 'center' or 'same', not 'reflect'"),
        ({"epsilon": -1e-9}, "mel epsilon must be from 0 to 1000000.0, not -1e-09"),
        ({"floor": 0}, "mel floor must be a positive number, not 0"),
        ({"mean": math.inf}, "mel mean must be from -1000000.0 to 1000000.0, not inf"),
        ({"deviation": 0}, "mel deviation must be from 1e-06 to 1000000.0, not 0"),
        ({"mean": "ab"}, "mel mean must be a number, not 'ab'"),
        (
            {"mean": [0, 1]},
            "mel mean must be one number or 80, one for each channel, not 2 numbers",
        ),
        (
            {"mean": [math.nan] * 80},
            "each of mel mean must be from -1000000.0 to 1000000.0, not nan",
        ),
        ({"deviation": [1] * 79 + [0]}, "each of mel deviation must be from 1e-06 to 1000000.0"),
        ({"deviation": [[1] * 80]}, "mel deviation must be one number or 80, .* not 1 numbers"),
        ({"clip": (1, 0)}, r"mel clip must be \(lower, higher\), not \(1, 0\)"),
        ({"clip": 4}, "mel clip must be None or two numbers, not 4"),
        ({"clip": [0, "1"]}, "each of mel clip must be a number, not '1'"),
    ],
)
def test_a_constant_out_of_its_bounds_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(PRESETS[DEFAULT], **change)
    if isinstance(change.get("clip"), tuple):
        change = {"clip": list(change["clip"])}
    with pytest.raises(ValueError, match="mel"):
        fw.Mel.from_dict(PRESETS[DEFAULT].to_dict() | change)


@each_preset
def test_a_preset_survives_the_model_file(name):
    mel = PRESETS[name]
    kept = fw.Mel.from_dict(json.loads(json.dumps(mel.to_dict())))
    assert kept == mel and hash(kept) == hash(mel) and kept.preset == str(kept) == name


def test_means_and_deviations_of_channels_survive_the_model_file():
    numbers = np.arange(1, 6, dtype=np.float32)
    mel = dataclasses.replace(SMALL, mean=-numbers, deviation=list(numbers))
    assert mel.mean == (-1.0, -2.0, -3.0, -4.0, -5.0) and mel.deviation == (1.0, 2.0, 3.0, 4.0, 5.0)
    kept = fw.Mel.from_dict(json.loads(json.dumps(mel.to_dict())))
    assert kept == mel and hash(kept) == hash(mel)
    audio = noise(99)
    frames = (fw.mel(audio, SMALL).astype(float) + numbers) / numbers
    np.testing.assert_allclose(fw.mel(audio, mel), frames, rtol=1e-6, atol=1e-6)


def test_constants_of_numpys_types_become_plain_ones():
    sizes = {name: np.int64(getattr(SMALL, name)) for name in ("n_fft", "hop", "power")}
    mel = dataclasses.replace(SMALL, **sizes, fmax=np.float32(400), log=np.str_("ln"))
    assert json.loads(json.dumps(mel.to_dict())) == SMALL.to_dict()


def test_constants_without_a_name_are_shown_by_their_sizes():
    assert SMALL.preset is None
    assert str(SMALL) == "a mel of 800 Hz, n_fft 32, hop 8, 5 mels"


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(fw.Mel)])
def test_a_missing_field_is_named(name):
    fields = SMALL.to_dict()
    del fields[name]
    with pytest.raises(ValueError, match=f"mel field '{name}' is missing"):
        fw.Mel.from_dict(fields)


@pytest.mark.parametrize(
    "fields, message",
    [
        ([], "a mel must be a JSON object, not list"),
        (SMALL.to_dict() | {"colour": 1}, "unknown mel field 'colour'"),
    ],
)
def test_a_foreign_field_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        fw.Mel.from_dict(fields)


def test_the_presets_are_given_as_a_copy():
    fw.mel_presets().clear()
    assert fw.mel_presets() == PRESETS and DEFAULT in PRESETS


def test_the_documents_table_has_the_constants_of_each_preset():
    text = (ROOT / "docs/vocoding.md").read_text()
    rows = {}
    for line in re.findall(r"^\| (`.*) \|$", text, re.MULTILINE):
        name, *cells = re.split(r" (?<!\\)\| ", line)
        rows[name.split("`")[1]] = cells
    assert [*rows] == [*PRESETS]
    for name, mel in PRESETS.items():
        rate, sizes, mels, hz, filters, magnitude, log, padding = rows[name]
        assert [rate, mels, padding] == [str(mel.sample_rate), str(mel.mels), mel.padding]
        assert sizes == f"{mel.n_fft} / {mel.hop} / {mel.window}"
        assert hz == f"{mel.fmin:.0f} to {mel.fmax:.0f}"
        assert filters == f"{mel.mel_scale}, {mel.filter_norm}" and mel.power == 1
        small = {float(number) for number in re.findall(r"1e-\d+", magnitude)}
        assert small == {mel.epsilon, mel.power_floor} - {0}
        assert mel.log in log and f"floor {mel.floor:.0e}".replace("e-0", "e-") in log
        assert ("20 " in log, "- 16" in log) == (mel.log_factor == 20, mel.log_offset == -16)


def test_the_bounds_fit_those_of_a_spec():
    assert MAX_RATE == spec.MAX_SAMPLE_RATE and MAX_MELS <= spec.MAX_CHANNELS


def test_filters_without_a_bin_give_the_lowest_level():
    mel = dataclasses.replace(SMALL, mels=64)
    empty = [i for i, f in enumerate(features._filters(mel)) if not len(f.weights)]
    assert empty and (fw.mel(noise(99), mel)[:, empty] == np.float32(math.log(1e-5))).all()
