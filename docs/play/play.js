/** The page: voice, transport, knobs, picture. */

import { Player, hasSimd, keysOf, loadModel, readRecording } from "./fastwavenet/index.js";
import { Knobs, fromFragment, toFragment } from "./knobs.js";
import { Piano } from "./piano.js";
import { Picture } from "./picture.js";
import { Recordings } from "./recordings.js";
import { MAX_BYTES, VOICES, aheadOf, kindOf, recordingText, scoreOf, soundOf } from "./voices.js";

const ENGINE = new URL("fastwavenet/fastwavenet.wasm.gz", location.href).href;
const CLIP = "voices/arctic_a0009.flac";
const SMALLEST = "int8"; // of the voices that ship: fast enough everywhere
const CALM_SECONDS = 0.5; // between pictures where motion is to be reduced

const element = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
const found = (/** @type {string} */ selector) =>
  /** @type {any} */ (document.querySelector(selector));
const knobs = new Knobs();
const recordings = new Recordings();
const piano = new Piano(element("piano"));
const picture = new Picture({
  ...{ wave: element("wave"), next: element("next"), spectrum: element("spectrum") },
});
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const state = {
  voice: VOICES[0],
  /** @type {File|null} */ file: null,
  /** @type {any} */ model: null,
  /** @type {Player|null} */ player: null,
  /** @type {import("./voices.js").Kind} */ kind: "plain",
  /** @type {any} */ performer: null,
  /** @type {Record<string, Float32Array|null>} */ recordings: {},
  loading: 0, // number of the newest loading: older ones are passed over
  turns: 0, // number of the newest start
  /** Of a vocoder: its sound so far. @type {Float32Array[]} */ parts: [],
  /** Of a vocoder. @type {Float32Array|null} */ frames: null,
  lead: 0, // seconds of sound that are made before the first is heard
  speed: 0, // times real time, smoothed
  surprise: 0, // nats, smoothed
};

// ---- sentences ----

/** @param {string} text @param {boolean} [wrong] */
function showStatus(text, wrong = false) {
  const status = element("status");
  if (status.textContent !== text) status.textContent = text; // or it would be read out again
  status.classList.toggle("wrong", wrong);
}

/** @param {unknown} error */
function showProblem(error) {
  const message = error instanceof Error ? error.message : String(error);
  showStatus(message[0].toUpperCase() + message.slice(1) + (/[.!?]$/.test(message) ? "" : "."), true);
}

/** What the browser lacks, or "". */
function lacking() {
  if (!hasSimd()) {
    return "This browser has no WebAssembly SIMD, which the engine needs. Use a newer browser.";
  }
  if (typeof AudioWorkletNode === "undefined") {
    return (
      "There is no AudioWorklet, which plays the sound. Use a newer browser, and open the page by " +
      "https or from localhost."
    );
  }
  return "";
}

// ---- loading ----

/** Loads the voice that is chosen.  @param {File|null} [file] a model of the visitor */
async function load(file = null) {
  const number = (state.loading += 1);
  await halt();
  state.model?.close();
  state.model = null;
  element("play").disabled = true;
  piano.setKeys(null);
  recordings.setModel({ rate: 16000, text: "" });
  const problem = lacking();
  if (problem) return showStatus(problem, true);
  const name = file ? file.name : state.voice;
  showStatus(`${name} is being loaded.`);
  try {
    const model = await loadModel(file ?? `voices/${state.voice}.safetensors.gz`, {
      precision: precisionWanted(file),
      engine: ENGINE,
      maxBytes: MAX_BYTES,
      progress: (done) => showStatus(`${name} is being loaded: ${(done / 1e6).toFixed(1)} MB.`),
    });
    if (number !== state.loading) return model.close();
    await use(model, name);
  } catch (error) {
    if (number === state.loading) showProblem(error);
  }
}

/** @param {File|null} file */
function precisionWanted(file) {
  const chosen = element("precision").value;
  return chosen === "" ? (file ? "auto" : SMALLEST) : chosen;
}

/** @param {any} model @param {string} name */
async function use(model, name) {
  state.model = model;
  state.kind = kindOf(model.spec);
  state.player = new Player(model, { ahead: aheadOf(state.kind) });
  state.player.addEventListener("block", (event) => blockMade(/** @type {any} */ (event).detail));
  state.player.addEventListener("end", ended);
  state.player.addEventListener("error", (event) => failed(/** @type {any} */ (event).detail));
  knobs.setModel(model.spec);
  picture.setModel(model.spec);
  piano.setKeys(keysOf(model.spec));
  showSpeakers(model.spec.conditioning?.speakers ?? []);
  showFacts(model);
  await setRecording();
  element("play").disabled = false;
  showStatus(`${name} is ready.`);
}

