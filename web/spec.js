/** The sizes of a network and the names and shapes of its tensors, checked as by spec.py. */

import { ModelFormatError, REQUIRED, bool, fields, isObject, shown, whole } from "./checks.js";
import * as ends from "./ends.js";
import { upgraded } from "./older_specs.js";
import { isMel } from "./mel_convention.js";

const MAX_LEVELS = 65_536;
const MAX_CHANNELS = 4096;
const MAX_LAYERS = 512;
const MAX_KERNEL = 32;
const MAX_DILATION = 2 ** 20;
const MAX_SAMPLE_RATE = 768_000;
export const MAX_WEIGHT_BYTES = 2 ** 31;
const MAX_VOICE_BYTES = 2 ** 30;

// Sizes by which the engine allocates, as in csrc/model.c.
const CHANNELS = 16;
const LINE = 64;
const BLOCK = 64;
const TILE = 32;
const MORE_FRAMES = 2;
const AHEAD = 16;

/**
 * @typedef {object} Spec the network of a model file, all fields of docs/model-file.md
 * @property {number} sample_rate
 * @property {number} levels
 * @property {number} residual
 * @property {number} dilation_channels
 * @property {number} skip
 * @property {number} head
 * @property {number[]} dilations
 * @property {number[]} kernel
 * @property {boolean} bias
 * @property {ends.End} input
 * @property {ends.End|null} conditioning
 * @property {ends.End} output
 * @property {ends.End} codec
 * @property {ends.End} start
 * @property {ends.End} sampling
 */

/**
 * @param {unknown} given the JSON value `spec` of a file
 * @param {number} version of the file
 * @returns {Spec}
 * @throws {ModelFormatError} which names the field, the expected and the found value
 */
export function checkedSpec(given, version) {
  const spec = fields("spec", version < 3 ? upgraded(given) : given, {
    ...{ sample_rate: REQUIRED, levels: 256, residual: REQUIRED, dilation_channels: REQUIRED },
    ...{ skip: REQUIRED, head: REQUIRED, dilations: REQUIRED, kernel: 2, bias: true },
    ...{ input: { kind: "codes" }, conditioning: null, output: { kind: "softmax" } },
    ...{ codec: undefined, start: undefined, sampling: { kind: "draw" } },
  });
  checkSizes(spec);
  const { levels } = spec;
  spec.input = ends.input(spec.input);
  spec.conditioning = ends.conditioning(spec.conditioning, spec.sample_rate);
  spec.output = ends.output(spec.output);
  spec.codec = ends.codec(spec.codec === undefined ? symmetric(levels) : spec.codec, levels);
  const middle = { kind: "code", code: Math.floor(levels / 2) };
  spec.start = ends.start(spec.start === undefined ? middle : spec.start, levels);
  spec.sampling = ends.sampling(spec.sampling, levels, spec.conditioning?.channels ?? 0);
  checkMemory(/** @type {Spec} */ (spec));
  return /** @type {Spec} */ (spec);
}

/** The codec in which every code survives decoding and encoding.  @param {number} levels */
function symmetric(levels) {
  return { kind: "mu-law", mu: levels - 1, steps: levels - 1, decode_divisor: levels - 1 };
}

/** @param {Record<string, any>} spec */
function checkSizes(spec) {
  whole("sample_rate", spec.sample_rate, 1, MAX_SAMPLE_RATE);
  whole("levels", spec.levels, 2, MAX_LEVELS);
  for (const name of ["residual", "dilation_channels", "skip", "head"]) {
    whole(name, spec[name], 1, MAX_CHANNELS);
  }
  bool("bias", spec.bias);
  checkList("dilations", spec.dilations, 1, MAX_DILATION);
  if (!Array.isArray(spec.kernel)) spec.kernel = spec.dilations.map(() => spec.kernel);
  checkList("kernel", spec.kernel, 2, MAX_KERNEL);
  if (spec.kernel.length !== spec.dilations.length) {
    throw new ModelFormatError(
      `kernel must be one number or one per layer: ${spec.kernel.length} kernels for ` +
        `${spec.dilations.length} dilations`,
    );
  }
}

