/** The constants of mel frames in a model file, checked as by mel_conventions.py. */

import { ModelFormatError, REQUIRED, fields, isObject, shown, whole, within } from "./checks.js";

const MAX_RATE = 768_000;
const MAX_N_FFT = 65_536;
const MAX_MELS = 1024;
const MAX_NUMBER = 1e6; // of a level in the logarithmic domain
const NARROWEST = 1; // Hz from fmin to fmax

/** @type {Record<string, readonly unknown[]>} */
const CHOICES = {
  mel_scale: ["slaney", "htk"],
  filter_norm: ["slaney", "none"],
  power: [1, 2],
  log: ["ln", "log10"],
  padding: ["center", "same"],
};
const NAMES = [
  ...["sample_rate", "n_fft", "hop", "window", "mels", "fmin", "fmax"],
  ...["mel_scale", "filter_norm", "power", "power_floor", "epsilon", "floor", "log"],
  ...["log_factor", "log_offset", "padding", "mean", "deviation", "clip"],
];

/**
 * @typedef {object} Mel all constants of a mel spectrogram, as in the model file
 * @property {number} sample_rate
 * @property {number} n_fft
 * @property {number} hop
 * @property {number} window
 * @property {number} mels
 * @property {number} fmin
 * @property {number} fmax
 * @property {"slaney"|"htk"} mel_scale
 * @property {"slaney"|"none"} filter_norm
 * @property {1|2} power
 * @property {number} power_floor
 * @property {number} epsilon
 * @property {number} floor
 * @property {"ln"|"log10"} log
 * @property {number} log_factor
 * @property {number} log_offset
 * @property {"center"|"same"} padding
 * @property {number|number[]} mean of all channels, or of each
 * @property {number|number[]} deviation
 * @property {[number, number]|null} clip
 */

/**
 * @param {unknown} given
 * @returns {Mel}
 */
export function checkedMel(given) {
  const mel = fields("mel", given, Object.fromEntries(NAMES.map((name) => [name, REQUIRED])));
  checkSizes(mel);
  for (const [name, known] of Object.entries(CHOICES)) {
    if (!known.includes(mel[name])) {
      const expected = known.map((one) => JSON.stringify(one)).join(" or ");
      throw new ModelFormatError(`mel ${name} must be ${expected}, not ${shown(mel[name])}`);
    }
  }
  checkLevels(mel);
  return /** @type {Mel} */ (mel);
}

/** @param {Record<string, any>} mel */
function checkSizes(mel) {
  whole("mel sample_rate", mel.sample_rate, 1, MAX_RATE);
  whole("mel n_fft", mel.n_fft, 2, MAX_N_FFT);
  if (mel.n_fft % 2) throw new ModelFormatError(`mel n_fft must be even, not ${mel.n_fft}`);
  whole("mel hop", mel.hop, 1, mel.n_fft);
  whole("mel window", mel.window, 2, mel.n_fft);
  whole("mel mels", mel.mels, 1, MAX_MELS);
  if (mel.padding === "same" && (mel.n_fft - mel.hop) % 2) {
    throw new ModelFormatError(`mel hop must be even with padding "same", not ${mel.hop}`);
  }
  const half = mel.sample_rate / 2;
  mel.fmin = within("mel fmin", mel.fmin, 0, half - NARROWEST);
  mel.fmax = within("mel fmax", mel.fmax, mel.fmin + NARROWEST, half);
}

/** @param {Record<string, any>} mel */
function checkLevels(mel) {
  for (const name of ["power_floor", "epsilon"]) {
    mel[name] = within(`mel ${name}`, mel[name], 0, MAX_NUMBER);
  }
  mel.floor = within("mel floor", mel.floor, Number.MIN_VALUE, Number.MAX_VALUE, {
    expected: "a positive number",
  });
  for (const name of ["log_factor", "log_offset"]) {
    mel[name] = within(`mel ${name}`, mel[name], -MAX_NUMBER, MAX_NUMBER);
  }
  mel.mean = forChannels(mel, "mean", -MAX_NUMBER, MAX_NUMBER);
  mel.deviation = forChannels(mel, "deviation", 1 / MAX_NUMBER, MAX_NUMBER);
  mel.clip = limits(mel.clip);
}

/** A number for all channels, or one for each.
 * @param {Record<string, any>} mel @param {string} name @param {number} low @param {number} high
 * @returns {number|number[]}
 */
function forChannels(mel, name, low, high) {
  const values = mel[name];
  if (!Array.isArray(values)) return within(`mel ${name}`, values, low, high);
  if (values.length !== mel.mels) {
    throw new ModelFormatError(
      `mel ${name} must be one number or ${mel.mels}, one for each channel, ` +
        `not ${values.length} numbers`,
    );
  }
  return values.map((value) => within(`each of mel ${name}`, value, low, high));
}

/** That of a channel.  @param {number|number[]} values @param {number} channel */
export function ofChannel(values, channel) {
  return Array.isArray(values) ? values[channel] : values;
}

/** @param {unknown} clip @returns {[number, number]|null} */
function limits(clip) {
  if (clip === null) return null;
  if (!Array.isArray(clip) || clip.length !== 2) {
    throw new ModelFormatError(`mel clip must be null or two numbers, not ${shown(clip)}`);
  }
  const [low, high] = clip.map((v) => within("each of mel clip", v, -MAX_NUMBER, MAX_NUMBER));
  if (!(low < high)) {
    throw new ModelFormatError(`mel clip must be (lower, higher), not ${shown(clip)}`);
  }
  return [low, high];
}

/** Whether the features of a conditioning are mel frames.
 * @param {unknown} features
 * @returns {features is Mel}
 */
export function isMel(features) {
  return isObject(features);
}
