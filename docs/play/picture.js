/** The picture of a sound: its wave, the distribution of its newest sample, its spectrogram. */

import { probabilities } from "./distribution.js";
import { Spectrogram } from "./spectrogram.js";

const WAVE_SECONDS = 0.03; // of a wide picture
const NARROW = 420; // pixels, below which it has fewer
const TRAILS = 5; // earlier distributions, drawn fainter
const KEPT_SECONDS = 2; // of audio

const USUAL = { sample_rate: 16000, levels: 256, codec: { mu: 255, decode_divisor: 255 } };

/**
 * @typedef {object} Shown a distribution that is drawn
 * @property {Float64Array} all at temperature 1
 * @property {Float64Array} kept of the draw
 * @property {number} end number of the sample behind it
 * @property {number} sample that was drawn
 * @property {number} before the sample before it
 */

export class Picture {
  /** Of the model whose sound is drawn. @type {any} */
  spec = USUAL;
  audio = new Float32Array(0); // the newest samples, in a ring
  made = 0; // samples
  drawn = 0; // samples heard when it was drawn
  /** Blocks that are not heard yet. @type {{end: number, logits: Float32Array, drawn: any}[]} */
  blocks = [];
  /** The newest distributions, the last one first. @type {Shown[]} */
  shown = [];

  /** @param {{wave: HTMLCanvasElement, next: HTMLCanvasElement, spectrum: HTMLCanvasElement}} canvases */
  constructor({ wave, next, spectrum }) {
    this.wave = wave;
    this.next = next;
    this.spectrogram = new Spectrogram(spectrum);
    this.setModel(USUAL);
    const media = matchMedia("(prefers-color-scheme: dark)");
    media.addEventListener("change", () => this.draw(this.drawn));
    new ResizeObserver(() => this.draw(this.drawn)).observe(wave);
  }

  /** @param {any} spec of the model whose sound is drawn */
  setModel(spec) {
    this.spec = spec;
    this.audio = new Float32Array(Math.ceil(KEPT_SECONDS * spec.sample_rate));
    this.spectrogram.setRate(spec.sample_rate);
    this.clear();
  }

  clear() {
    this.audio.fill(0);
    this.blocks = [];
    this.shown = [];
    this.drawn = 0;
    this.made = 0;
    this.spectrogram.clear();
    this.draw(0);
  }

  /** @param {{audio: Float32Array, logits: Float32Array, at: number, drawn: any}} block */
  add({ audio, logits, at, drawn }) {
    audio.forEach((sample, i) => (this.audio[(at + i) % this.audio.length] = sample));
    this.made = at + audio.length;
    this.blocks.push({ end: this.made, logits, drawn });
    this.spectrogram.add(audio);
  }

  /** The moment at which so many samples have been heard.  @param {number} heard */
  draw(heard) {
    this.drawn = heard;
    while (this.blocks.length && this.blocks[0].end <= heard) this.#show(this.blocks.shift());
    this.#drawWave(this.shown[0]?.end ?? 0);
    this.#drawNext();
    this.spectrogram.draw(heard);
  }

