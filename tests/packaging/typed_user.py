"""A user's program that calls all that is public, for type checkers in their strictest mode.

It is checked, never run.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import fastwavenet as fw
from fastwavenet.ends import QuietSampling, Sampling, VoicedSampling
from fastwavenet.training import Summary, train

Floats = NDArray[np.float32]


def train_a_voice(recordings: Path, run: Path) -> Path:
    summary: Summary = train(recordings, run, preset="small", minutes=20.0, device="cpu")
    print(f"{summary.validation_loss:.3f} nats after {summary.steps} steps")
    return summary.model


def prepare_a_corpus(recordings: Path, corpus: Path) -> float:
    prepared: fw.Prepared = fw.prepare(recordings, corpus, mel=["hifigan-16k"], trim=-50, workers=2)
    print(prepared.decoded, prepared.kept, prepared.skipped, prepared.remarks)
    return prepared.seconds / prepared.recordings


def bring(checkpoint: Path) -> fw.Model:
    model: fw.Model = fw.import_checkpoint(checkpoint, layers_per_block=10)
    return fw.import_checkpoint(str(checkpoint), "wavenet-coding", config=Path("c.json")) or model


def describe(path: str | Path) -> fw.Model:
    model = fw.load(path, precision="auto")
    spec: fw.WaveNetSpec = model.spec
    print(spec.layers, spec.receptive_field, model.precision, model.precision_cost, model.info())
    print(fw.isa(), fw.available_isas())
    return model


def list_voices(wanted: str) -> fw.Model:
    voices: tuple[fw.Voice, ...] = fw.voices()
    for voice in voices:
        print(voice.name, voice.summary, voice.path.stat().st_size, len(voice.card + voice.notices))
    return fw.load(wanted) if wanted else fw.load(voices[0].path, "int8")


def speak(model: fw.Model) -> Floats:
    audio = fw.generate(model, seconds=4, seed=7, temperature=1.0, top_k=64, threads=2)
    return fw.generate(model, n_samples=100, prime=audio, sample_rate=model.sample_rate)


def play(recorder: fw.Model) -> Floats:
    improvised = fw.melody(recorder, seconds=4.0, seed=7)
    return fw.generate(
        recorder, frames=np.concatenate([improvised, fw.melody(recorder, "D5:1 - A5")])
    )


def continue_in_blocks(model: fw.Model, hello: Floats, out: Floats) -> Iterator[Floats]:
    with fw.Generator(model, seed=7, batch=None, isa="scalar") as gen:
        gen.prime(hello)
        gen.generate(len(out), out=out, progress=lambda done, total: print(done, total))
        yield from gen.stream(chunk=256, n_samples=1024)
        for block in gen:
            yield block
            if gen.position > 16000:
                break


def keep(gen: fw.Generator) -> bytes:
    twin: fw.Generator = gen.clone()
    threading.Timer(1.0, twin.cancel).start()
    try:
        twin.set_state(gen.get_state())
    except (fw.StateError, fw.BusyError) as error:
        print(error)
    gen.generate(10, frames=np.zeros((30, 2)), at=20)
    gen.reset(seed=gen.seed)
    gen.temperature = 0.9
    gen.top_k = None
    return twin.get_state()


def convert(source: Path | BytesIO, target: Path, rate: int) -> Floats:
    try:
        audio, found = fw.read_audio(source, rate, convert=True)
    except fw.AudioError as error:
        raise SystemExit(str(error)) from None
    fw.write_audio(target, audio, found)
    return audio


def voiced_share(audio: Floats) -> float:
    frames: Floats = fw.pitch(audio, 16000, hop=256, fmin=50, fmax=400.0)
    return float(frames[:, 1].mean())


def again(model: fw.Model, spoken: list[Floats]) -> Floats:
    several: list[Floats] = fw.vocode(model, spoken, seed=7, batch=2)
    one: Floats = fw.vocode(model, spoken[0], seed=7, threads=2)
    one = fw.match_mel(fw.vocode(model, spoken[0], match=0), spoken[0], "hifigan-16k", passes=4)
    voicing = spoken[0][:, -1]
    fw.generate(model, frames=spoken[0], min_p=0.1 * voicing, temperature=list(1 - 0.5 * voicing))
    return several[0] - one


def follow_voicing(spec: fw.WaveNetSpec) -> fw.WaveNetSpec:
    rule: VoicedSampling = VoicedSampling(channel=81, temperature=0.8, min_p=None)
    quiet = QuietSampling(channel=0, below=-8.0)
    return replace(spec, sampling=Sampling(temperature=1.0, voiced=rule, quiet=quiet))


def judge(model: fw.Model, samples: Floats) -> float:
    nats: Floats = fw.score(model, samples, threads=2)
    logits: Floats = fw.outputs(model, samples)
    return float(nats.mean() + logits.max())


def listen(model: fw.Model, normal: list[Floats], new: Floats) -> list[tuple[float, float]]:
    found: fw.Surprise = fw.surprise(model, new, 800, smooth=3, threads=2)
    print(found.nats.mean(), found.expected.mean())
    each: list[Floats] = [fw.surprise(model, audio, 800, smooth=3).excess for audio in normal]
    threshold: float = max(fw.surprise_threshold(each, 0.999), fw.surprise_threshold(each[0]))
    segments: NDArray[np.int64] = fw.surprise_segments(found.excess, threshold)
    return [(800 * first / 16000, 800 * end / 16000) for first, end in segments]


def pack(model: fw.Model, recording: NDArray[np.int16]) -> NDArray[np.int16]:
    data: bytes = fw.compress(model, recording, block=8000, batch=4, threads=2)
    copy: NDArray[np.int16] = fw.decompress(model, data)
    part: NDArray[np.int16] = fw.decompress(model, data, first=8000, n_samples=4000)
    print(part)
    try:
        codes: NDArray[np.uint8] = fw.decompress(model, data[:-1], codes=True)
        print(codes)
    except fw.CompressionError:
        found: fw.Salvaged = fw.salvage(model, data[:-1])
        print(found.samples, [end - first for first, end in found.lost], found.cut_off)
    return copy


def compare(model: fw.Model, recordings: list[Floats]) -> float:
    rows: list[fw.Evaluation] = fw.evaluate(
        model, recordings, precisions=["int8", "auto"], temperature=[1, 0.8], griffin_lim=32
    )
    fw.evaluate(model, recordings[0], frames=recordings[0][:, None], precisions="int8", min_p=0.1)
    best: fw.Quality = rows[-1].quality
    print(rows[-1].name, rows[-1].recordings[0].pitch_cents, rows[-1].to_dict(), best.to_dict())
    return best.estoi - rows[-1].times_real_time


def code(audio: Floats) -> Floats:
    codes = fw.mu_law_encode(audio, 256)
    return fw.mu_law_decode(codes, 256)


def analyse(audio: Floats, pieces: Iterator[Floats]) -> list[Floats]:
    convention: fw.Mel = fw.mel_presets()["hifigan-16k"]
    stream = fw.MelStream(convention, sample_rate=16000)
    frames = [stream.feed(piece) for piece in pieces] + [stream.finish()]
    kept = fw.Mel.from_dict(convention.to_dict())
    return [*frames, fw.mel(audio, kept), fw.mel(audio, "nv-16k", sample_rate=16000)]


def measure(path: Path, recording: Floats) -> None:
    try:
        cost: dict[str, float] = dict(fw.measure_precision(path, recording))
        dict(fw.measure_precision(path, recording, frames=[recording[:, None]], speaker="ann"))
        fw.record_precision_cost(path, cost)
        fw.round_for_int8(path, recording, frames=[recording[:, None]], speaker="ann")
        tuning: fw.Tuning = fw.tune(fw.load(path), [recording, recording], seconds=24, threads=2)
        fw.record_sampling(path, tuning.sampling)
        print(tuning.fresh[0], tuning.best.likeness.score, tuning.plain.sampling.temperature)
    except (fw.ModelFormatError, OSError) as error:
        print(error)
