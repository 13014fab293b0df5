"""The package and the play page in a headless Chromium."""

import base64
import json
import random
import runpy
import shutil

import chromium
import numpy as np
import pytest
from c_build import ROOT
from documents import blocks
from engines import weights_of
from networks import small_spec

import fastwavenet as fw
from fastwavenet.bundled_voices import model_path
from fastwavenet.mel_matching import match_mel
from fastwavenet.modelfile import save
from fastwavenet.recording_frames import recording_frames

PACKAGE = """import('/fastwavenet/index.js').then(made => ({...made, loadModel: (source, options) =>
    made.loadModel(source, {engine: '/fastwavenet/fastwavenet.wasm.gz', ...options})}))"""
READY = "!document.getElementById('play').disabled"
STATUS = "document.getElementById('status').textContent"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, engine_file):
    """The page, as `make play` assembles it."""
    place = tmp_path_factory.mktemp("play")
    runpy.run_path(str(ROOT / "docs/assemble_play.py"))["assemble"](place, engine_file)
    (place / "blank.html").write_text('<link rel="icon" href="data:,">')
    return place


@pytest.fixture(scope="module")
def site(folder):
    with chromium.served(folder) as address:
        yield address


@pytest.fixture
def page(tab, site):
    """A blank page of the site, in which nothing was written to the console."""
    tab.messages.clear()
    tab.open(f"{site}/blank.html")
    yield tab
    assert tab.messages == []


def samples_of(tab, script: str) -> np.ndarray:
    """float32 samples that a script returns, as a promise."""
    text = tab.run(
        f"(async () => {{ const audio = await ({script})(await {PACKAGE});"
        "let text = ''; new Uint8Array(audio.buffer).forEach(b => text += String.fromCharCode(b));"
        "return btoa(text); })()"
    )
    return np.frombuffer(base64.b64decode(text), np.float32)


def drawn_settings(chance: random.Random) -> dict:
    return {
        "temperature": chance.choice([None, 0, 0.5, 1.0, 1.2]),
        "top_k": chance.choice([None, 1, 20, 256]),
        "min_p": chance.choice([None, 0, 0.03]),
    }


@pytest.mark.parametrize("precision", ["int8", "bfloat16", "float32"])
@pytest.mark.parametrize("voice", ["recorder-16k", "speech-16k"])
def test_the_worker_of_a_page_makes_the_native_samples(page, voice, precision):
    chance = random.Random(f"{voice} {precision}")
    seed, settings = chance.randrange(2**32), drawn_settings(chance)
    model = fw.load(voice, precision=precision)
    count = 8 if voice == "recorder-16k" else 5
    frames = np.zeros((count, model.spec.conditioning.channels), np.float32)
    frames[:, chance.randrange(20)] = 0.7
    expected = fw.generate(model, seed=seed, frames=frames, **settings)
    sampling = {
        "temperature": settings["temperature"], "topK": settings["top_k"],
        "minP": settings["min_p"],
    }  # fmt: skip
    found = samples_of(
        page,
        f"async ({{loadModel}}) => {{ const model = await loadModel("
        f"'/voices/{voice}.safetensors.gz', {{precision: '{precision}'}});"
        f"const audio = await model.generate({{seed: {seed}, sampling: {json.dumps(sampling)},"
        f"frames: Float32Array.from({json.dumps(frames.ravel().tolist())})}});"
        "model.close(); return audio; }",
    )
    assert found.tobytes() == expected.tobytes()


PLAYED = """async ({Player, loadModel, melody}) => {
    const model = await loadModel('/voices/recorder-16k.safetensors.gz', {precision: 'int8'});
    const player = new Player(model, {ahead: 0.1});
    const parts = [];
    window.turns = [];
    player.addEventListener('block', ({detail}) => {
        parts.push(...detail.audio);
        turns.push([detail.audio.length, detail.sampling.temperature ?? null]);
        if (parts.length > 2000) player.set({temperature: 0.4});
        if (parts.length > 4000) player.set({temperature: 1.1});
    });
    const ended = new Promise(resolve => player.addEventListener('end', resolve));
    await player.play({seed: 3, frames: [melody(model.spec, {notes: 'D5:0.2 A5:0.2'})]});
    await ended;
    window.heard = player.heard;
    await player.close();
    model.close();
    return Float32Array.from(parts);
}"""