/** The recording of this kind of model; of a vocoder, the bundled clip at first. */
async function setRecording() {
  const { kind, model } = state;
  if (!(kind in state.recordings)) {
    state.recordings[kind] = kind === "vocoder" ? await clip(model.sampleRate) : null;
  }
  recordings.audio = state.recordings[kind];
  const text = recordingText(kind);
  const [asMelody, removable] = [kind === "instrument", kind !== "vocoder"];
  recordings.setModel({ rate: model.sampleRate, text, asMelody, removable });
  picture.spectrogram.showBelow(kind === "vocoder" ? recordings.audio : null);
  showScore();
}

/** The notes to come, where no recording takes their place. */
function showScore() {
  if (!state.model) return;
  picture.spectrogram.score = recordings.audio ? [] : scoreOf(state.model.spec, knobs.seed);
  if (!state.player?.playing) picture.draw(0);
}

/** @param {number} rate */
async function clip(rate) {
  const response = await fetch(CLIP).catch(() => null);
  return response?.ok ? readRecording(await response.blob(), rate) : null;
}

/** @param {string[]} names */
function showSpeakers(names) {
  element("speaker-choice").hidden = names.length === 0;
  element("speaker").replaceChildren(...names.map((name) => new Option(name, name)));
}

/** @param {any} model */
function showFacts({ spec, precision, isa }) {
  const rate = spec.sample_rate.toLocaleString("en");
  found('[data-text="rate"]').textContent = rate;
  const kilohertz = spec.sample_rate / 2000;
  found('[data-text="spectrum"]').textContent =
    state.kind === "vocoder"
      ? `the recording, and the sound that the network makes of it, 0 to ${kilohertz} kHz`
      : `the last 6 seconds, 0 to ${kilohertz} kHz`;
  element("facts").textContent =
    `${spec.dilations.length} layers, ${spec.residual} channels, ${rate} samples a second, computed ` +
    `in ${precision} by WebAssembly (${isa}).`;
}

// ---- playing ----

async function start() {
  const { player, model, kind } = state;
  if (!player) return;
  const turn = (state.turns += 1);
  recordings.quiet();
  try {
    const { seed } = knobs;
    const recording = recordings.audio;
    const held = () => piano.held;
    const options = { model, kind, seed, recording, use: recordings.use, held };
    /** @type {any} */
    const { performer = null, ...sound } = await soundOf(options);
    if (turn !== state.turns) return;
    picture.clear();
    state.performer = performer;
    state.lead = sound.lead ?? 0;
    state.parts = [];
    state.frames = kind === "vocoder" ? sound.frames[0] : null;
    state.speed = state.surprise = 0;
    const speaker = element("speaker").value || undefined;
    await player.play({ ...sound, seed, speaker, sampling: knobs.sampling });
    showPlaying(true);
    showStatus(sound.lead ? "Made ahead, since this computer is slower than the sound." : "Playing.");
    requestAnimationFrame(draw);
  } catch (error) {
    showProblem(error);
    showPlaying(false);
  }
}

/** Ends the sound, if one plays. */
async function halt() {
  state.turns += 1;
  await state.player?.close();
  state.player = null;
  showPlaying(false);
}

async function toggle() {
  const { player } = state;
  if (!player?.playing) return start();
  if (player.paused) {
    await player.resume();
    showStatus("Playing.");
    requestAnimationFrame(draw);
  } else {
    await player.pause();
    showStatus("Paused.");
  }
  showPlaying(!player.paused);
}

/** @param {Error} error of the engine, in the middle of a sound */
async function failed(error) {
  await state.player?.stop();
  showPlaying(false);
  showProblem(error);
}

async function ended() {
  showPlaying(false);
  showStatus("That was all. Press play to listen again.");
  const { model, frames } = state;
  if (!frames) return;
  const matched = await model.matched(joined(state.parts), frames).catch(() => null);
  if (matched === null || state.frames !== frames) return; // of an earlier sound
  recordings.setMatched(matched);
  showStatus("That was the network alone. Matched to the recording's 80 bands, it has less noise.");
}

/** @param {Float32Array[]} parts */
function joined(parts) {
  const all = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
}

/** A new sound by the settings, if one plays. */
function restartIfPlaying() {
  if (state.player?.playing && !state.player.paused) start();
  else state.player?.stop();
}

/** @param {boolean} playing */
function showPlaying(playing) {
  element("play").classList.toggle("playing", playing);
  element("play").setAttribute("aria-label", playing ? "Pause" : "Play");
}

