/** Melodies as the frames of an instrument: a piano roll, as by piano_roll.py, and improvisations,
 * as by improvisation.py, equal to Python's for equal seeds. */

import { contourOf } from "./pitch.js";
import { Random } from "./random.js";

const ATTACK_SECONDS = 0.08;
const ATTACK_ENDS = 0.5; // seconds
const LOUDNESS = 0.7;
const NOTE_SECONDS = 0.4; // of a note whose duration is not given
const NAME = /^piano roll of MIDI keys (\d+) to (\d+), onset$/;
const NOTE = /^(?:([A-Ga-g])([#b]?)(-?\d)|-)(?::([\d.]+))?$/;
const SEMITONES = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
const NAMES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];

/** @typedef {{key: number|null, seconds: number}} Note key: MIDI, 60 is C4; null is a rest */
/** @typedef {import("./spec.js").Spec} Spec */

/** The lowest and the highest MIDI key of an instrument, or null for another model.
 * @param {Spec} spec
 * @returns {[number, number]|null}
 */
export function keysOf(spec) {
  const features = spec.conditioning?.features;
  const found = typeof features === "string" ? NAME.exec(features) : null;
  if (!found) return null;
  const [low, high] = [Number(found[1]), Number(found[2])];
  return spec.conditioning?.channels === high - low + 2 ? [low, high] : null;
}

/** 60 -> "C4".  @param {number} key */
export function noteName(key) {
  return `${NAMES[key % 12]}${Math.floor(key / 12) - 1}`;
}

/**
 * The frames of a melody, frames x channels.
 * @param {Spec} spec of an instrument
 * @param {{notes?: string, seconds?: number, seed?: number|bigint}} of
 * notes as "D5:0.5 F#5 - A5", names with durations in seconds; else an improvisation by `seed`
 */
export function melody(spec, { notes, seconds = 4, seed = 0 }) {
  const [low, high] = requiredKeys(spec);
  const played =
    notes === undefined ? improvise(seconds, seed, low, high) : readNotes(notes, low, high);
  return pianoRoll(played, low, high, frameRate(spec));
}

/**
 * Frames of improvisations without end: of `seed`, then of the following seeds.
 * @param {Spec} spec @param {number} seed @param {number} [seconds] of each
 * @returns {Generator<Float32Array>}
 */
export function* improvisation(spec, seed, seconds = 16) {
  for (let i = 0; ; i++) yield melody(spec, { seconds, seed: BigInt(seed) + BigInt(i) });
}

/** @param {Spec} spec */
function requiredKeys(spec) {
  const keys = keysOf(spec);
  if (!keys) throw new RangeError("expected a model whose frames are a piano roll");
  return keys;
}

/** Frames a second.  @param {Spec} spec */
function frameRate(spec) {
  return spec.sample_rate / (spec.conditioning?.hop ?? 1);
}

/** @param {string} text @param {number} low @param {number} high @returns {Note[]} */
function readNotes(text, low, high) {
  return text.split(/\s+/).filter(Boolean).map((word) => {
    const found = NOTE.exec(word);
    const seconds = Number(found?.[4] ?? NOTE_SECONDS);
    if (!found || !(seconds > 0 && seconds <= 3600)) {
      throw new RangeError(`expected notes such as D5, F#5:0.5 or a rest -, found '${word}'`);
    }
    if (found[1] === undefined) return { key: null, seconds };
    const letter = /** @type {keyof typeof SEMITONES} */ (found[1].toUpperCase());
    const accidental = { "#": 1, b: -1, "": 0 }[found[2]] ?? 0;
    const key = 12 * (Number(found[3]) + 1) + SEMITONES[letter] + accidental;
    if (key < low || key > high) {
      throw new RangeError(
        `the instrument plays from ${noteName(low)} to ${noteName(high)}, not ${noteName(key)}`,
      );
    }
    return { key, seconds };
  });
}

/** @param {readonly Note[]} notes @param {number} low @param {number} high
 * @param {number} rate frames a second
 */
function pianoRoll(notes, low, high, rate) {
  const channels = high - low + 2;
  let total = 0;
  const ends = [0, ...notes.map(({ seconds }) => roundedToEven((total += seconds) * rate))];
  const roll = new Float32Array(ends[notes.length] * channels);
  notes.forEach(({ key }, i) => {
    if (key === null) return;
    for (let frame = ends[i]; frame < ends[i + 1]; frame++) {
      roll[frame * channels + key - low] = LOUDNESS;
    }
    writeAttack(roll, channels, ends[i], rate);
  });
  return roll;
}

/** @param {Float32Array} roll @param {number} channels @param {number} begin @param {number} rate */
function writeAttack(roll, channels, begin, rate) {
  const count = Math.min(roll.length / channels - begin, roundedToEven(ATTACK_ENDS * rate));
  for (let i = 0; i < count; i++) {
    roll[(begin + i) * channels + channels - 1] = attack(i / rate);
  }
}

/** The last channel, so long after the beginning of a note.  @param {number} seconds */
export function attack(seconds) {
  return seconds < ATTACK_ENDS ? Math.exp(-seconds / ATTACK_SECONDS) : 0;
}

/** numpy's rint.  @param {number} x */
function roundedToEven(x) {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

// ---- improvisation ----

const MAJOR = [0, 2, 4, 5, 7, 9, 11]; // semitones of a scale's steps
const MINOR = [0, 2, 3, 5, 7, 8, 10];
const PROGRESSIONS = new Map([
  [MAJOR, [[0, 3, 4, 0], [0, 5, 3, 4], [0, 4, 5, 3]]],
  [MINOR, [[0, 5, 2, 6], [0, 3, 6, 2], [0, 6, 5, 4]]],
]);
const FIGURES = [
  [0, 4, 9, 8, 9, 4, 9, 4],
  [0, 4, 7, 9, 7, 4, 7, 4],
  [0, 2, 4, 7, 9, 7, 4, 2],
];
const LEAST_NOTE = 0.16; // seconds
const MOST_NOTE = 0.26;
const LAST_NOTE = 6; // times as long

/** Broken chords over a progression, and a long last note.
 * @param {number} seconds @param {number|bigint} seed @param {number} low @param {number} high
 * @returns {Note[]}
 */
function improvise(seconds, seed, low, high) {
  const chance = new Random(seed);
  const note = LEAST_NOTE + (MOST_NOTE - LEAST_NOTE) * chance.next();
  const scale = chance.choice([MAJOR, MINOR]);
  const figure = chance.choice(FIGURES);
  const chords = chance.choice(/** @type {number[][]} */ (PROGRESSIONS.get(scale)));
  const tonic = low + Math.floor(12 * chance.next());
  const count = Math.max(Math.trunc(seconds / note) - LAST_NOTE, 0);
  const notes = Array.from({ length: count }, (_, i) => {
    const step = chords[Math.floor(i / figure.length) % chords.length] + figure[i % figure.length];
    return { key: keyOf(step, tonic, scale, low, high), seconds: note };
  });
  const last = seconds - count * note;
  return last > 0 ? [...notes, { key: keyOf(0, tonic, scale, low, high), seconds: last }] : notes;
}

/** The MIDI key of a step of the scale, octaves lower where the instrument ends.
 * @param {number} step @param {number} tonic @param {number[]} scale
 * @param {number} low @param {number} high
 */
function keyOf(step, tonic, scale, low, high) {
  const key = tonic + 12 * Math.floor(step / scale.length) + scale[step % scale.length];
  return Math.max(key - 12 * Math.max(-Math.floor((high - key) / 12), 0), low);
}

// ---- a melody that was sung ----

const SURE = 0.5; // least correlation of a sung note
const LEAST_FRAMES = 6; // of a note

/**
 * The notes of a voice in a recording as frames: its pitch to the nearest semitone, moved by octaves
 * into the instrument's range.
 * @param {Spec} spec @param {Float32Array} audio at the model's rate
 * @returns {Float32Array} frames x channels; without a voice all keys are silent
 */
export function sungMelody(spec, audio) {
  const [low, high] = requiredKeys(spec);
  const rate = frameRate(spec);
  const keys = smoothed(sungKeys(audio, spec.sample_rate, rate));
  const placed = placedWithin(keys, low, high);
  const notes = placed.map((key) => ({ key, seconds: 1 / rate }));
  return pianoRoll(joinedNotes(notes), low, high, rate);
}

/** A key, or null, of each frame.
 * @param {Float32Array} audio @param {number} sampleRate @param {number} rate frames a second
 */
function sungKeys(audio, sampleRate, rate) {
  const { logF0, voiced, correlation, step } = contourOf(audio, sampleRate, 60, 1000);
  const count = Math.floor((audio.length / sampleRate) * rate);
  return Array.from({ length: count }, (_, frame) => {
    const point = Math.round(((frame + 0.5) * sampleRate) / rate / step);
    if (!voiced[point] || correlation[point] < SURE) return null;
    return 69 + 12 * ((logF0[point] - Math.log(440)) / Math.LN2);
  });
}

/** The nearest semitone; a change that is shorter than a note is none.
 * @param {(number|null)[]} pitches
 */
function smoothed(pitches) {
  const keys = pitches.map((pitch) => (pitch === null ? null : Math.round(pitch)));
  for (let first = 0; first < keys.length; ) {
    let end = first + 1;
    while (end < keys.length && keys[end] === keys[first]) end += 1;
    if (end - first < LEAST_FRAMES) keys.fill(first ? keys[first - 1] : null, first, end);
    first = end;
  }
  return keys;
}

/** Moved by the fewest octaves that bring most keys into the range, and the others by more.
 * @param {(number|null)[]} keys @param {number} low @param {number} high
 */
function placedWithin(keys, low, high) {
  /** @type {(octaves: number) => number} */
  const outside = (octaves) =>
    keys.filter((key) => key !== null && (key + 12 * octaves < low || key + 12 * octaves > high))
      .length;
  const best = [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5].reduce((a, b) =>
    outside(b) < outside(a) ? b : a,
  );
  return keys.map((key) => {
    if (key === null) return null;
    const up = Math.max(0, Math.ceil((low - key - 12 * best) / 12));
    const down = Math.max(0, Math.ceil((key + 12 * best - high) / 12));
    return key + 12 * (best + up - down);
  });
}

/** Equal neighbours are one note.  @param {Note[]} notes @returns {Note[]} */
function joinedNotes(notes) {
  /** @type {Note[]} */
  const joined = [];
  for (const note of notes) {
    const last = joined.at(-1);
    if (last && last.key === note.key) last.seconds += note.seconds;
    else joined.push({ ...note });
  }
  return joined;
}
