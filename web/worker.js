/** The worker of a model: it loads the engine and the network, and generates.
 *
 * Messages from the page have a `type`, and an `id` if they are answered with a result or an error.
 * Blocks of a sound go straight to the AudioWorklet, by a port of its own, so that a busy page does
 * not delay them; copies go to the page, for drawing. */

import { unpacked } from "./bytes.js";
import { Engine, hasSimd } from "./engine.js";
import { melFrames } from "./mel.js";
import { matchedToMel } from "./mel_matching.js";
import { parseModel, resolvePrecision } from "./model_file.js";
import { pitchFrames } from "./pitch.js";
import { Voice } from "./voice.js";
import { isMel } from "./mel_convention.js";

const BLOCK = 256; // samples of a block
const SLICE = 2048; // samples of a call of `generate`, between which messages are handled
const MAX_ENGINE_BYTES = 2 ** 26;
const MAX_SAMPLES = 2 ** 26; // of a call of `generate`

/** @type {import("./engine.js").EngineModel|null} */
let model = null;
/** @type {Session|null} */
let session = null;

/** Gives other messages their turn: a timer would wait for 4 ms. */
const turn = new MessageChannel();
/** @type {(() => void)[]} */
const waiting = [];
turn.port1.onmessage = () => waiting.shift()?.();
const otherMessages = () =>
  new Promise((/** @type {(value?: unknown) => void} */ resume) => {
    waiting.push(resume);
    turn.port2.postMessage(null);
  });

// ---- calls that are answered ----

/** @type {Record<string, (message: any) => any>} */
const calls = { load, generate, frames: recordingFrames, match };

/** @param {{data: ArrayBuffer, engine: string, precision: string}} message */
async function load({ data, engine: url, precision }) {
  if (!hasSimd()) {
    throw new Error(
      "this browser has no WebAssembly SIMD, which the engine needs: use a newer browser",
    );
  }
  const contents = parseModel(data);
  const engine = await Engine.load(await fetched(url));
  const chosen = resolvePrecision(precision, contents.precisionCost);
  model = engine.model(contents, chosen);
  return {
    ...{ spec: contents.spec, precision: chosen, isa: engine.isaName },
    precisionCost: contents.precisionCost,
  };
}

/** @param {string} url */
async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(`the engine ${url} is missing (HTTP ${response.status}): \`make wasm\` builds it`);
  }
  return unpacked(await response.arrayBuffer(), MAX_ENGINE_BYTES);
}

/** @returns {import("./engine.js").EngineModel} */
function loaded() {
  if (!model) throw new Error("no model is loaded");
  return model;
}

/** @param {any} options as of Model.generate */
async function generate({ samples, seed, sampling, frames, prime, speaker }) {
  const voice = prepared({ seed, sampling, frames, prime, speaker });
  try {
    voice.endFrames();
    const wanted = Math.min(samples ?? Infinity, voice.available);
    if (!(wanted <= MAX_SAMPLES)) {
      throw new RangeError(`samples must be a number up to ${MAX_SAMPLES}, not ${samples}`);
    }
    const audio = new Float32Array(wanted);
    for (let at = 0; at < audio.length; at += SLICE) {
      audio.set(voice.next(Math.min(SLICE, audio.length - at)).audio, at);
      await otherMessages();
    }
    return audio;
  } finally {
    voice.free();
  }
}

/** A voice that has begun.  @param {any} options */
function prepared({ seed, sampling, frames, prime, speaker }) {
  const voice = new Voice(loaded(), { speaker });
  voice.reset(seed);
  voice.set(sampling ?? {});
  if (frames) voice.addFrames(frames);
  if (prime) voice.prime(prime);
  return voice;
}

/** The frames that the model takes from a recording.  @param {{audio: Float32Array}} message */
function recordingFrames({ audio }) {
  const { sample_rate: rate, conditioning: end } = loaded().spec;
  if (!end || !isMel(end.features)) {
    throw new Error("the model's frames are no mel frames of audio: give frames");
  }
  const levels = melFrames(audio, end.features);
  if (!end.pitch) return levels;
  return beside(levels, pitchFrames(audio, rate, end.hop, end.pitch.fmin, end.pitch.fmax), 3);
}

