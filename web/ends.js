/** The ends of a network in a model file, checked as by ends.py and frame_conditioning.py. */

import {
  ModelFormatError,
  REQUIRED,
  bool,
  fields,
  isObject,
  minP,
  shown,
  supported,
  temperature,
  whole,
  within,
} from "./checks.js";
import { checkedMel, isMel } from "./mel_convention.js";

const MAX_KERNEL = 32;
const MAX_STEPS = 65_536;
const MAX_START = 2 ** 20;
const MAX_COMPANDED = 1.25;
const MAX_CHANNELS = 4096;
const MAX_HOP = 65_536;
const MAX_SPEAKERS = 65_536;
const MAX_NAME = 100;
const MAX_PITCH = 48_000;
const MAX_STAGES = 16;
export const PITCH_KERNELS = [5, 5, 1];
export const PITCH_NETWORK = "conditioning.pitch";

/** @typedef {Record<string, any>} End as in docs/model-file.md, with all fields */

/**
 * An end whose `kind` this version computes.
 * @param {string} name @param {unknown} given @param {string} kind
 * @param {Record<string, unknown>} defaults
 * @returns {End}
 */
function end(name, given, kind, defaults) {
  if (!isObject(given)) {
    throw new ModelFormatError(`${name} must be a JSON object, not ${shown(given)}`);
  }
  if (given.kind !== kind) {
    throw new ModelFormatError(
      `${name} kind ${shown(given.kind)} is not supported by this version, only '${kind}'`,
    );
  }
  return fields(name, given, { kind, ...defaults });
}

/** @param {unknown} given */
export function input(given) {
  const one = end("input", given, "codes", { taps: 2, activation: "none", padding: "zeros" });
  whole("input taps", one.taps, 1, MAX_KERNEL);
  supported("input activation", one.activation, ["none", "tanh"]);
  supported("input padding", one.padding, ["zeros", "start"]);
  return one;
}

/** @param {unknown} given */
export function output(given) {
  return end("output", given, "softmax", {});
}

/** @param {unknown} given @param {number} levels */
export function codec(given, levels) {
  const one = end("codec", given, "mu-law", {
    ...{ mu: REQUIRED, steps: REQUIRED, decode_divisor: REQUIRED },
    ...{ encode_offset: 0.5, decode_offset: 0, pre_emphasis: 0 },
  });
  const bounds = /** @type {const} */ ([
    ["mu", 1, MAX_STEPS],
    ["steps", 1, MAX_STEPS],
    ["decode_divisor", 1, 2 * MAX_STEPS],
    ["encode_offset", -MAX_STEPS, MAX_STEPS],
    ["decode_offset", -MAX_STEPS, MAX_STEPS],
    ["pre_emphasis", 0, 0.999],
  ]);
  for (const [name, low, high] of bounds) one[name] = within(`codec ${name}`, one[name], low, high);
  for (const code of [0, levels - 1]) {
    const u = (2 * (code - one.decode_offset)) / one.decode_divisor - 1;
    if (Math.abs(u) > MAX_COMPANDED) {
      throw new ModelFormatError(
        `codec decodes code ${code} to ${u} before expansion, expected a number from ` +
          `${-MAX_COMPANDED} to ${MAX_COMPANDED}`,
      );
    }
  }
  return one;
}

/** @param {unknown} given @param {number} levels */
export function start(given, levels) {
  const one = end("start", given, "code", { code: REQUIRED, fed: false, times: 1 });
  bool("start fed", one.fed);
  whole("start times", one.times, 1, MAX_START);
  if (one.times > 1 && !one.fed) {
    throw new ModelFormatError(
      `start times must be 1 unless the code is fed, not ${one.times}`,
    );
  }
  whole("start code", one.code, 0, levels - 1);
  return one;
}