/** @param {string} name @param {unknown} values @param {number} low @param {number} high */
function checkList(name, values, low, high) {
  if (!Array.isArray(values) || values.length < 1 || values.length > MAX_LAYERS) {
    throw new ModelFormatError(
      `${name} must be a list of 1 to ${MAX_LAYERS} whole numbers, not ${shown(values)}`,
    );
  }
  for (const value of values) whole(`each of ${name}`, value, low, high);
}

/** @param {Spec} spec */
function checkMemory(spec) {
  const voice = voiceBytes(spec);
  if (voice > MAX_VOICE_BYTES) {
    throw new ModelFormatError(
      `a voice would take ${voice} bytes, more than ${MAX_VOICE_BYTES}: fewer or smaller layers ` +
        `or dilations are needed`,
    );
  }
  const packed = packedBytes(spec);
  if (packed > MAX_WEIGHT_BYTES) {
    throw new ModelFormatError(
      `the weights would take ${packed} bytes, more than ${MAX_WEIGHT_BYTES}: fewer or smaller ` +
        `layers are needed`,
    );
  }
}

// ---- derived numbers ----

/** @param {number} size */
const padded = (size) => Math.ceil(size / CHANNELS) * CHANNELS;
/** @param {number} size */
const lines = (size) => Math.ceil(size / LINE) * LINE;
/** @param {number} channels */
const rowBytes = (channels) => Math.max(4 * channels, 2 * lines(channels) + 4);
/** @param {number[]} numbers */
const sum = (numbers) => numbers.reduce((total, one) => total + one, 0);
/** @param {Spec} spec */
const past = (spec) => spec.kernel.map((k, layer) => (k - 1) * spec.dilations[layer]);
/** @param {Spec} spec */
const paddedSizes = (spec) =>
  [spec.residual, spec.dilation_channels, spec.skip, spec.head, spec.levels].map(padded);
/** Channels of features and of a speaker together.  @param {ends.End} end */
const inputs = (end) => ends.featureChannels(end) + end.speaker_channels;

/** Samples that can influence one output, the newest included.  @param {Spec} spec */
export function receptiveField(spec) {
  return spec.input.taps + sum(past(spec));
}

/** Bytes of the packed weights, at most.  @param {Spec} spec */
function packedBytes(spec) {
  const [r, d, s, h, q] = paddedSizes(spec);
  const layers = spec.dilations.length;
  let numbers = spec.input.taps * (spec.levels + 1) * r + r;
  numbers += 2 * d * (sum(spec.kernel) * r + layers) + (layers - 1) * r * (d + 1);
  numbers += layers * s * (d + 1) + h * (s + 1) + q * (h + 1);
  if (spec.conditioning) numbers += conditioningNumbers(spec.conditioning, layers, d);
  return 4 * numbers + 16 * LINE;
}

/** @param {ends.End} end @param {number} layers @param {number} d */
function conditioningNumbers(end, layers, d) {
  let numbers = layers * 2 * d * (padded(inputs(end)) + 1);
  numbers += end.speakers.length * padded(end.speaker_channels);
  let channels = end.channels;
  for (const stage of end.upsampling) {
    const before = Math.floor((stage.kernel - 1 - stage.crop) / stage.stride);
    const after = Math.floor((stage.stride - 1 + stage.crop) / stage.stride);
    numbers += padded(stage.stride * stage.channels) * ((before + 1 + after) * channels + 1);
    channels = stage.channels;
  }
  return numbers;
}

/** Bytes of one generated voice, at most.  @param {Spec} spec */
function voiceBytes(spec) {
  const [r, d, s, h, q] = paddedSizes(spec);
  const layers = spec.dilations.length;
  const gates = layers * d;
  const slots = sum(past(spec)) + layers * BLOCK;
  const ahead = sum(spec.dilations.map((dilation) => Math.min(dilation, AHEAD)));
  let row = 4 * (r + 2 * d + s + h + q) + Math.max(4 * gates, lines(gates) + LINE);
  row += 3 * (rowBytes(s) + rowBytes(h));
  let frames = 0;
  if (spec.conditioning) {
    const n = BLOCK + MORE_FRAMES;
    frames = layers * n * 8 * d + (n + TILE + 1) * rowBytes(padded(inputs(spec.conditioning)));
  }
  const small = (8 * layers + 64) * LINE;
  return slots * rowBytes(r) + ahead * 8 * d + (BLOCK + TILE) * row + frames + small;
}

