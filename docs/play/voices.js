/** The voices of the page, and how each kind of model is played. */

import { improvisation, keysOf, melody, sungMelody } from "./fastwavenet/index.js";
import { Performer } from "./performer.js";

export const MAX_BYTES = 64e6; // of a model's file
export const VOICES = ["recorder-16k", "speech-16k"];
const PRIMED_SECONDS = 1;
const AHEAD = { instrument: 0.15, vocoder: 0.3, plain: 0.25 }; // seconds

/** @typedef {"instrument"|"vocoder"|"plain"} Kind */

/** Which kind a model is.  @param {any} spec @returns {Kind} */
export function kindOf(spec) {
  const end = spec.conditioning;
  if (!end?.channels) return "plain";
  if (keysOf(spec)) return "instrument";
  if (typeof end.features === "object" && end.features !== null) return "vocoder";
  throw new Error(
    `the model takes frames of ${end.channels} channels that this page cannot make: expected a ` +
      `piano roll, mel frames or no frames`,
  );
}

/** @param {Kind} kind */
export const aheadOf = (kind) => AHEAD[kind];

/** What a recording is for.  @param {Kind} kind */
export function recordingText(kind) {
  return {
    instrument: "Hum, sing or whistle: the recorder plays your melody, or continues your sound.",
    vocoder:
      "A recording becomes 83 numbers each 16 ms (loudness of 80 bands, and pitch), and the network " +
      "makes sound of them again. Try your own voice.",
    plain: "A recording of yours as the beginning, which the network continues.",
  }[kind];
}

/**
 * The arguments of a sound.
 * @param {object} options
 * @param {any} options.model @param {Kind} options.kind @param {number} options.seed
 * @param {Float32Array|null} options.recording @param {string} options.use
 * @param {() => number|null} options.held the key that is held
 */
export async function soundOf({ model, kind, seed, recording, use, held }) {
  if (kind === "vocoder") return vocoded(model, recording);
  if (kind === "plain") return recording ? { prime: recording } : {};
  return performed(model, seed, recording, use, held);
}

/**
 * The notes that an instrument plays first, for the picture; none of another model.
 * @param {any} spec @param {number} seed
 */
export function scoreOf(spec, seed) {
  const keys = keysOf(spec);
  if (!keys) return [];
  const { channels, hop } = spec.conditioning;
  const frames = melody(spec, { seed, seconds: 16 });
  const second = spec.sample_rate / hop; // frames
  /** @type {import("./spectrogram.js").Note[]} */
  const notes = [];
  for (let frame = 0; frame < 6 * second; frame++) {
    const key = frames.subarray(frame * channels, (frame + 1) * channels - 1).findIndex((v) => v > 0);
    const hz = 440 * 2 ** ((keys[0] + key - 69) / 12);
    const last = notes.at(-1);
    if (key < 0) continue;
    if (last?.hz === hz) last.seconds += 1 / second;
    else notes.push({ begin: frame / second, seconds: 1 / second, hz });
  }
  return notes;
}

/** Times real time, by a short sound of silence.  @param {any} model */
export async function measuredSpeed(model) {
  const { channels, hop } = model.spec.conditioning;
  const count = Math.ceil(2048 / hop) + 1;
  const frames = new Float32Array(channels * count);
  const began = performance.now();
  const { length } = await model.generate({ samples: 2048, frames });
  return length / model.sampleRate / ((performance.now() - began) / 1000);
}

/** Seconds of sound to make before it is played, so that it has no gap.
 * @param {number} seconds of the whole sound @param {number} speed times real time
 */
export function leadOf(seconds, speed) {
  return Math.max(0, seconds * (1 - 0.85 * speed));
}

/** @param {any} model @param {Float32Array|null} recording */
async function vocoded(model, recording) {
  if (!recording) throw new Error("this voice needs a recording: choose one");
  const frames = await model.recordingFrames(recording);
  if (!frames.length) throw new Error("the recording is too short: expected 16 ms or more");
  const seconds = recording.length / model.sampleRate;
  return { frames: [frames], lead: leadOf(seconds, await measuredSpeed(model)) };
}

/** @param {any} model @param {number} seed @param {Float32Array|null} recording
 * @param {string} use @param {() => number|null} held
 */
function performed(model, seed, recording, use, held) {
  const { spec } = model;
  const { hop } = spec.conditioning;
  const keys = /** @type {[number, number]} */ (keysOf(spec));
  const common = { keys, hop, rate: spec.sample_rate, held };
  if (!recording) {
    const performer = new Performer({ ...common, melody: improvisation(spec, seed) });
    return { frames: performer, performer };
  }
  const sung = sungMelody(spec, recording);
  if (use === "melody") {
    if (!sung.some((number) => number > 0)) {
      throw new Error("no melody was found in the recording: hum or sing clear notes");
    }
    const performer = new Performer({ ...common, melody: [sung] });
    return { frames: performer, performer };
  }
  const prime = recording.slice(-PRIMED_SECONDS * spec.sample_rate);
  const primed = Math.floor(prime.length / hop);
  const last = sung.subarray(Math.max(0, sung.length - primed * spec.conditioning.channels));
  const melody = joined([last], improvisation(spec, seed));
  const performer = new Performer({ ...common, melody, primed });
  return { frames: performer, performer, prime: prime.slice(-primed * hop) };
}

/** @param {Float32Array[]} first @param {Iterable<Float32Array>} then */
function* joined(first, then) {
  yield* first;
  yield* then;
}