def test_a_sound_that_is_played_is_the_native_one_also_when_a_knob_is_turned(page):
    found = samples_of(page, PLAYED)
    turns = page.run("window.turns")
    model = fw.load("recorder-16k", precision="int8")
    frames = fw.melody(model, "D5:0.2 A5:0.2")
    voice, at, parts = fw.Generator(model, seed=3), 0, []
    for n, temperature in turns:
        voice.temperature = temperature
        parts.append(voice.generate(n, frames=frames, at=at))
        at += n
    assert {temperature for _, temperature in turns} == {None, 0.4, 1.1}
    assert found.tobytes() == np.concatenate(parts).tobytes()
    assert page.run("window.heard") == len(found) == 6400


def test_a_recording_is_spoken_again_by_the_page_as_natively(page):
    model = fw.load("speech-16k", precision="int8")
    audio = 0.3 * np.sin(np.arange(1500) / 9).astype(np.float32)
    script = (
        "async ({loadModel}) => { const model = await loadModel("
        "'/voices/speech-16k.safetensors.gz', {precision: 'int8'});"
        f"const audio = Float32Array.from({json.dumps(audio.tolist())});"
        "window.frames_ = [...await model.recordingFrames(audio)];"
        "const frames = Float32Array.from(window.frames_);"
        "const made = await model.generate({frames, seed: 5});"
        "window.matched = [...await model.vocode(audio, {seed: 5})]; model.close(); return made; }"
    )
    found = samples_of(page, script)
    frames = np.array(page.run("window.frames_"), np.float32).reshape(-1, 83)
    by_python = recording_frames(model.spec.conditioning, audio)
    np.testing.assert_allclose(frames, by_python, rtol=0, atol=1e-4)
    expected = fw.generate(model, seed=5, frames=frames)
    assert found.tobytes() == expected.tobytes()
    matched = match_mel(expected, frames[:, :80], model.spec.conditioning.mel)
    np.testing.assert_allclose(page.run("window.matched"), matched, rtol=0, atol=1e-3)


AHEAD = """async ({Player, improvisation, loadModel}) => {
    const model = await loadModel('/voices/recorder-16k.safetensors.gz', {precision: 'int8'});
    const player = new Player(model, {ahead: 0.2});
    const lengths = [];
    player.addEventListener('block', ({detail}) => {
        lengths.push(detail.at + detail.audio.length - player.heard);
    });
    await player.play({frames: improvisation(model.spec, 1)});
    while (lengths.length < 9) await new Promise(resolve => setTimeout(resolve, 50));
    await player.stop();
    const made = lengths.length;
    await new Promise(resolve => setTimeout(resolve, 300));
    lengths.push(lengths.length - made);
    await player.close();
    model.close();
    return Float32Array.from(lengths);
}"""


def test_no_more_is_made_than_the_lead_of_a_player_and_nothing_after_a_stop(page):
    *lengths, after_stop = samples_of(page, AHEAD)
    assert max(lengths) <= 0.2 * 16000
    assert after_stop == 0


def test_the_example_of_the_readme_plays(tab, tmp_path, engine_file):
    text = (ROOT / "web/README.md").read_text()
    (example,) = (block.text for block in blocks(text) if block.language == "html")
    assert len(example.splitlines()) <= 12
    icon = '<link rel="icon" href="data:,">'
    (tmp_path / "index.html").write_text(f"{icon}<!DOCTYPE html>{example}")
    shutil.copytree(ROOT / "web", tmp_path / "fastwavenet")
    shutil.copy(engine_file, tmp_path / "fastwavenet")
    shutil.copy(model_path("recorder-16k"), tmp_path)
    tab.messages.clear()
    with chromium.served(tmp_path) as address:
        tab.open(f"{address}/index.html", "window.blocks = 0")
        tab.run("import('/fastwavenet/index.js').then(({Player}) => { const { dispatchEvent } = "
                "Player.prototype; Player.prototype.dispatchEvent = function (event) { "
                "window.blocks += 1; return dispatchEvent.call(this, event); }; })")  # fmt: skip
        tab.until("document.querySelector('button').onclick")
        tab.run("document.querySelector('button').click()")
        tab.until("window.blocks > 3")
        tab.run("document.onkeydown({key: '3'})")
        tab.until("window.blocks > 6")
    assert tab.messages == []


# ---- the page ----------------------------------------------------------------------------------


@pytest.fixture
def play(tab, site):
    """Opens the play page with a fragment, after a script."""
    tab.messages.clear()

    def opened(fragment: str = "", before: str = ""):
        tab.open(f"{site}/index.html#{fragment}", before)
        return tab

    yield opened
    assert tab.messages == []