/** A block that was made, before it is heard.  @param {any} block */
function blockMade(block) {
  picture.add(block);
  if (state.frames) state.parts.push(block.audio);
  const speed = block.audio.length / state.model.sampleRate / Math.max(block.seconds, 1e-5);
  /** @type {Float32Array} */
  const logp = block.logp;
  const surprise = -logp.reduce((sum, one) => sum + one, 0) / logp.length;
  const share = state.speed ? 0.05 : 1;
  state.speed += share * (speed - state.speed);
  state.surprise += share * (surprise - state.surprise);
}

function gapsText() {
  const remedy = state.model.precision === "int8" ? "" : " Precision int8 is the fastest.";
  return `This computer is slower than the sound, so the sound has gaps.${remedy}`;
}

let drawnAt = 0;

/** @param {number} now milliseconds */
function draw(now) {
  const { player, performer } = state;
  if (!player?.playing || player.paused) return;
  requestAnimationFrame(draw);
  if (calm.matches && now - drawnAt < 1000 * CALM_SECONDS) return;
  drawnAt = now;
  picture.draw(player.heard || (state.lead ? picture.made : 0));
  if (player.gaps > 2) showStatus(gapsText());
  if (performer) piano.show(performer.keyAt(player.heard));
  element("speed").textContent = `${state.speed.toFixed(1)} times real time`;
  element("surprise").textContent = `a sample costs ${state.surprise.toFixed(2)} nats`;
}

// ---- settings ----

function keepLink() {
  const { seed, values } = knobs;
  const setting = { voice: state.voice, precision: element("precision").value, seed, values };
  history.replaceState(null, "", toFragment(setting));
}

async function share() {
  keepLink();
  try {
    await navigator.clipboard.writeText(location.href);
    showStatus("The link is copied.");
  } catch {
    showStatus(`The link is the page's address: ${location.href}`);
  }
}

function readLink() {
  const { voice, precision, seed, values } = fromFragment(location.hash);
  if (voice !== undefined && VOICES.includes(voice)) state.voice = voice;
  const options = [...element("precision").options].map((option) => option.value);
  element("precision").value = precision && options.includes(precision) ? precision : "";
  knobs.setSeed(Number.isNaN(seed ?? NaN) ? 7 : Number(seed));
  knobs.setAll(values ?? {});
  showVoice();
}

/** The voice that is loaded, among the buttons. */
function showVoice() {
  const value = state.file ? "file" : state.voice;
  found(`[name="voice"][value="${value}"]`).checked = true;
}

function chooseVoice(/** @type {Event} */ event) {
  const { value } = /** @type {HTMLInputElement} */ (event.target);
  if (value === "file") return;
  state.voice = value;
  state.file = null;
  keepLink();
  load();
}

function chooseModel() {
  const [file] = element("model-file").files;
  element("model-file").value = "";
  if (!file) return;
  state.file = file;
  showVoice();
  load(file);
}

function main() {
  document.documentElement.classList.toggle("embedded", window.parent !== window);
  readLink();
  element("play").addEventListener("click", toggle);
  element("restart").addEventListener("click", start);
  element("share").addEventListener("click", share);
  element("model-file").addEventListener("change", chooseModel);
  element("model-file").addEventListener("cancel", showVoice);
  element("precision").addEventListener("change", () => {
    keepLink();
    load(state.file);
  });
  element("speaker").addEventListener("change", restartIfPlaying);
  for (const one of document.querySelectorAll('[name="voice"]')) {
    one.addEventListener("change", chooseVoice);
  }
  const ofFile = found('[name="voice"][value="file"]');
  ofFile.addEventListener("click", () => element("model-file").click());
  knobs.addEventListener("change", () => {
    state.player?.set(knobs.sampling);
    keepLink();
  });
  knobs.addEventListener("seed", () => {
    keepLink();
    if (!state.player?.playing) picture.clear();
    showScore();
    restartIfPlaying();
  });
  recordings.addEventListener("change", () => {
    state.recordings[state.kind] = recordings.audio;
    if (state.kind === "vocoder") picture.spectrogram.showBelow(recordings.audio);
    showScore();
    restartIfPlaying();
  });
  recordings.addEventListener("problem", (event) => showProblem(/** @type {any} */ (event).detail));
  recordings.addEventListener("original", () => state.player?.stop().then(() => showPlaying(false)));
  piano.onpress = () => {
    picture.spectrogram.score = []; // other notes come
    if (!state.player?.playing) start();
  };
  addEventListener("hashchange", () => location.reload());
  addEventListener("keydown", (event) => {
    if (event.key !== " " || event.target !== document.body) return;
    event.preventDefault();
    if (!element("play").disabled) toggle();
  });
  load();
}

main();
