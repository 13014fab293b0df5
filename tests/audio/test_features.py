"""Mel spectrograms: presets by their formulas (a DFT matrix, filters bin by bin), streams by the
one shot, properties of both; librosa's and torchaudio's where they are installed."""

import dataclasses
import math
import tracemalloc

import numpy as np
import pytest
import soundfile
from c_build import ROOT
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recordings import noise

import fastwavenet as fw
from fastwavenet.mel_conventions import DEFAULT

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
        fmin, mels = draw(st.floats(0, 350)), draw(st.integers(1, 12))
        means, deviations = st.sampled_from([0, -5.5]), st.sampled_from([1, 2.1])
        if draw(st.booleans()):  # one for each channel
            means = st.lists(means, min_size=mels, max_size=mels)
            deviations = st.lists(deviations, min_size=mels, max_size=mels)
        return fw.Mel(
            sample_rate=800,
            n_fft=n_fft,
            hop=hop,
            window=draw(st.integers(2, n_fft)),
            mels=mels,
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
            mean=draw(means),
            deviation=draw(deviations),
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
