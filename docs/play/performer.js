/** The frames of an instrument while it plays: a melody, and the keys that are held instead. */

import { attack } from "./fastwavenet/index.js";

const PIECE = 2; // frames that are given at once: 20 ms, so that a key is heard soon
const PATIENCE = 100; // frames of silence before the melody goes on after a key was held
const LOUDNESS = 0.7;

export class Performer {
  /**
   * @param {object} options
   * @param {Iterable<Float32Array>} options.melody frames x channels, in pieces
   * @param {[number, number]} options.keys
   * @param {number} options.hop samples of a frame
   * @param {number} options.rate Hz
   * @param {() => number|null} options.held the key that is held
   * @param {number} [options.primed] frames at the beginning that belong to given sound
   */
  constructor({ melody, keys: [low, high], hop, rate, held, primed = 0 }) {
    this.melody = framesOf(melody, high - low + 2);
    this.low = low;
    this.channels = high - low + 2;
    this.hop = hop;
    this.frameSeconds = hop / rate;
    this.held = held;
    this.primed = primed;
    /** Keys of frames that are given and not yet heard. @type {Int16Array} */
    this.keys = new Int16Array(1024);
    this.given = 0; // frames
    this.idle = PATIENCE; // frames since a key was held
    /** @type {number|null} */
    this.last = null;
    this.age = 0; // frames since the key was pressed
  }

  *[Symbol.iterator]() {
    if (this.primed) yield this.#piece(this.primed);
    for (;;) {
      const piece = this.#piece(PIECE);
      if (!piece.length) return;
      yield piece;
    }
  }

  /** @param {number} count */
  #piece(count) {
    const frames = [];
    for (let i = 0; i < count; i++) {
      const frame = this.#frame();
      if (!frame) break;
      frames.push(...frame);
      this.keys[this.given++ % this.keys.length] = keyIn(frame, this.low);
    }
    return Float32Array.from(frames);
  }

  /** @returns {Float32Array|null} */
  #frame() {
    const key = this.held();
    this.idle = key === null ? this.idle + 1 : 0;
    if (this.idle >= PATIENCE) {
      this.last = null;
      const { value, done } = this.melody.next();
      return done ? null : value;
    }
    if (key !== null && key !== this.last) this.age = 0;
    this.last = key;
    const frame = new Float32Array(this.channels);
    if (key !== null) frame[key - this.low] = LOUDNESS;
    frame[this.channels - 1] = attack(this.age++ * this.frameSeconds);
    return frame;
  }

  /** The key of a sample, -1: none.  @param {number} heard samples */
  keyAt(heard) {
    if (!this.given) return -1;
    const frame = Math.min(Math.floor(heard / this.hop) + this.primed, this.given - 1);
    return this.keys[frame % this.keys.length];
  }
}

/** Frame by frame.  @param {Iterable<Float32Array>} pieces @param {number} channels */
function* framesOf(pieces, channels) {
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += channels) yield piece.subarray(at, at + channels);
  }
}

/** @param {Float32Array} frame @param {number} low */
function keyIn(frame, low) {
  const at = frame.subarray(0, -1).findIndex((loudness) => loudness > 0);
  return at < 0 ? -1 : low + at;
}
