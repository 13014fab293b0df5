/** A spectrogram that grows with the sound, or below that of a recording of known length. */

import { Fourier } from "./fastwavenet/fourier.js";
import { colour, fitted } from "./picture.js";

const SIZE = 512; // samples of a transform
const STEP = 256; // samples from column to column
const ROWS = 160;
const SECONDS = 6; // of a picture that moves
const FLOOR = -78; // dB of a full-scale sine
const CEILING = -18;
const DARK = ["#161c22", "#17405a", "#1f8a99", "#ffb37a", "#fff3dc"];
const LIGHT = ["#fffdf9", "#cde3e0", "#5fa8b4", "#1f5f7c", "#2a1a3a"];

const HARMONICS = 5; // of a note to come

/** @typedef {{begin: number, seconds: number, hz: number}} Note */

export class Spectrogram {
  rate = 16000; // Hz
  columns = 1;
  total = 0; // samples of the recording; 0: the picture moves
  /** Of the recording. @type {Strip|null} */
  original = null;
  /** Notes to come, shown where there is no sound yet. @type {Note[]} */
  score = [];
  /** Samples of no whole transform. @type {Float32Array} */
  left = new Float32Array(0);

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.fourier = new Fourier(SIZE);
    this.window = Float64Array.from({ length: SIZE }, (_, i) => {
      return 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / SIZE);
    });
    this.strip = new Strip(this.columns);
    this.setRate(16000);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#recolour());
  }

  /** @param {number} rate */
  setRate(rate) {
    this.rate = rate;
    this.showBelow(null);
  }

  /** A recording above the sound, on one axis of time; null: none.
   * @param {Float32Array|null} recording
   */
  showBelow(recording) {
    this.total = recording?.length ?? 0;
    this.original = null;
    this.clear();
    if (!recording) return;
    this.original = new Strip(this.columns);
    for (let at = 0; at + SIZE <= recording.length; at += STEP) {
      this.original.add(this.#levels(recording.subarray(at, at + SIZE)));
    }
  }

  clear() {
    const samples = this.total || SECONDS * this.rate;
    this.columns = Math.max(1, Math.ceil(samples / STEP));
    this.strip = new Strip(this.columns);
    this.left = new Float32Array(0);
  }

  /** @param {Float32Array} audio */
  add(audio) {
    const samples = new Float32Array(this.left.length + audio.length);
    samples.set(this.left);
    samples.set(audio, this.left.length);
    let at = 0;
    for (; at + SIZE <= samples.length; at += STEP) {
      this.strip.add(this.#levels(samples.subarray(at, at + SIZE)));
    }
    this.left = samples.slice(at);
  }

  /** Levels of the rows, 0 to 1, the highest frequency first.  @param {Float32Array} samples */
  #levels(samples) {
    const energies = this.fourier.energies(samples.map((x, i) => x * this.window[i]));
    return Float32Array.from({ length: ROWS }, (_, row) => {
      const at = ((ROWS - 0.5 - row) / ROWS) * (SIZE / 2);
      const below = Math.floor(at);
      const energy = energies[below] + (energies[below + 1] - energies[below]) * (at - below);
      const decibels = 10 * Math.log10(energy / (SIZE / 4) ** 2 + 1e-12);
      return Math.min(Math.max((decibels - FLOOR) / (CEILING - FLOOR), 0), 1);
    });
  }

  #recolour() {
    this.strip.recolour();
    this.original?.recolour();
  }

  /** @param {number} heard samples */
  draw(heard) {
    const { context, width, height } = fitted(this.canvas);
    if (this.strip.count < this.columns) this.#drawScore(context, width, height);
    const half = this.original ? height / 2 : height;
    this.original?.draw(context, 0, 0, width, half - 1, this.columns, this.columns);
    const columns = this.original ? this.columns : Math.floor(heard / STEP);
    const top = this.original ? half + 1 : 0;
    this.strip.draw(context, 0, top, width, half - (this.original ? 1 : 0), columns, this.columns);
    if (!this.original) return;
    this.#labels(context, half);
    context.fillStyle = colour("--next");
    context.fillRect((heard / STEP / this.columns) * width, 0, 2, height);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} width @param {number} height */
  #drawScore(context, width, height) {
    context.fillStyle = colour("--wave");
    for (const { begin, seconds, hz } of this.score) {
      for (let harmonic = 1; harmonic <= HARMONICS; harmonic++) {
        const y = height * (1 - (2 * hz * harmonic) / this.rate);
        const x = (begin / SECONDS) * width;
        context.globalAlpha = 0.45 / harmonic;
        context.fillRect(x, y - 2, (seconds / SECONDS) * width - 2, 3);
      }
    }
    context.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} context @param {number} half */
  #labels(context, half) {
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = colour("--ink");
    context.fillText("the recording", 8, 16);
    context.fillText("made by the network", 8, half + 18);
  }
}

/** Columns of levels and their image.  Of more columns than it has room for, the last ones. */
class Strip {
  /** @param {number} room columns */
  constructor(room) {
    this.room = room;
    this.count = 0;
    this.levels = new Float32Array(room * ROWS);
    this.image = document.createElement("canvas");
    Object.assign(this.image, { width: room, height: ROWS });
    this.context = /** @type {CanvasRenderingContext2D} */ (this.image.getContext("2d"));
    this.colours = colours();
  }

  /** @param {Float32Array} levels */
  add(levels) {
    const column = this.count % this.room;
    this.levels.set(levels, column * ROWS);
    this.#paint(column);
    this.count += 1;
  }

  /** @param {number} column */
  #paint(column) {
    const pixels = this.context.createImageData(1, ROWS);
    for (let row = 0; row < ROWS; row++) {
      const shade = Math.round(this.levels[column * ROWS + row] * 255);
      pixels.data.set(this.colours.subarray(4 * shade, 4 * shade + 4), 4 * row);
    }
    this.context.putImageData(pixels, column, 0);
  }

  recolour() {
    this.colours = colours();
    for (let column = 0; column < Math.min(this.count, this.room); column++) this.#paint(column);
  }

  /** The columns up to number `end`; the right edge is that of `span` columns.
   * @param {CanvasRenderingContext2D} context
   * @param {number} x @param {number} y @param {number} width @param {number} height
   * @param {number} end @param {number} span
   */
  draw(context, x, y, width, height, end, span) {
    const last = Math.min(end, this.count);
    const first = Math.max(0, last - span);
    const scale = width / span;
    for (let column = first; column < last; ) {
      const from = column % this.room;
      const n = Math.min(last - column, this.room - from);
      const at = x + (column - first) * scale;
      context.drawImage(this.image, from, 0, n, ROWS, at, y, n * scale, height);
      column += n;
    }
  }
}

/** 256 colours, from silence to the loudest, in 4 bytes each. */
function colours() {
  const stops = (matchMedia("(prefers-color-scheme: dark)").matches ? DARK : LIGHT).map(bytes);
  const all = new Uint8ClampedArray(4 * 256);
  for (let shade = 0; shade < 256; shade++) {
    const place = (shade / 255) * (stops.length - 1);
    const below = Math.min(Math.floor(place), stops.length - 2);
    const mixed = stops[below].map((v, i) => v + (stops[below + 1][i] - v) * (place - below));
    all.set([...mixed, 255], 4 * shade);
  }
  return all;
}

/** @param {string} hex */
function bytes(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}
