/** A sound that is played while it is generated. */

import { asError, withDefaults } from "./model.js";

const AHEAD_SECONDS = 0.25; // of sound that is made and not yet played
const LEAST_SECONDS = 0.1; // of sound before the first is played, and after a gap
const FADE_SECONDS = 0.02;

/**
 * @typedef {object} PlayOptions
 * @property {number|bigint} [seed] 0
 * @property {import("./voice.js").Sampling} [sampling]
 * @property {Iterable<Float32Array>} [frames] pieces of n x channels, taken as they are needed; for
 * models that take frames.  The sound ends with them
 * @property {Float32Array} [prime] audio at the model's rate, after which the sound continues
 * @property {number|string} [speaker]
 * @property {number} [lead] seconds of sound that are made before the first is played: for a sound
 * of known length on a computer that is slower than the sound
 */

/**
 * Plays a model.  Events, each a CustomEvent:
 *   block   `detail` {audio, logp, logits, at, seconds, sampling}: samples that were made, before they
 *           are heard; logits are those of the last one, `at` the number of the first
 *   end     the last sample was played
 *   error   `detail` an Error
 */
export class Player extends EventTarget {
  /**
   * @param {import("./model.js").Model} model
   * @param {{ahead?: number}} [options] seconds of sound that are made and not yet played: the time
   * until a changed setting is heard
   */
  constructor(model, { ahead = AHEAD_SECONDS } = {}) {
    super();
    this.model = model;
    this.ahead = Math.round(ahead * model.sampleRate);
    this.playing = false;
    /** @type {AudioContext|null} */
    this.context = null;
    /** @type {Promise<void>|null} */
    this.opening = null;
    this.sound = 0; // number of the newest sound: messages of older ones are passed over
    this.made = 0; // samples of this sound
    this.news = { played: 0, time: 0, gaps: 0 };
    model.listener = (message) => this.#receive(message);
  }

  /**
   * Starts a sound, in the place of one that plays.  The first call must follow a click or key, after
   * which browsers allow sound.
   * @param {PlayOptions} [options]
   */
  async play(options = {}) {
    await this.stop();
    await this.#open();
    const { frames, lead = 0, ...others } = withDefaults(options);
    this.frames = frames?.[Symbol.iterator]() ?? null;
    const first = this.frames ? this.frames.next() : null;
    const sound = (this.sound += 1);
    const channel = new MessageChannel();
    const { sampleRate } = this.model;
    const led = Math.round(lead * sampleRate);
    const least = Math.max(led, Math.round(Math.min(this.ahead / 2, LEAST_SECONDS * sampleRate)));
    this.made = 0;
    this.news = { played: 0, time: 0, gaps: 0 };
    this.node?.port.postMessage({ sound, source: channel.port1, least }, [channel.port1]);
    this.#fade(1);
    this.playing = true;
    const start = { sound, frames: first?.value, port: channel.port2, ahead: led + this.ahead };
    await this.model.call("play", { ...others, ...start }, [channel.port2]);
    if (first?.done) this.model.post("moreFrames", { end: true });
  }

  /** Changes how codes are drawn, from the next block on.
   * @param {import("./voice.js").Sampling} sampling
   */
  set(sampling) {
    this.model.post("set", { sampling });
  }

  /** Samples of this sound that were played, at this moment. */
  get heard() {
    const { played, time } = this.news;
    if (!this.context || !this.playing || !time) return played;
    const since = Math.max(0, this.context.currentTime - time);
    return Math.min(played + since * this.model.sampleRate, this.made);
  }

  /** Gaps in this sound, where samples came too late. */
  get gaps() {
    return this.news.gaps;
  }

  get paused() {
    return this.context?.state === "suspended";
  }

  async pause() {
    this.#fade(0);
    await new Promise((resolve) => setTimeout(resolve, 2000 * FADE_SECONDS));
    await this.context?.suspend();
  }

  async resume() {
    await this.context?.resume();
    this.#fade(1);
  }

  /** Ends the sound, faded out. */
  async stop() {
    if (!this.playing) return;
    this.#fade(0);
    await new Promise((resolve) => setTimeout(resolve, 2000 * FADE_SECONDS));
    this.#end();
  }

  /** Stops, and frees the audio device.  The model stays. */
  async close() {
    await this.stop();
    await this.context?.close();
    this.context = null;
    this.opening = null;
  }

  /** The audio device, opened once also by calls that overlap. */
  async #open() {
    this.opening ??= this.#openDevice();
    try {
      await this.opening;
    } catch (error) {
      this.opening = null;
      throw error;
    }
    await this.context?.resume();
  }

  async #openDevice() {
    if (typeof AudioContext === "undefined" || typeof AudioWorkletNode === "undefined") {
      throw new Error("this browser has no AudioWorklet, which plays the sound: use a newer browser");
    }
    const { sampleRate } = this.model;
    const context = contextOf(sampleRate);
    if (!context.audioWorklet) {
      throw new Error("AudioWorklet needs a secure page: open it by https or from localhost");
    }
    await context.audioWorklet.addModule(new URL("./worklet.js", import.meta.url));
    this.node = new AudioWorkletNode(context, "fastwavenet-blocks", {
      ...{ numberOfInputs: 0, outputChannelCount: [1] },
    });
    this.gain = new GainNode(context, { gain: 0 });
    this.node.connect(this.gain).connect(context.destination);
    this.node.port.onmessage = ({ data }) => this.#played(data);
    this.context = context;
  }

  /** @param {number} to 0 or 1 */
  #fade(to) {
    const now = this.context?.currentTime ?? 0;
    const gain = this.gain?.gain;
    gain?.cancelScheduledValues(now);
    gain?.setTargetAtTime(to, now, FADE_SECONDS / 3);
  }

  #end() {
    if (!this.playing) return;
    this.playing = false;
    this.node?.port.postMessage({});
    this.model.post("stop");
  }

  /** A message of the worklet.
   * @param {{sound: number, played: number, time: number, gaps: number, end: boolean}} news
   */
  #played(news) {
    if (!this.playing || news.sound !== this.sound) return;
    this.news = news;
    if (!news.end) return;
    this.#end();
    this.dispatchEvent(new CustomEvent("end"));
  }

  /** A message of the worker.  @param {any} message */
  #receive({ type, sound, block, error }) {
    if (!this.playing || sound !== this.sound) return;
    if (type === "block") {
      this.made = block.at + block.audio.length;
      this.dispatchEvent(new CustomEvent("block", { detail: block }));
    }
    if (type === "frames") this.#giveFrames();
    if (type === "error") this.dispatchEvent(new CustomEvent("error", { detail: asError(error) }));
  }

  #giveFrames() {
    const { value, done } = this.frames?.next() ?? { value: undefined, done: true };
    this.model.post("moreFrames", { frames: done ? undefined : value, end: done });
  }
}

/** @param {number} sampleRate Hz */
function contextOf(sampleRate) {
  try {
    return new AudioContext({ sampleRate, latencyHint: "interactive" });
  } catch {
    throw new Error(`this browser does not play ${sampleRate} Hz: expected from 8000 to 96000`);
  }
}