/** @param {unknown} given @param {number} levels @param {number} channels of a frame */
export function sampling(given, levels, channels) {
  const one = end("sampling", given, "draw", {
    ...{ temperature: 1, top_k: null, min_p: 0, voiced: null, quiet: null },
  });
  one.temperature = temperature(one.temperature);
  one.min_p = minP(one.min_p);
  if (one.top_k !== null) whole("top_k", one.top_k, 1, levels);
  if (one.voiced !== null) one.voiced = voiced(one.voiced, channels);
  if (one.quiet !== null) one.quiet = quiet(one.quiet, channels);
  return one;
}

/** @param {unknown} given @param {number} channels */
function voiced(given, channels) {
  const rule = fields("sampling voiced", given, {
    ...{ channel: REQUIRED, temperature: null, min_p: null },
  });
  checkChannel("voiced", rule.channel, channels);
  if (rule.temperature !== null) rule.temperature = temperature(rule.temperature);
  if (rule.min_p !== null) rule.min_p = minP(rule.min_p);
  if (rule.temperature === null && rule.min_p === null) {
    throw new ModelFormatError("sampling voiced needs a temperature or min_p, but has neither");
  }
  return rule;
}

/** @param {unknown} given @param {number} channels */
function quiet(given, channels) {
  const rule = fields("sampling quiet", given, { channel: REQUIRED, below: REQUIRED });
  checkChannel("quiet", rule.channel, channels);
  const most = Number.MAX_VALUE;
  const expected = "a finite number";
  rule.below = within("sampling quiet below", rule.below, -most, most, { expected });
  return rule;
}

/** @param {string} rule @param {unknown} channel @param {number} channels */
function checkChannel(rule, channel, channels) {
  const found = whole(`sampling ${rule} channel`, channel, 0, MAX_CHANNELS - 1);
  if (found >= channels) {
    throw new ModelFormatError(
      `sampling ${rule} channel must be below the ${channels} channels of the frames, not ${found}`,
    );
  }
}

// ---- conditioning ----

/** @param {unknown} given @param {number} sampleRate @returns {End|null} */
export function conditioning(given, sampleRate) {
  if (given === null) return null;
  const one = end("conditioning", given, "frames", {
    ...{ channels: 0, hop: 1, interpolation: "held", speakers: [], speaker_channels: 0 },
    ...{ features: null, pitch: null, upsampling: [], edges: "held" },
  });
  whole("conditioning channels", one.channels, 0, MAX_CHANNELS);
  whole("conditioning hop", one.hop, 1, MAX_HOP);
  whole("conditioning speaker_channels", one.speaker_channels, 0, MAX_CHANNELS);
  supported("conditioning interpolation", one.interpolation, ["held", "linear"]);
  checkSpeakers(one.speakers);
  one.features = features(one.features);
  one.pitch = pitch(one.pitch, one.features);
  supported("conditioning edges", one.edges, ["held", "zeros"]);
  one.upsampling = stages(one.upsampling);
  checkUpsampling(one);
  if (Boolean(one.speakers.length) !== Boolean(one.speaker_channels)) {
    throw new ModelFormatError(
      `conditioning needs speaker_channels where there are speakers, and only there: ` +
        `${one.speakers.length} speakers, ${one.speaker_channels} channels`,
    );
  }
  if (!one.channels && !one.speaker_channels) {
    throw new ModelFormatError("conditioning must have channels or speakers, or be null");
  }
  checkFeatures(one, sampleRate);
  return one;
}

/** @param {unknown} names */
function checkSpeakers(names) {
  const right =
    Array.isArray(names) &&
    names.length <= MAX_SPEAKERS &&
    names.every((n) => typeof n === "string" && n.length > 0 && [...n].length <= MAX_NAME);
  if (!right) {
    throw new ModelFormatError(
      `conditioning speakers must be at most ${MAX_SPEAKERS} names of 1 to ${MAX_NAME} ` +
        `characters, not ${shown(names)}`,
    );
  }
  if (new Set(names).size < names.length) {
    throw new ModelFormatError("conditioning speakers must have different names");
  }
}