/**
 * Name -> shape of every tensor, in order.
 * @param {Spec} spec
 * @returns {Map<string, number[]>}
 */
export function tensors(spec) {
  const { levels: q, residual: r, dilation_channels: d, skip: s, head: h } = spec;
  /** @type {[string, number[]][]} */
  const all = [["first.weight", [spec.input.taps, q, r]], ["first.bias", [r]]];
  spec.dilations.forEach((_, layer) => all.push(...layerTensors(spec, layer)));
  if (spec.conditioning) all.push(...conditioningTensors(spec, spec.conditioning));
  all.push(["head.hidden.weight", [h, s, 1]], ["head.hidden.bias", [h]]);
  all.push(["head.output.weight", [q, h, 1]], ["head.output.bias", [q]]);
  const kept = all.filter(
    ([name]) => spec.bias || name.endsWith(".weight") || name.startsWith(ends.PITCH_NETWORK),
  );
  return new Map(kept);
}

/** @param {Spec} spec @param {number} layer @returns {[string, number[]][]} */
function layerTensors(spec, layer) {
  const { residual: r, dilation_channels: d, skip: s } = spec;
  const prefix = `layers.${layer}`;
  /** @type {[string, number[]][]} */
  const shapes = [
    [`${prefix}.dilated.weight`, [2 * d, r, spec.kernel[layer]]],
    [`${prefix}.dilated.bias`, [2 * d]],
  ];
  if (layer + 1 < spec.dilations.length) {
    shapes.push([`${prefix}.residual.weight`, [r, d, 1]], [`${prefix}.residual.bias`, [r]]);
  }
  return [...shapes, [`${prefix}.skip.weight`, [s, d, 1]], [`${prefix}.skip.bias`, [s]]];
}

/** @param {Spec} spec @param {ends.End} end @returns {[string, number[]][]} */
function conditioningTensors(spec, end) {
  /** @type {[string, number[]][]} */
  const shapes = [];
  if (end.speakers.length) {
    shapes.push(["conditioning.speakers.weight", [end.speakers.length, end.speaker_channels]]);
  }
  let channels = end.channels;
  end.upsampling.forEach((/** @type {ends.End} */ stage, /** @type {number} */ number) => {
    const name = `conditioning.upsampling.${number}`;
    const sides = stage.stride === 1 ? [stage.channels, channels] : [channels, stage.channels];
    shapes.push([`${name}.weight`, [...sides, stage.kernel]]);
    if (stage.bias) shapes.push([`${name}.bias`, [stage.channels]]);
    channels = stage.channels;
  });
  spec.dilations.forEach((_, layer) => {
    const shape = [2 * spec.dilation_channels, inputs(end), 1];
    shapes.push([`layers.${layer}.conditioning.weight`, shape]);
  });
  return [...shapes, ...pitchTensors(end)];
}

/** Of the network that predicts pitch.  @param {ends.End} end @returns {[string, number[]][]} */
function pitchTensors(end) {
  if (!isMel(end.features) || !isObject(end.pitch) || !end.pitch.hidden) return [];
  const hidden = Number(end.pitch.hidden);
  const sides = [end.features.mels, hidden, hidden, 3];
  return ends.PITCH_KERNELS.flatMap((kernel, layer) => {
    const [from, to] = sides.slice(layer, layer + 2);
    const name = `${ends.PITCH_NETWORK}.${layer}`;
    /** @type {[string, number[]][]} */
    const both = [[`${name}.weight`, [to, from, kernel]], [`${name}.bias`, [to]]];
    return both;
  });
}