/** Sound brought nearer to its frames.
 * @param {{audio: Float32Array, frames: Float32Array}} message
 */
function match({ audio, frames }) {
  const { conditioning: end } = loaded().spec;
  if (!end || !isMel(end.features)) {
    throw new Error("the model's frames are no mel frames, to which its sound could be matched");
  }
  const { mels } = end.features;
  const count = frames.length / end.channels;
  const levels = new Float32Array(count * mels);
  for (let i = 0; i < count; i++) {
    levels.set(frames.subarray(i * end.channels, i * end.channels + mels), i * mels);
  }
  return matchedToMel(audio, levels, end.features);
}

/** Frames of the channels of both; b has `channels`.
 * @param {Float32Array} a @param {Float32Array} b @param {number} channels
 */
function beside(a, b, channels) {
  const count = b.length / channels;
  const both = new Float32Array(a.length + b.length);
  const [from, to] = [a.length / count, a.length / count + channels];
  for (let i = 0; i < count; i++) {
    both.set(a.subarray(i * from, (i + 1) * from), i * to);
    both.set(b.subarray(i * channels, (i + 1) * channels), i * to + from);
  }
  return both;
}

// ---- a sound that is played while it is made ----

class Session {
  /** @param {any} options as of Player.play; port: to the AudioWorklet; ahead: in samples */
  constructor({ sound, port, ahead, ...options }) {
    this.sound = sound;
    this.port = port;
    this.ahead = ahead;
    this.sampling = options.sampling ?? {};
    this.voice = prepared(options);
    this.made = 0;
    this.played = 0;
    this.awaited = false; // whether the page was asked for frames that have not come
    this.stopped = false;
    this.wake = () => {};
    port.onmessage = (/** @type {MessageEvent} */ { data }) => {
      this.played = data.played;
      this.wake();
    };
  }

  /** Blocks until the end or `stop`: at most `ahead` samples are made and not yet played. */
  async run() {
    for (;;) {
      await otherMessages();
      if (this.stopped) return this.voice.free();
      if (this.voice.available < BLOCK && !this.voice.ended) await this.moreFrames();
      else if (this.made - this.played > this.ahead - BLOCK) await this.news();
      else if (this.voice.available) this.#block();
      else return this.finish();
    }
  }

  news() {
    return new Promise((resolve) => (this.wake = () => resolve(null)));
  }

  async moreFrames() {
    if (!this.awaited) postMessage({ type: "frames", sound: this.sound });
    this.awaited = true;
    await this.news();
  }

  #block() {
    const began = performance.now();
    const made = this.voice.next(BLOCK);
    const seconds = (performance.now() - began) / 1000;
    const block = { ...made, seconds, at: this.made, sampling: this.sampling };
    const { audio } = made;
    this.made += audio.length;
    postMessage({ type: "block", sound: this.sound, block });
    this.port.postMessage({ audio }, [audio.buffer]);
  }

  finish() {
    this.stopped = true;
    this.voice.free();
    this.port.postMessage({ end: true });
  }
}

/** Messages that are not answered.  @type {Record<string, (message: any) => void>} */
const orders = {
  set({ sampling }) {
    if (!session) return;
    session.voice.set(sampling);
    session.sampling = sampling;
  },
  moreFrames({ frames, end }) {
    if (!session) return;
    if (frames) session.voice.addFrames(frames);
    if (end) session.voice.endFrames();
    session.awaited = false;
    session.wake();
  },
  stop() {
    if (session) session.stopped = true;
    session?.wake();
    session = null;
  },
};
calls.play = (options) => {
  orders.stop({});
  const begun = new Session(options);
  session = begun;
  begun.run().catch((error) => {
    postMessage({ type: "error", sound: begun.sound, error: described(error) });
  });
};

/** @param {unknown} error */
function described(error) {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return { name, message };
}

onmessage = async ({ data: message }) => {
  const { type, id } = message;
  try {
    const result = await (calls[type] ?? orders[type])(message);
    if (id !== undefined) postMessage({ type: "result", id, result });
  } catch (error) {
    postMessage({ type: id === undefined ? "error" : "result", id, error: described(error) });
  }
};
