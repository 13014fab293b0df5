/** Mel frames of audio, as by features.py, to float32's last digits. */

import { Fourier } from "./fourier.js";
import { ofChannel } from "./mel_convention.js";

/** @typedef {import("./mel_convention.js").Mel} Mel */

/**
 * @param {Float32Array} audio at the convention's rate
 * @param {Mel} mel
 * @returns {Float32Array} frames x mels, frames = floor(n / hop)
 */
export function melFrames(audio, mel) {
  const count = Math.floor(audio.length / mel.hop);
  const frames = new Float32Array(count * mel.mels);
  const fourier = new Fourier(mel.n_fft);
  const window = hann(mel.window);
  const filters = filtersOf(mel);
  const x = new Float64Array(mel.window);
  for (let frame = 0; frame < count; frame++) {
    const first = firstSample(mel, frame);
    for (let i = 0; i < x.length; i++) {
      x[i] = audio[reflected(first + i, audio.length)] * window[i];
    }
    const energies = fourier.energies(x).map((energy) => level(energy, mel));
    filters.forEach(({ start, weights }, i) => {
      const sum = weights.reduce((total, weight, j) => total + weight * energies[start + j], 0);
      frames[frame * mel.mels + i] = logarithm(sum, mel, i);
    });
  }
  return frames;
}

/** The first sample under a frame's window.  @param {Mel} mel @param {number} frame */
export function firstSample(mel, frame) {
  const padding =
    mel.padding === "center" ? mel.n_fft / 2 : Math.floor((mel.n_fft - mel.hop) / 2);
  return frame * mel.hop - padding + Math.floor((mel.n_fft - mel.window) / 2);
}

/** A position beyond an end, mirrored at the first or the last sample.
 * @param {number} position @param {number} n
 */
export function reflected(position, n) {
  if (n < 2) return 0;
  const period = 2 * (n - 1);
  const within = ((position % period) + period) % period;
  return Math.min(within, period - within);
}

/** @param {number} energy @param {Mel} mel */
function level(energy, mel) {
  const raised = Math.max(energy, mel.power_floor) + mel.epsilon;
  return mel.power === 1 ? Math.sqrt(raised) : raised;
}

/** @param {number} filtered @param {Mel} mel @param {number} channel */
function logarithm(filtered, mel, channel) {
  const log = mel.log === "ln" ? Math.log : Math.log10;
  const found = log(Math.max(filtered, mel.floor)) * mel.log_factor + mel.log_offset;
  const normal = (found - ofChannel(mel.mean, channel)) / ofChannel(mel.deviation, channel);
  return mel.clip === null ? normal : Math.min(Math.max(normal, mel.clip[0]), mel.clip[1]);
}

/** The periodic Hann window.  @param {number} size */
export function hann(size) {
  return Float64Array.from({ length: size }, (_, i) => {
    return 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size);
  });
}

/** Triangles over the bins, whose edges are equally spaced in mel.  @param {Mel} mel */
export function filtersOf(mel) {
  const { toMel, toHz } = SCALES[mel.mel_scale];
  const low = toMel(mel.fmin);
  const step = (toMel(mel.fmax) - low) / (mel.mels + 1);
  const edges = Array.from({ length: mel.mels + 2 }, (_, i) => toHz(low + i * step));
  return Array.from({ length: mel.mels }, (_, i) => triangle(mel, edges[i], edges[i + 1], edges[i + 2]));
}

/** @param {Mel} mel @param {number} low @param {number} centre @param {number} high */
function triangle(mel, low, centre, high) {
  const bins = mel.n_fft / 2 + 1;
  const norm = mel.filter_norm === "slaney" ? 2 / (high - low) : 1;
  const all = Float64Array.from({ length: bins }, (_, bin) => {
    const hz = bin * (mel.sample_rate / mel.n_fft);
    const height = Math.min((hz - low) / (centre - low), (high - hz) / (high - centre));
    return Math.max(0, height) * norm;
  });
  const start = Math.max(0, all.findIndex((weight) => weight > 0));
  const stop = all.findLastIndex((weight) => weight > 0) + 1;
  return { start, weights: all.slice(start, Math.max(start, stop)) };
}

const BREAK_HZ = 1000;
const BREAK_MEL = 15;
const OCTAVES = Math.log(6.4) / 27;

const SCALES = {
  slaney: {
    /** @param {number} hz */
    toMel: (hz) =>
      hz >= BREAK_HZ ? BREAK_MEL + Math.log(hz / BREAK_HZ) / OCTAVES : (hz * BREAK_MEL) / BREAK_HZ,
    /** @param {number} mel */
    toHz: (mel) =>
      mel >= BREAK_MEL
        ? BREAK_HZ * Math.exp(OCTAVES * (mel - BREAK_MEL))
        : (mel * BREAK_HZ) / BREAK_MEL,
  },
  htk: {
    /** @param {number} hz */
    toMel: (hz) => 2595 * Math.log10(1 + hz / 700),
    /** @param {number} mel */
    toHz: (mel) => 700 * (10 ** (mel / 2595) - 1),
  },
};