def test_the_page_plays_after_one_click(play):
    page = play()
    page.until(READY)
    assert page.run(STATUS) == "recorder-16k is ready."
    page.run("document.getElementById('play').click()")
    page.until("/times real time/.test(document.getElementById('speed').textContent)")
    page.until("document.querySelector('.sounding')")
    page.run("document.getElementById('play').click()")
    page.until(f"{STATUS} === 'Paused.'")
    assert page.run("document.getElementById('play').getAttribute('aria-label')") == "Play"


def test_two_clicks_at_once_are_one_sound(play):
    page = play(before="window.devices = 0; window.AudioContext = class extends AudioContext {"
                "constructor(options) { super(options); window.devices += 1; } }")  # fmt: skip
    page.until(READY)
    page.run("for (const one of [1, 2]) document.getElementById('restart').click()")
    page.until("document.querySelector('.sounding')")
    assert page.run("window.devices") == 1


def test_a_link_holds_the_setting(play):
    setting = "voice=recorder-16k&seed=12&temperature=0.5&top_k=16&min_p=0.1&precision=float32"
    page = play(setting)
    page.until(READY)
    shown = "[...document.querySelectorAll('output')].map(one => one.textContent)"
    assert page.run(shown) == ["0.5", "16", "0.1"]
    assert page.run("document.getElementById('seed').value") == "12"
    assert "float32" in page.run("document.getElementById('facts').textContent")
    page.run("document.getElementById('temperature').value = 1; document.getElementById("
             "'temperature').dispatchEvent(new Event('input'))")  # fmt: skip
    assert page.run(shown) == ["1", "16", "0.1"]
    page.run("document.getElementById('share').click()")
    assert page.run("location.hash") == "#" + setting.replace("=0.5", "=1")


def test_a_link_of_nonsense_is_the_page_without_one(play):
    page = play("voice=../x&seed=-1&temperature=hot&top_k=0&precision=int3")
    page.until(READY)
    assert page.run(STATUS) == "recorder-16k is ready."


def give(page, identity: str, name: str, content: str) -> None:
    """A file for an input of the page.  content: an expression of an array of bytes."""
    page.run(
        f"(() => {{ const held = new DataTransfer();"
        f"held.items.add(new File([{content}], '{name}'));"
        f"const input = document.getElementById('{identity}'); input.files = held.files;"
        "input.dispatchEvent(new Event('change')); })()"
    )


NO_MODELS = {
    "noise": ("new Uint8Array(100)", "not a model file|version|metadata|JSON"),
    "nothing": ("''", "0 bytes without a whole header"),
    "a text": ("'a text of words'", "not a model file, or a truncated one"),
    "damaged gzip": ("new Uint8Array([31, 139, 1, 2, 3])", "compressed bytes are damaged"),
    "too large": ("new Uint8Array(65e6)", "has 65.0 MB, expected at most 64.0 MB"),
}


@pytest.mark.parametrize("kind", NO_MODELS)
def test_a_file_that_is_no_model_is_a_sentence(play, kind):
    content, message = NO_MODELS[kind]
    page = play()
    page.until(READY)
    give(page, "model-file", "x.safetensors", content)
    page.until("document.getElementById('status').classList.contains('wrong')")
    status = page.run(STATUS)
    assert any(part in status.lower() for part in message.lower().split("|")), status
    assert status.endswith(".")
    assert page.run("document.getElementById('play').disabled")


def test_a_model_of_the_visitor_is_played(play, tmp_path):
    spec = small_spec(levels=256, sample_rate=16000)
    save(tmp_path / "mine.safetensors", spec, weights_of(spec))
    data = (tmp_path / "mine.safetensors").read_bytes()
    page = play()
    page.until(READY)
    give(page, "model-file", "mine.safetensors", f"new Uint8Array({list(data)})")
    page.until(f"{STATUS} === 'mine.safetensors is ready.'")
    page.run("document.getElementById('play').click()")
    page.until("/times real time/.test(document.getElementById('speed').textContent)")


WITHOUT = {
    "delete globalThis.AudioWorkletNode": "There is no AudioWorklet",
    "WebAssembly.validate = () => false": "no WebAssembly SIMD",
}


@pytest.mark.parametrize("script", WITHOUT)
def test_a_browser_that_lacks_something_gets_a_sentence(play, script):
    page = play(before=script)
    page.until("document.getElementById('status').classList.contains('wrong')")
    assert WITHOUT[script] in page.run(STATUS)