  /** @param {any} block */
  #show({ end, logits, drawn }) {
    const p = probabilities(logits, drawn);
    const sample = this.audio[(end - 1) % this.audio.length];
    const before = this.audio[(end - 2 + this.audio.length) % this.audio.length];
    this.shown = [{ ...p, end, sample, before }, ...this.shown.slice(0, TRAILS)];
  }

  /** The place of an amplitude from bottom to top, 0 to 1, in steps of equal codes.
   * @param {number} amplitude
   */
  #place(amplitude) {
    const { mu } = this.spec.codec;
    const size = Math.log1p(mu * Math.min(Math.abs(amplitude), 1)) / Math.log1p(mu);
    return (1 + Math.sign(amplitude) * size) / 2;
  }

  /** The amplitude of a code behind a sample.  @param {number} code @param {number} before */
  #amplitude(code, before) {
    const { mu, decode_divisor: divisor, decode_offset: offset = 0 } = this.spec.codec;
    const u = (2 * (code - offset)) / divisor - 1;
    const x = (Math.sign(u) * ((1 + mu) ** Math.abs(u) - 1)) / mu;
    return x + (this.spec.codec.pre_emphasis ?? 0) * before;
  }

  /** @param {number} end */
  #drawWave(end) {
    const { context, width, height } = fitted(this.wave);
    const seconds = width < NARROW ? WAVE_SECONDS / 2 : WAVE_SECONDS;
    const count = Math.round(seconds * this.spec.sample_rate);
    showMilliseconds(Math.round(1000 * seconds));
    context.strokeStyle = colour("--faint");
    context.beginPath();
    context.moveTo(0, height / 2);
    context.lineTo(width, height / 2);
    context.stroke();
    context.strokeStyle = colour("--wave");
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.beginPath();
    for (let i = 0; i < count; i++) {
      const sample = this.#sample(end - count + i);
      context.lineTo((i / (count - 1)) * (width - 4), (1 - this.#place(sample)) * height);
    }
    context.stroke();
    context.fillStyle = colour("--next");
    context.beginPath();
    context.arc(width - 4, (1 - this.#place(this.#sample(end - 1))) * height, 4, 0, 7);
    context.fill();
  }

  /** @param {number} at */
  #sample(at) {
    return at < 0 ? 0 : this.audio[at % this.audio.length];
  }

  #drawNext() {
    const { context, width, height } = fitted(this.next);
    this.shown.forEach((one, age) => {
      if (age) this.#drawDistribution(one.kept, one.before, "--next", 0.3 * (1 - age / (TRAILS + 1)));
    });
    const [newest] = this.shown;
    if (!newest) return;
    this.#drawDistribution(newest.all, newest.before, "--faint", 1);
    this.#drawDistribution(newest.kept, newest.before, "--next", 0.9);
    context.fillStyle = colour("--ink");
    context.beginPath();
    context.arc(3, (1 - this.#place(newest.sample)) * height, 3, 0, 7);
    context.fill();
  }

  /** Bars from the left, of the roots of the probabilities, so that small ones can be seen.
   * @param {Float64Array} p @param {number} before @param {string} name @param {number} alpha
   */
  #drawDistribution(p, before, name, alpha) {
    const context = /** @type {CanvasRenderingContext2D} */ (this.next.getContext("2d"));
    const { clientWidth: width, clientHeight: height } = this.next;
    context.globalAlpha = alpha;
    context.fillStyle = colour(name);
    context.beginPath();
    const edge = (/** @type {number} */ code) =>
      (1 - this.#place(this.#amplitude(code, before))) * height;
    p.forEach((probability, code) => {
      if (probability < 1e-6) return;
      const [top, bottom] = [edge(code + 0.5), edge(code - 0.5)];
      context.rect(0, top, Math.sqrt(probability) * width, Math.max(bottom - top, 1.2));
    });
    context.fill();
    context.globalAlpha = 1;
  }
}

/** In the caption of the wave.  @param {number} milliseconds */
function showMilliseconds(milliseconds) {
  const place = /** @type {HTMLElement} */ (document.querySelector('[data-text="wave"]'));
  if (place.textContent !== String(milliseconds)) place.textContent = String(milliseconds);
}

/** A canvas with a pixel for each of the screen, cleared.  @param {HTMLCanvasElement} canvas */
export function fitted(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.lineWidth = 1;
  return { context, width, height };
}

/** Colours that were looked up.  @type {Map<string, string>} */
const colours = new Map();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => colours.clear());

/** A colour of the style sheet.  @param {string} name */
export function colour(name) {
  if (!colours.has(name)) {
    const style = getComputedStyle(document.documentElement);
    colours.set(name, style.getPropertyValue(name).trim());
  }
  return /** @type {string} */ (colours.get(name));
}
