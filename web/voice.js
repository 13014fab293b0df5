/** A voice of a network: what `Generator` is in Python.
 *
 * Samples do not depend on how many are made in a call, nor on the pieces in which frames come. */

import { minP, shown, temperature, whole } from "./checks.js";

/**
 * @typedef {object} Sampling how codes are drawn; null, or left out: the model's own
 * @property {number|null} [temperature] 0 (the most probable), or 0.001 to 1000
 * @property {number|null} [topK] 1 to levels
 * @property {number|null} [minP] 0 to 1
 */

/**
 * @typedef {object} Block the samples of a call
 * @property {Float32Array} audio in [-1, 1]
 * @property {Float32Array} logp of each sample, in nats, at temperature 1
 * @property {Float32Array} logits of the last sample
 * @property {{temperature: number, topK: number, minP: number}} drawn how it was drawn; topK 0: all
 */

const MAX_PRIME = 4096; // samples of a call that forces codes

export class Voice {
  begun = false; // whether there is a first sample
  last = 0; // the last sample, from which pre-emphasis continues
  /** Those on which samples to come depend. @type {Float32Array} */
  frames = empty();
  at = 0; // samples made since the first of these frames began
  ended = false; // no frame follows

  /**
   * @param {import("./engine.js").EngineModel} model
   * @param {{speaker?: number|string|null}} [options] for a model with speakers: name or index
   */
  constructor(model, { speaker = null } = {}) {
    const { spec } = model;
    this.spec = spec;
    this.channels = spec.conditioning?.channels ?? 0;
    this.hop = spec.conditioning?.hop ?? 1;
    this.after = spec.conditioning?.interpolation === "linear" ? 1 : 0; // frames a sample needs
    this.speaker = speakerIndex(spec, speaker);
    this.stream = model.stream();
    this.sampling = checkedSampling(spec, {});
    this.reset(0);
  }

  /** Back to silence, without frames.  @param {number|bigint} seed 0 to 2^64 - 1 */
  reset(seed) {
    this.stream.reset(checkedSeed(seed));
    Object.assign(this, { begun: false, last: 0, frames: empty(), at: 0, ended: false });
  }

  /** @param {Sampling} given */
  set(given) {
    this.sampling = checkedSampling(this.spec, given);
  }

  /** Frames behind those given before.  @param {Float32Array} frames n x channels */
  addFrames(frames) {
    if (!this.channels || frames.length % this.channels) {
      const expected = this.channels ? `frames of ${this.channels} channels` : "no frames";
      throw new RangeError(`the model takes ${expected}, found ${frames.length} numbers`);
    }
    if (!frames.every(Number.isFinite)) {
      throw new RangeError("frames must be finite, but hold NaN or infinity");
    }
    this.frames = joined(this.frames, frames);
  }

  /** No frame follows: the samples of the last ones are determined. */
  endFrames() {
    this.ended = true;
  }

  /** Samples that the frames given so far determine. */
  get available() {
    if (!this.channels) return Infinity;
    const ready = this.frames.length / this.channels - (this.ended ? 0 : this.after);
    return Math.max(0, ready * this.hop - this.at);
  }

  /**
   * Takes audio at the model's rate into the past; the voice continues after it.
   * @param {Float32Array} audio for which there must be frames, if the model takes them
   */
  prime(audio) {
    if (!audio.every(Number.isFinite)) throw new RangeError("audio must be finite");
    if (audio.length > this.available) {
      throw new RangeError(
        `${audio.length} samples need frames of as many, expected more than ${this.available}`,
      );
    }
    if (!audio.length) return;
    const codes = this.stream.encode(audio, this.last);
    let first = 0;
    if (!this.begun && !this.spec.start.fed) {
      this.stream.begin(codes[0]);
      first = 1;
      this.at += 1;
    }
    this.begun = true;
    for (let at = first; at < codes.length; at += MAX_PRIME) {
      this.#run(Math.min(MAX_PRIME, codes.length - at), {
        forced: codes.slice(at, at + MAX_PRIME),
      });
    }
    if (this.spec.codec.pre_emphasis) {
      this.last = audio[audio.length - 1];
      this.stream.setLast(this.last);
    }
  }

  /**
   * The next samples, at most n, and as many as the frames determine.
   * @param {number} n
   * @returns {Block}
   */
  next(n) {
    const count = Math.min(n, this.available);
    const { temperature, topK, minP } = this.sampling;
    const drawn = { temperature, topK, minP };
    if (count < 1) return { audio: empty(), logp: empty(), logits: empty(), drawn };
    const before = count > 1 ? this.#run(count - 1, {}) : null;
    const newest = this.#run(1, { logits: true });
    if (this.spec.codec.pre_emphasis) this.last = newest.audio[0];
    this.begun = true;
    return {
      audio: before ? joined(before.audio, newest.audio) : newest.audio,
      logp: before ? joined(before.logp, newest.logp) : newest.logp,
      logits: newest.logits ?? empty(),
      drawn: newest.drawn,
    };
  }

  /** @param {number} n @param {Partial<import("./engine.js").Run>} more */
  #run(n, more) {
    const conditioning = this.channels ? { frames: this.frames, frameAt: this.at } : {};
    const numbers = drawing(this.sampling, this.frames, this.channels);
    const run = { n, speaker: this.speaker, ...conditioning, ...numbers, ...more };
    const result = this.stream.run(run);
    this.at += n;
    const frame = Math.floor((this.at - 1) / this.hop);
    this.#forget();
    return { ...result, drawn: ofFrame(numbers, frame) };
  }

  /** Frames whose samples are made are not needed again. */
  #forget() {
    if (!this.channels) return;
    const kept = this.frames.length / this.channels;
    const first = Math.min(Math.floor(this.at / this.hop), kept - 1); // the last one may be held
    if (first > 0) this.frames = this.frames.slice(first * this.channels);
    this.at -= Math.max(first, 0) * this.hop;
  }

  free() {
    this.stream.free();
  }
}

