"""Mel spectrograms: each preset by its formulas, streams by the one shot, and properties of both.

The reference below is written from the definitions: a DFT matrix, filters bin by bin, numpy's
reflection.  Where librosa and torchaudio are installed, the presets are compared with them too.
"""

import dataclasses
import json
import math
import re
import tracemalloc

import numpy as np
import pytest
import soundfile
from c_build import ROOT
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fastwavenet as fw
from fastwavenet import features, spec
from fastwavenet.mel_conventions import DEFAULT, MAX_MELS, MAX_RATE

PRESETS = fw.mel_presets()
SMALL = fw.Mel(sample_rate=800, n_fft=32, hop=8, window=32, mels=5, fmin=0, fmax=400)

each_preset = pytest.mark.parametrize("name", PRESETS)


# ---- the reference ---------------------------------------------------------------------------


def hz_to_mel(hz: float, scale: str) -> float:
    if scale == "htk":
        return 2595 * math.log10(1 + hz / 700)
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def mel_to_hz(mel: float, scale: str) -> float:
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def edges_hz(mel: fw.Mel) -> list[float]:
    low, high = hz_to_mel(mel.fmin, mel.mel_scale), hz_to_mel(mel.fmax, mel.mel_scale)
    step = (high - low) / (mel.mels + 1)
    return [mel_to_hz(low + i * step, mel.mel_scale) for i in range(mel.mels + 2)]


def triangle(hz: float, low: float, centre: float, high: float) -> float:
    if low < hz <= centre:
        return (hz - low) / (centre - low)
    return (high - hz) / (high - centre) if centre < hz < high else 0.0