/** @param {unknown} given */
function features(given) {
  if (isObject(given)) return checkedMel(given);
  if (given === null || typeof given === "string") return given;
  throw new ModelFormatError(
    `conditioning features must be a mel, a name or null, not ${shown(given)}`,
  );
}

/** @param {unknown} given @param {unknown} features @returns {End|null} */
function pitch(given, features) {
  if (given === null) return null;
  const one = fields("conditioning pitch", given, { fmin: 60, fmax: 500, hidden: 0 });
  one.fmin = within("pitch fmin", one.fmin, 10, MAX_PITCH);
  one.fmax = within("pitch fmax", one.fmax, 2 * one.fmin, 2 * MAX_PITCH);
  whole("pitch hidden", one.hidden, 0, MAX_CHANNELS);
  if (!isMel(features)) {
    throw new ModelFormatError("conditioning pitch needs features that are a mel");
  }
  return one;
}

/** @param {unknown} given @returns {End[]} */
function stages(given) {
  if (!Array.isArray(given) || given.length > MAX_STAGES) {
    throw new ModelFormatError(
      `conditioning upsampling must be a list of at most ${MAX_STAGES} stages, not ${shown(given)}`,
    );
  }
  return given.map(stage);
}

/** @param {unknown} given */
function stage(given) {
  const one = fields("upsampling", given, {
    ...{ channels: REQUIRED, kernel: REQUIRED, stride: 1, crop: 0 },
    ...{ activation: "none", bias: true, padding: "none" },
  });
  whole("upsampling channels", one.channels, 1, MAX_CHANNELS);
  whole("upsampling kernel", one.kernel, 1, MAX_HOP);
  whole("upsampling stride", one.stride, 1, MAX_HOP);
  whole("upsampling crop", one.crop, 0, MAX_HOP);
  if (one.kernel < one.stride + one.crop) {
    throw new ModelFormatError(
      `upsampling kernel must be at least stride + crop: kernel ${one.kernel}, ` +
        `stride ${one.stride}, crop ${one.crop}`,
    );
  }
  supported("upsampling activation", one.activation, ["none", "relu"]);
  supported("upsampling padding", one.padding, ["none", "zeros"]);
  bool("upsampling bias", one.bias);
  return one;
}

/** @param {End} one */
function checkUpsampling({ upsampling, channels, hop, edges }) {
  if (!upsampling.length && edges !== "held") {
    throw new ModelFormatError(`conditioning edges must be 'held' without upsampling`);
  }
  if (upsampling.length && upsampling[0].padding !== "none") {
    throw new ModelFormatError("upsampling padding of the first stage must be 'none', not 'zeros'");
  }
  if (upsampling.length && !channels) {
    throw new ModelFormatError("conditioning upsampling needs channels of frames, not 0");
  }
  const strides = upsampling.reduce((/** @type {number} */ product, /** @type {End} */ one) => {
    return product * one.stride;
  }, 1);
  if (hop % strides) {
    throw new ModelFormatError(
      `conditioning hop ${hop} must be a multiple of the product of the upsampling's strides, ` +
        `${strides}`,
    );
  }
}

/** @param {End} one @param {number} sampleRate */
function checkFeatures(one, sampleRate) {
  if (!isMel(one.features)) return;
  const { mels, hop, sample_rate: rate } = one.features;
  const expected = [mels + (one.pitch ? 3 : 0), hop, rate].join(", ");
  const found = [one.channels, one.hop, sampleRate].join(", ");
  if (found !== expected) {
    throw new ModelFormatError(
      `conditioning channels, hop and sample_rate (${found}) are not those of its features, ` +
        `(${expected})`,
    );
  }
}

/** Channels of the features that the layers take.  @param {End} one */
export function featureChannels(one) {
  return one.upsampling.length ? one.upsampling.at(-1).channels : one.channels;
}