def wav(rate: int, samples: str) -> str:
    """An expression: a WAV file, 16 bits, of a list of samples in JavaScript."""
    return (
        f"(() => {{ const s = Int16Array.from({samples}); const b = new ArrayBuffer(44 + 2 * "
        "s.length); const v = new DataView(b); const t = (at, x) => [...x].forEach((c, i) => "
        "v.setUint8(at + i, c.charCodeAt(0))); t(0, 'RIFF'); v.setUint32(4, 36 + 2 * s.length, "
        "true); t(8, 'WAVEfmt '); v.setUint32(16, 16, true); v.setUint16(20, 1, true); "
        f"v.setUint16(22, 1, true); v.setUint32(24, {rate}, true); v.setUint32(28, {2 * rate}, "
        "true); v.setUint16(32, 2, true); v.setUint16(34, 16, true); t(36, 'data'); "
        "v.setUint32(40, 2 * s.length, true); new Int16Array(b, 44).set(s); return b; })()"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("'no sound at all'", "no recording that this browser can read"),
        (wav(16000, "Array(16000).fill(0)"), "the recording holds no sound"),
    ],
)
def test_a_recording_without_sound_is_a_sentence(play, content, message):
    page = play()
    page.until(READY)
    give(page, "audio-file", "x.wav", content)
    page.until("document.getElementById('status').classList.contains('wrong')")
    assert message.lower() in page.run(STATUS).lower()


def test_a_hummed_recording_of_another_rate_is_played_as_a_melody(play):
    page = play()
    page.until(READY)
    tone = "Array.from({length: 22050}, (_, i) => 9000 * Math.sin(3690.3 * i / 44100))"  # 587 Hz
    give(page, "audio-file", "x.wav", wav(44100, tone))
    page.until("!document.getElementById('original').hidden")
    page.run("document.getElementById('play').click()")
    page.until("document.querySelector('.sounding')")
    assert page.run("document.querySelector('.sounding').getAttribute('aria-label')") == "D5"
    page.until(f"{STATUS}.startsWith('That was all')")


def test_a_recording_is_continued(play):
    page = play()
    page.until(READY)
    tone = "Array.from({length: 8000}, (_, i) => 9000 * Math.sin(i / 4))"
    give(page, "audio-file", "x.wav", wav(16000, tone))
    page.until("!document.getElementById('use-choice').hidden")
    page.run("document.getElementById('use').value = 'prime'")
    page.run("document.getElementById('play').click()")
    page.until("/times real time/.test(document.getElementById('speed').textContent)")


def test_a_key_that_is_held_sounds_instead_of_the_melody(play):
    page = play()
    page.until(READY)
    key = "document.querySelector('[data-key=\"91\"]')"
    page.run(
        f"(() => {{ const key = {key}; key.scrollIntoView();"
        "const box = key.getBoundingClientRect();"
        "key.dispatchEvent(new PointerEvent('pointerdown', {bubbles: true, buttons: 1,"
        "clientX: box.x + box.width / 2, clientY: box.bottom - 4})); })()"
    )
    page.until(f"{key}.classList.contains('sounding')")
    page.run("dispatchEvent(new PointerEvent('pointerup'))")
    page.until(f"!{key}.classList.contains('sounding')")


def test_keys_are_reached_and_played_by_the_keyboard(play):
    page = play()
    page.until(READY)
    page.run("document.querySelector('#piano button').focus()")
    for name in ("ArrowRight", "ArrowRight", " "):
        page.run(
            "document.activeElement.dispatchEvent("
            f"new KeyboardEvent('keydown', {{key: '{name}', bubbles: true}}))"
        )
    page.until("document.querySelector('[data-key=\"69\"]').classList.contains('sounding')")


def test_a_recording_is_spoken_again_beside_the_original(play):
    page = play("voice=speech-16k")
    page.until(READY)
    tone = "Array.from({length: 4000}, (_, i) => 9000 * Math.sin(i / 20))"
    give(page, "audio-file", "x.wav", wav(16000, tone))
    page.until("!document.getElementById('original').hidden")
    page.run("document.getElementById('play').click()")
    page.until("!document.getElementById('matched').hidden")
    assert page.run(STATUS).startswith("That was the network alone.")
    for button in ("original", "matched"):
        page.run(f"document.getElementById('{button}').click()")


def test_every_control_has_a_name_and_the_page_fits_the_window(play):
    page = play()
    page.until(READY)
    nameless = (
        "[...document.querySelectorAll('button, input, select')].filter(one => "
        "!(one.labels?.length || one.getAttribute('aria-label') || one.textContent.trim()))"
        ".map(one => one.id)"
    )
    assert page.run(nameless) == []
    for width in (500, 1200):
        page.size(width, 900)
        page.run("new Promise(requestAnimationFrame)")
        assert page.run("document.documentElement.scrollWidth") <= width


def test_the_page_is_small_and_names_its_licences(folder):
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size < 6_000_000
    assert "MIT" in (folder / "voices/NOTICES.txt").read_text()