def filterbank(mel: fw.Mel) -> np.ndarray:
    """(bins, mels)"""
    hz = [k * mel.sample_rate / mel.n_fft for k in range(mel.n_fft // 2 + 1)]
    edges, columns = edges_hz(mel), []
    for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False):
        area = (high - low) / 2 if mel.filter_norm == "slaney" else 1
        columns.append([triangle(f, low, centre, high) / area for f in hz])
    return np.array(columns).T


def dft_magnitudes(padded: np.ndarray, mel: fw.Mel) -> np.ndarray:
    """|X|^2, (frames, bins)"""
    n, size = np.arange(mel.window), mel.n_fft
    window = np.zeros(size)
    left = (size - mel.window) // 2
    window[left : left + mel.window] = np.sin(np.pi * n / mel.window) ** 2
    k = np.outer(np.arange(size), np.arange(size // 2 + 1)) % size
    starts = range(0, len(padded) - size + 1, mel.hop)
    frames = np.array([padded[i : i + size] * window for i in starts]).reshape(-1, size)
    angles = 2 * np.pi * k / size
    return (frames @ np.cos(angles)) ** 2 + (frames @ np.sin(angles)) ** 2


def reference(audio: np.ndarray, mel: fw.Mel) -> np.ndarray:
    padding = (mel.n_fft if mel.padding == "center" else mel.n_fft - mel.hop) // 2
    if len(audio) < mel.hop:
        return np.empty((0, mel.mels))
    padded = np.pad(audio.astype(np.float64), padding, mode="reflect")
    power = np.maximum(dft_magnitudes(padded, mel), mel.power_floor) + mel.epsilon
    energies = power if mel.power == 2 else np.sqrt(power)
    log = np.log if mel.log == "ln" else np.log10
    levels = log(np.maximum(energies @ filterbank(mel), mel.floor))
    levels = (levels * mel.log_factor + mel.log_offset - mel.mean) / mel.deviation
    if mel.clip:
        levels = np.minimum(np.maximum(levels, mel.clip[0]), mel.clip[1])
    return levels[: len(audio) // mel.hop]


def noise(n: int, seed: int = 0, amplitude: float = 0.1) -> np.ndarray:
    return (amplitude * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def speech(n: int) -> np.ndarray:
    """Speech between digital silence and a loud tone: the whole range of levels."""
    audio, _ = soundfile.read(ROOT / "fastwavenet/data/arctic_a0009.flac", dtype="float32")
    part = audio[12000 : 12000 + n].copy()
    part[: n // 4] = 0
    part[-n // 4 :] += np.sin(0.3 * np.arange(len(part[-n // 4 :]))).astype(np.float32)
    return part


def drawn_mels() -> st.SearchStrategy[fw.Mel]:
    """Conventions of small sizes."""

    @st.composite
    def drawn(draw):
        n_fft = 2 * draw(st.integers(1, 20))
        padding = draw(st.sampled_from(["center", "same"]))
        hop = draw(st.integers(1, n_fft).filter(lambda h: padding == "center" or h % 2 == 0))
        fmin = draw(st.floats(0, 350))
        return fw.Mel(
            sample_rate=800,
            n_fft=n_fft,
            hop=hop,
            window=draw(st.integers(2, n_fft)),
            mels=draw(st.integers(1, 12)),
            fmin=fmin,
            fmax=draw(st.floats(fmin + 1, 400)),
            mel_scale=draw(st.sampled_from(["slaney", "htk"])),
            filter_norm=draw(st.sampled_from(["slaney", "none"])),
            power=draw(st.sampled_from([1, 2])),
            power_floor=draw(st.sampled_from([0, 1e-3])),
            epsilon=draw(st.sampled_from([0, 1e-3])),
            log=draw(st.sampled_from(["ln", "log10"])),
            log_factor=draw(st.sampled_from([1, -3, 20])),
            log_offset=draw(st.sampled_from([0, -16])),
            padding=padding,
            mean=draw(st.sampled_from([0, -5.5])),
            deviation=draw(st.sampled_from([1, 2.1])),
            clip=draw(st.sampled_from([None, (-4, 4)])),
        )

    return drawn()


# ---- the definition --------------------------------------------------------------------------


@each_preset
def test_a_preset_is_within_1e_4_of_its_formulas(name):
    mel, audio = PRESETS[name], speech(6000)
    frames = fw.mel(audio, name)
    assert frames.dtype == np.float32 and frames.shape == (6000 // mel.hop, mel.mels)
    assert np.abs(frames - reference(audio, mel)).max() < 1e-4


@settings(max_examples=200)
@given(mel=drawn_mels(), n=st.integers(0, 200))
def test_any_convention_is_within_1e_4_of_its_formulas(mel, n):
    audio = noise(n)
    expected = reference(audio, mel)
    frames = fw.mel(audio, mel)
    assert frames.shape == expected.shape == (n // mel.hop, mel.mels)
    assert np.abs(frames - expected).max(initial=0) < 1e-4 * max(1, abs(mel.log_factor))


@each_preset
def test_a_recording_of_any_length_has_the_frames_of_its_whole_hops(name):
    mel = PRESETS[name]
    near = (mel.hop, mel.n_fft // 2, (mel.n_fft - mel.hop) // 2, mel.n_fft, 3 * mel.hop)
    for n in {0, 1, 2, *(length + more for length in near for more in (-1, 0, 1))}:
        frames, audio = fw.mel(noise(n), mel), noise(n)
        assert frames.shape == (n // mel.hop, mel.mels)
        assert np.abs(frames - reference(audio, mel)).max(initial=0) < 1e-4


@pytest.mark.parametrize("dtype", [np.float64, ">f4", ">f8"])
def test_float_types_give_the_same_frames(dtype):
    audio = noise(3000)
    assert np.array_equal(fw.mel(audio.astype(dtype)), fw.mel(audio))
    assert np.array_equal(fw.mel(np.repeat(audio, 2)[::2]), fw.mel(audio))
    assert np.array_equal(fw.mel(audio.tolist()), fw.mel(audio))


# ---- properties ------------------------------------------------------------------------------


@each_preset
def test_silence_gives_the_lowest_level(name):
    mel = PRESETS[name]
    filtered = math.sqrt(mel.power_floor + mel.epsilon) * filterbank(mel).sum(axis=0)
    log = np.log if mel.log == "ln" else np.log10
    lowest = log(np.maximum(filtered, mel.floor)) * mel.log_factor + mel.log_offset
    lowest = (lowest - mel.mean) / mel.deviation
    lowest = lowest if mel.clip is None else lowest.clip(*mel.clip)
    frames = fw.mel(np.zeros(10 * mel.hop, np.float32), name)
    assert np.abs(frames - lowest).max() < 1e-5
    if not mel.power_floor:
        assert np.ptp(frames) == 0
    assert (fw.mel(noise(10 * mel.hop), name) >= frames - 1e-6).all()


@each_preset
@pytest.mark.parametrize("hz", [300, 1000, 3000, 7000])
def test_a_tone_is_loudest_in_the_filter_around_it(name, hz):
    mel = PRESETS[name]
    audio = np.sin(2 * np.pi * hz * np.arange(20 * mel.hop) / mel.sample_rate)
    flat = dataclasses.replace(mel, filter_norm="none")
    loudest = fw.mel(0.1 * audio, flat)[10].argmax()
    edges = edges_hz(mel)
    assert edges[loudest] < hz < edges[loudest + 2]


@each_preset
def test_twice_the_amplitude_adds_the_logarithm_of_two(name):
    mel = dataclasses.replace(PRESETS[name], clip=None)
    audio = noise(20 * mel.hop)
    two = math.log(2) if mel.log == "ln" else math.log10(2)
    more = fw.mel(2 * audio, mel) - fw.mel(audio, mel)
    assert np.abs(more - two * mel.log_factor / mel.deviation).max() < 1e-3


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_power_is_kept_between_the_first_and_the_last_centre(scale):
    """Triangles of height 1 add up to 1, so the filters' sum is the power of the windowed audio."""
    mel = dataclasses.replace(
        PRESETS[DEFAULT], power=2, epsilon=0, floor=1e-30, filter_norm="none", mel_scale=scale
    )
    t = np.arange(40 * mel.hop)
    audio = sum(np.sin(2 * np.pi * hz * t / mel.sample_rate) for hz in (500, 1700, 5200))
    first = 20 * mel.hop - (mel.n_fft - mel.hop) // 2
    window = np.sin(np.pi * np.arange(mel.n_fft) / mel.n_fft) ** 2
    power = mel.n_fft / 2 * np.square(audio[first : first + mel.n_fft] * window).sum()
    assert np.exp(fw.mel(audio, mel)[20].astype(np.float64)).sum() == pytest.approx(power, rel=1e-4)


@each_preset
def test_a_frame_belongs_to_its_span(name):
    """A click raises the frame whose span or window's middle it is in above all others."""
    mel = PRESETS[name]
    audio = np.zeros(30 * mel.hop, np.float32)
    audio[10 * mel.hop + (mel.hop // 2 if mel.padding == "same" else 0)] = 1
    assert fw.mel(audio, mel).sum(axis=1, dtype=np.float64).argmax() == 10


def test_a_frame_depends_on_the_samples_under_its_window_alone():
    mel, audio = PRESETS["espnet-24k"], noise(30 * 300)
    frames = fw.mel(audio, mel)
    changed = audio.copy()
    changed[10 * 300 + mel.window // 2 :] = 1
    changed[: 10 * 300 - mel.window // 2] = -1
    again = fw.mel(changed, mel)
    assert np.array_equal(frames[10], again[10])
    assert (frames[[9, 11]] != again[[9, 11]]).any(axis=1).all()


# ---- streams ---------------------------------------------------------------------------------


def in_pieces(audio: np.ndarray, mel: fw.Mel, lengths: list[int]) -> list[np.ndarray]:
    """The frames of each piece and, last, those of the end."""
    stream, found, start = fw.MelStream(mel), [], 0
    for length in lengths:
        found.append(stream.feed(audio[start : start + length]))
        start += length
    return [*found, stream.feed(audio[start:]), stream.finish()]


@settings(max_examples=200)
@given(mel=drawn_mels(), n=st.integers(0, 150), lengths=st.lists(st.integers(0, 60), max_size=9))
def test_a_stream_in_any_pieces_equals_the_one_shot_bit_for_bit(mel, n, lengths):
    audio = noise(n)
    pieces = in_pieces(audio, mel, lengths)
    assert all(p.shape[1:] == (mel.mels,) and p.dtype == np.float32 for p in pieces)
    assert np.array_equal(np.concatenate(pieces), fw.mel(audio, mel))


@settings(max_examples=30)
@given(
    name=st.sampled_from([*PRESETS]),
    n=st.integers(0, 40000),
    lengths=st.lists(st.integers(0, 9000), max_size=9),
)
@example(name="hifigan-22k", n=256, lengths=[1] * 255)
@example(name="espnet-24k", n=24000, lengths=[300] * 70)
def test_a_stream_of_a_preset_equals_the_one_shot_bit_for_bit(name, n, lengths):
    audio = noise(n)
    pieces = in_pieces(audio, PRESETS[name], lengths)
    assert np.array_equal(np.concatenate(pieces), fw.mel(audio, name))


@settings(max_examples=200)
@given(mel=drawn_mels(), n=st.integers(1, 150), more=st.integers(1, 150))
def test_a_stream_returns_a_frame_as_soon_as_it_is_determined(mel, n, more):
    """Those returned never change; the next one is still changed by the samples to come."""
    stream = fw.MelStream(mel)
    known = len(stream.feed(noise(n)))
    assert known <= n // mel.hop
    ends = [np.concatenate([noise(n), noise(more, s, 5.0)]) for s in (1, 2)]
    one, other = (fw.mel(audio, mel) for audio in ends)
    assert np.array_equal(one[:known], other[:known])
    left = (mel.n_fft - mel.window) // 2
    first = -((mel.n_fft if mel.padding == "center" else mel.n_fft - mel.hop) // 2) + left
    reaches = known * mel.hop + max(first + mel.window, mel.hop)
    assert n < reaches or n <= -first


def test_a_stream_begins_anew_after_its_end():
    stream, audio = fw.MelStream(SMALL), noise(101)
    first = [stream.feed(audio), stream.finish()]
    second = [stream.feed(audio), stream.finish()]
    assert np.array_equal(np.concatenate(first), np.concatenate(second))
    assert len(stream.finish()) == 0


def test_a_stream_is_as_before_after_refused_audio():
    stream, audio = fw.MelStream(SMALL), noise(200)
    begun = stream.feed(audio[:100])
    bad = np.where(np.arange(100) == 99, np.nan, audio[100:])
    with pytest.raises(ValueError, match="nan at index 99"):
        stream.feed(bad)
    frames = np.concatenate([begun, stream.feed(audio[100:]), stream.finish()])
    assert np.array_equal(frames, fw.mel(audio, SMALL))


def test_an_hour_takes_the_memory_of_its_frames():
    mel = dataclasses.replace(PRESETS["hifigan-16k"], hop=1024)
    audio = np.broadcast_to(np.float32(0.1), (3600 * 16000,))
    tracemalloc.start()
    frames = fw.mel(audio, mel)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(frames) == 3600 * 16000 // 1024
    assert peak < frames.nbytes + 8e6  # the audio as float32: 230 MB


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


# ---- other implementations (development only) ------------------------------------------------


def librosa_frames(audio: np.ndarray, mel: fw.Mel) -> np.ndarray:
    """As the projects call librosa, in float64."""
    librosa = pytest.importorskip("librosa", reason="librosa is not installed")
    centred, audio = mel.padding == "center", audio.astype(np.float64)
    if not centred:
        audio = np.pad(audio, (mel.n_fft - mel.hop) // 2, mode="reflect")
    spectra = librosa.stft(
        audio,
        n_fft=mel.n_fft,
        hop_length=mel.hop,
        win_length=mel.window,
        center=centred,
        pad_mode="reflect",
    )
    filters = librosa.filters.mel(
        sr=mel.sample_rate,
        n_fft=mel.n_fft,
        n_mels=mel.mels,
        fmin=mel.fmin,
        fmax=mel.fmax,
        htk=mel.mel_scale == "htk",
        norm=None if mel.filter_norm == "none" else mel.filter_norm,
    )
    power = np.maximum(np.abs(spectra) ** 2, mel.power_floor) + mel.epsilon
    filtered = np.maximum(filters @ np.sqrt(power), mel.floor).T
    return after_the_filters(filtered, mel)


def torchaudio_frames(audio: np.ndarray, mel: fw.Mel) -> np.ndarray:
    """As Vocos calls torchaudio, in float64."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    torchaudio = pytest.importorskip("torchaudio", reason="torchaudio is not installed")
    filters = torchaudio.functional.melscale_fbanks(
        mel.n_fft // 2 + 1,
        mel.fmin,
        mel.fmax,
        mel.mels,
        mel.sample_rate,
        norm=None if mel.filter_norm == "none" else mel.filter_norm,
        mel_scale=mel.mel_scale,
    )
    centred, audio = mel.padding == "center", torch.from_numpy(audio.astype(np.float64))
    if not centred:
        half = (mel.n_fft - mel.hop) // 2
        audio = torch.nn.functional.pad(audio[None], (half, half), mode="reflect")[0]
    spectra = torch.stft(
        audio,
        mel.n_fft,
        mel.hop,
        mel.window,
        torch.hann_window(mel.window, dtype=torch.float64),
        center=centred,
        pad_mode="reflect",
        return_complex=True,
    )
    power = np.maximum(spectra.abs().numpy() ** 2, mel.power_floor) + mel.epsilon
    filtered = np.maximum(np.sqrt(power).T @ filters.double().numpy(), mel.floor)
    return after_the_filters(filtered, mel)


def after_the_filters(filtered: np.ndarray, mel: fw.Mel) -> np.ndarray:
    log = np.log if mel.log == "ln" else np.log10
    levels = (log(filtered) * mel.log_factor + mel.log_offset - mel.mean) / mel.deviation
    return levels if mel.clip is None else levels.clip(*mel.clip)


@each_preset
@pytest.mark.parametrize("theirs", [librosa_frames, torchaudio_frames])
def test_a_preset_is_within_1e_4_of_another_implementation(name, theirs):
    mel, audio = PRESETS[name], speech(40000)
    expected = theirs(audio, mel)[: len(audio) // mel.hop]
    assert np.abs(fw.mel(audio, mel) - expected).max() < 1e-4