/** @param {import("./spec.js").Spec} spec @param {unknown} speaker @returns {number|null} */
function speakerIndex(spec, speaker) {
  const names = spec.conditioning?.speakers ?? [];
  if (!names.length) {
    if (speaker !== null) throw new RangeError("the model has no speakers, but got one");
    return null;
  }
  const index = typeof speaker === "string" ? names.indexOf(speaker) : speaker;
  if (typeof index !== "number" || !Number.isInteger(index) || !(index in names)) {
    throw new RangeError(
      `the model needs a speaker, one of ${names.slice(0, 20).join(", ")}, not ${shown(speaker)}`,
    );
  }
  return index;
}

/** @param {number|bigint} seed */
function checkedSeed(seed) {
  const whole = typeof seed === "bigint" || Number.isSafeInteger(seed);
  if (!whole || seed < 0 || seed >= 2n ** 64n) {
    throw new RangeError(`seed must be a whole number from 0 to 2^64 - 1, not ${String(seed)}`);
  }
  return BigInt(seed);
}

// ---- how codes are drawn ----

/**
 * The model's own sampling with the given numbers in its place, as Sampling.replaced of ends.py.
 * @param {import("./spec.js").Spec} spec @param {Sampling} given
 */
function checkedSampling(spec, given) {
  const own = spec.sampling;
  const given_t = given.temperature ?? null;
  const given_p = given.minP ?? null;
  const topK = given.topK ?? own.top_k;
  return {
    temperature: given_t === null ? own.temperature : temperature(given_t),
    minP: given_p === null ? own.min_p : minP(given_p),
    topK: topK === null ? 0 : whole("top_k", topK, 1, spec.levels),
    channel: own.voiced?.channel ?? 0,
    voicedTemperature: given_t === null ? (own.voiced?.temperature ?? null) : null,
    voicedMinP: given_p === null ? (own.voiced?.min_p ?? null) : null,
    quiet: given_t === null ? own.quiet : null,
  };
}

/**
 * @typedef {object} Drawing as in a run of the engine
 * @property {number} temperature
 * @property {number} topK
 * @property {number} minP
 * @property {Float32Array|null} frameTemperature
 * @property {Float32Array|null} frameMinP
 */

/** The numbers of a frame.  @param {Drawing} numbers @param {number} frame */
function ofFrame({ temperature, topK, minP, frameTemperature, frameMinP }, frame) {
  return {
    temperature: frameTemperature?.[frame] ?? temperature,
    topK,
    minP: frameMinP?.[frame] ?? minP,
  };
}

/** Temperature and min_p of all samples, or of each frame's, as in drawing.py.
 * @param {ReturnType<typeof checkedSampling>} s @param {Float32Array} frames
 * @param {number} channels
 * @returns {Drawing}
 */
function drawing(s, frames, channels) {
  /** @type {(unvoiced: number, voiced: number|null) => Float32Array|null} */
  const mixed = (unvoiced, voiced) =>
    voiced === null
      ? null
      : byFrame(frames, channels, (frame) => {
          const v = Math.min(Math.max(frame[s.channel], 0), 1);
          return (1 - v) * unvoiced + v * voiced;
        });
  const cool = mixed(s.temperature, s.voicedTemperature);
  return {
    temperature: s.temperature,
    topK: s.topK,
    minP: s.minP,
    frameTemperature: quietened(s, frames, channels, cool && cool.map(notTooLow)),
    frameMinP: mixed(s.minP, s.voicedMinP),
  };
}

/** Below the lowest temperature the most probable code is taken.  @param {number} temperature */
const notTooLow = (temperature) => (temperature < Math.fround(1e-3) ? 0 : temperature);

/** @param {ReturnType<typeof checkedSampling>} s @param {Float32Array} frames
 * @param {number} channels @param {Float32Array|null} temperatures
 */
function quietened(s, frames, channels, temperatures) {
  const { quiet } = s;
  if (quiet === null) return temperatures;
  return byFrame(frames, channels, (frame, i) =>
    frame[quiet.channel] < quiet.below ? 0 : (temperatures?.[i] ?? s.temperature),
  );
}

/** @param {Float32Array} frames @param {number} channels
 * @param {(frame: Float32Array, i: number) => number} number
 */
function byFrame(frames, channels, number) {
  return Float32Array.from({ length: frames.length / channels }, (_, i) =>
    number(frames.subarray(i * channels, (i + 1) * channels), i),
  );
}

// ---- arrays ----

const empty = () => new Float32Array(0);

/** @param {Float32Array} a @param {Float32Array} b */
function joined(a, b) {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
