/** Mel matching, as by mel_matching.py: sound brought nearer to the mel frames that it is to have.
 *
 * Each pass scales the magnitudes of the windows' spectra so that their filtered sums are nearer to
 * the frames', makes them those of a signal by overlap-add, and moves on by momentum. */

import { Fourier } from "./fourier.js";
import { filtersOf, firstSample, hann, reflected } from "./mel.js";
import { ofChannel } from "./mel_convention.js";

const PASSES = 32;
const MOMENTUM = 0.8;
const COVERED = 0.1; // least weight of a sample that is replaced, in shares of the largest
const TINY = 1e-8;

/** @typedef {import("./mel_convention.js").Mel} Mel */
/** @typedef {{re: Float64Array, im: Float64Array}} Spectra frames x bins */

/**
 * @param {Float32Array} audio frames x hop samples
 * @param {Float32Array} levels frames x mels
 * @param {Mel} mel their convention
 * @param {number} [passes] from 0
 * @returns {Float32Array} in [-1, 1]
 */
export function matchedToMel(audio, levels, mel, passes = PASSES) {
  const count = levels.length / mel.mels;
  if (audio.length !== count * mel.hop) {
    throw new RangeError(
      `audio of ${count} frames must have ${count * mel.hop} samples, not ${audio.length}`,
    );
  }
  if (!passes || !count) return audio.slice();
  const first = firstSample(mel, 0);
  const signal = Float64Array.from({ length: (count - 1) * mel.hop + mel.window }, (_, i) => {
    return audio[reflected(first + i, audio.length)];
  });
  const matching = new Matching(mel, count);
  const matched = matching.run(signal, filteredSums(levels, mel), passes);
  const least = COVERED * Math.max(...matching.weights.subarray(0, mel.window + mel.hop));
  return audio.map((sample, at) => {
    const place = at - first;
    const inside = place >= 0 && place < signal.length && matching.weights[place] >= least;
    return Math.min(Math.max(inside ? matched[place] : sample, -1), 1);
  });
}

/** Mel frames before the logarithm, at most those of a full-scale signal.
 * @param {Float32Array} levels @param {Mel} mel
 */
function filteredSums(levels, mel) {
  const base = mel.log === "ln" ? Math.E : 10;
  const loudest = filtersOf(mel).map(({ weights }) => {
    return weights.reduce((sum, weight) => sum + weight, 0) * (mel.window / 2) ** mel.power;
  });
  return levels.map((level, i) => {
    const channel = i % mel.mels;
    const found = level * ofChannel(mel.deviation, channel) + ofChannel(mel.mean, channel);
    return Math.min(base ** ((found - mel.log_offset) / mel.log_factor), loudest[channel]);
  });
}

/** The spectra of `count` windows, and the signals that have them. */
class Matching {
  /** @param {Mel} mel @param {number} count */
  constructor(mel, count) {
    this.mel = mel;
    this.count = count;
    this.bins = mel.n_fft / 2 + 1;
    this.fourier = new Fourier(mel.n_fft);
    this.window = hann(mel.window);
    this.filters = filtersOf(mel);
    this.coverage = this.#coverage();
    this.weights = this.#weights();
    this.part = new Float64Array(mel.window);
    this.gain = new Float64Array(this.bins);
  }

  /** @param {Float64Array} signal @param {Float32Array} sums @param {number} passes */
  run(signal, sums, passes) {
    let spectra = this.#spectra(signal);
    /** @type {Spectra} */
    let before = { re: spectra.re.slice(), im: spectra.im.slice() };
    for (let pass = 1; pass < passes; pass++) {
      this.#scale(spectra, sums);
      const own = this.#spectra(this.#signal(spectra));
      spectra = { re: movedOn(own.re, before.re), im: movedOn(own.im, before.im) };
      before = own;
    }
    this.#scale(spectra, sums);
    return this.#signal(spectra);
  }

  /** The sum of the filters over each bin. */
  #coverage() {
    const sum = new Float64Array(this.bins);
    for (const { start, weights } of this.filters) {
      weights.forEach((weight, j) => (sum[start + j] += weight));
    }
    return sum;
  }

  /** The sum of the squared windows over each sample. */
  #weights() {
    const { mel, count, window } = this;
    const sums = new Float64Array((count - 1) * mel.hop + mel.window);
    for (let frame = 0; frame < count; frame++) {
      for (let i = 0; i < window.length; i++) sums[frame * mel.hop + i] += window[i] * window[i];
    }
    return sums.map((sum) => Math.max(sum, TINY));
  }

  /** @param {Float64Array} signal @returns {Spectra} */
  #spectra(signal) {
    const { mel, count, bins, fourier, window, part } = this;
    const re = new Float64Array(count * bins);
    const im = new Float64Array(count * bins);
    for (let frame = 0; frame < count; frame++) {
      for (let i = 0; i < part.length; i++) part[i] = signal[frame * mel.hop + i] * window[i];
      fourier.ofReal(part);
      re.set(fourier.re.subarray(0, bins), frame * bins);
      im.set(fourier.im.subarray(0, bins), frame * bins);
    }
    return { re, im };
  }

  /** The signal whose spectra are nearest in least squares.  @param {Spectra} spectra */
  #signal({ re, im }) {
    const { mel, count, bins, fourier, window, weights } = this;
    const signal = new Float64Array(weights.length);
    for (let frame = 0; frame < count; frame++) {
      const [begin, end] = [frame * bins, (frame + 1) * bins];
      fourier.toReal(re.subarray(begin, end), im.subarray(begin, end));
      for (let i = 0; i < window.length; i++) {
        signal[frame * mel.hop + i] += fourier.re[i] * window[i];
      }
    }
    for (let i = 0; i < signal.length; i++) signal[i] /= weights[i];
    return signal;
  }

  /** Scales magnitudes so that their filtered sums are nearer to `sums`.
   * @param {Spectra} spectra @param {Float32Array} sums frames x mels
   */
  #scale({ re, im }, sums) {
    for (let frame = 0; frame < this.count; frame++) {
      const begin = frame * this.bins;
      this.#findGain(re, im, begin, sums.subarray(frame * this.mel.mels));
      for (let bin = 0; bin < this.bins; bin++) {
        re[begin + bin] *= this.gain[bin];
        im[begin + bin] *= this.gain[bin];
      }
    }
  }

  /** The mean ratio of wanted and own sums in the filters over each bin.
   * @param {Float64Array} re @param {Float64Array} im @param {number} begin of the frame
   * @param {Float32Array} sums of the frame
   */
  #findGain(re, im, begin, sums) {
    const { mel, filters, coverage, gain } = this;
    gain.fill(0);
    filters.forEach(({ start, weights }, i) => {
      let own = 0;
      for (let j = 0; j < weights.length; j++) {
        const at = begin + start + j;
        const energy = re[at] * re[at] + im[at] * im[at];
        own += weights[j] * (mel.power === 1 ? Math.sqrt(energy) : energy);
      }
      const ratio = sums[i] / Math.max(own, mel.floor);
      for (let j = 0; j < weights.length; j++) gain[start + j] += ratio * weights[j];
    });
    for (let bin = 0; bin < gain.length; bin++) {
      const mean = coverage[bin] > TINY ? gain[bin] / coverage[bin] : 1;
      gain[bin] = mel.power === 1 ? mean : Math.sqrt(mean);
    }
  }
}

/** @param {Float64Array} own @param {Float64Array} before */
function movedOn(own, before) {
  return own.map((value, i) => value + MOMENTUM * (value - before[i]));
}
