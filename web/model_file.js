/** The bytes of a model file -> spec and weights.  Everything in them is checked here, as strictly
 * as by modelfile.py, and before anything is allocated by a number from the file. */

import { Float, ModelFormatError, isObject, shown } from "./checks.js";
import { parseObject } from "./json.js";
import { MAX_WEIGHT_BYTES, checkedSpec, tensors } from "./spec.js";

const VERSION = 3;
const MAX_HEADER_BYTES = 2 ** 20;
const KEY = "fastwavenet";
const CHECKPOINT_KEY = "fastwavenet.training";
const AFFORDABLE = 0.002; // nats per sample, up to which "auto" takes a smaller precision
export const MAX_FILE_BYTES = 8 + MAX_HEADER_BYTES + MAX_WEIGHT_BYTES;
// By number.
export const PRECISIONS = /** @type {const} */ ([
  "float32",
  "bfloat16",
  "int8",
  "bfloat16x16",
  "int8x8",
]);
/** @type {readonly string[]} */
const ONLY_BY_NAME = ["bfloat16x16", "int8x8"]; // "auto" never takes them

/** @typedef {typeof PRECISIONS[number]} Precision */

/**
 * @typedef {object} Contents of a model file
 * @property {import("./spec.js").Spec} spec
 * @property {Map<string, Float32Array>} weights views of the file's bytes, in the spec's order
 * @property {Map<string, number[]>} shapes
 * @property {Record<string, number>} precisionCost precision -> nats per sample above float32
 */

/**
 * @param {ArrayBuffer} data a file's bytes
 * @returns {Contents}
 * @throws {ModelFormatError} which names the expected and the found
 */
export function parseModel(data) {
  const header = parseHeader(data);
  const about = parseAbout(header);
  const spec = checkedSpec(about.spec, about.version);
  const precisionCost = parseCost(about);
  const shapes = tensors(spec);
  const weights = parseTensors(shapes, header, data.slice(headerEnd(data)));
  for (const [name, numbers] of weights) checkFinite(name, numbers);
  return { spec, weights, shapes, precisionCost };
}

/**
 * The precision itself, or for "auto" the smallest that costs at most 0.002 nats a sample.
 * @param {string} name @param {Record<string, number>} cost
 * @returns {Precision}
 */
export function resolvePrecision(name, cost) {
  const found = PRECISIONS.find((one) => one === name);
  if (found) return found;
  if (name !== "auto") {
    throw new RangeError(
      `precision must be one of auto, ${PRECISIONS.join(", ")}, not ${shown(name)}`,
    );
  }
  const settled = PRECISIONS.filter((one) => !ONLY_BY_NAME.includes(one));
  return settled.findLast((one) => one in cost && cost[one] <= AFFORDABLE) ?? "float32";
}

/** @param {ArrayBuffer} data */
function headerEnd(data) {
  return 8 + Number(new DataView(data).getBigUint64(0, true));
}

/** @param {ArrayBuffer} data */
function parseHeader(data) {
  const size = data.byteLength;
  if (size > MAX_FILE_BYTES) {
    throw new ModelFormatError(`the file is larger than ${MAX_FILE_BYTES} bytes`);
  }
  if (size < 8 || headerEnd(data) > Math.min(8 + MAX_HEADER_BYTES, size)) {
    throw new ModelFormatError(
      `not a model file, or a truncated one: ${size} bytes without a whole header`,
    );
  }
  const bytes = new Uint8Array(data, 8, headerEnd(data) - 8);
  return parseObject(decoded(bytes), "header");
}

/** @param {Uint8Array} bytes */
function decoded(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ModelFormatError("the header is not valid JSON");
  }
}

/** Our entry in the header, of a supported version.  @param {Record<string, any>} header */
function parseAbout(header) {
  const metadata = Object.hasOwn(header, "__metadata__") ? header.__metadata__ : null;
  if (isObject(metadata) && Object.hasOwn(metadata, CHECKPOINT_KEY)) {
    throw new ModelFormatError(
      "a checkpoint of a training run, expected a model file: take model.safetensors, " +
        "which lies beside it",
    );
  }
  if (!isObject(metadata) || !Object.hasOwn(metadata, KEY)) {
    throw new ModelFormatError(
      `the metadata has no '${KEY}' entry: not a fastwavenet model`,
    );
  }
  if (!Object.values(metadata).every((text) => typeof text === "string")) {
    throw new ModelFormatError("not a valid safetensors file: its metadata must be strings");
  }
  const about = parseObject(/** @type {string} */ (metadata[KEY]), `'${KEY}' metadata`);
  checkVersion(about.version);
  return about;
}

/** @param {unknown} version */
function checkVersion(version) {
  if (typeof version !== "number" || !Number.isInteger(version) || version < 1) {
    throw new ModelFormatError(`version must be a whole number from 1, not ${shown(version)}`);
  }
  if (version > VERSION) {
    throw new ModelFormatError(
      `the file has format version ${version}; this fastwavenet reads up to ${VERSION}: upgrade it`,
    );
  }
}

/** Version 2 named it "loss"; version 1 had none.
 * @param {Record<string, any>} about
 * @returns {Record<string, number>}
 */
function parseCost(about) {
  if (about.version === 1) return {};
  const name = about.version === 2 ? "loss" : "precision_cost";
  const cost = Object.hasOwn(about, name) ? about[name] : {};
  if (!isObject(cost)) {
    throw new ModelFormatError(`precision_cost must map precisions to numbers, not ${shown(cost)}`);
  }
  return Object.fromEntries(Object.entries(cost).map(checkedCost));
}

/** @param {[string, unknown]} entry @returns {[string, number]} */
function checkedCost([name, nats]) {
  const expected = PRECISIONS.slice(1);
  if (!expected.some((one) => one === name)) {
    throw new ModelFormatError(
      `precision_cost of ${shown(name)}: expected ${expected.join(" or ")}`,
    );
  }
  const number = nats instanceof Float ? nats.value : nats;
  if (typeof number !== "number" || !Number.isFinite(number)) {
    throw new ModelFormatError(
      `precision_cost of ${name} must be a finite number, not ${shown(nats)}`,
    );
  }
  return [name, number];
}

/** Views of the tensors' bytes, after all names, dtypes, shapes and places.
 * @param {Map<string, number[]>} shapes @param {Record<string, any>} header
 * @param {ArrayBuffer} bytes behind the header
 */
function parseTensors(shapes, header, bytes) {
  checkNames(shapes, header);
  const places = [...shapes].map(([name, shape]) => place(name, header[name], shape));
  let at = 0;
  for (const [begin, end] of [...places].sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (begin !== at) {
      throw new ModelFormatError(
        `not a valid safetensors file: a tensor begins at byte ${begin}, not at ${at}`,
      );
    }
    at = end;
  }
  if (at !== bytes.byteLength) {
    throw new ModelFormatError(
      `not a valid safetensors file: ${at} bytes of tensors expected, ${bytes.byteLength} found`,
    );
  }
  /** @type {[string, Float32Array][]} */
  const views = [...shapes.keys()].map((name, i) => {
    const [begin, end] = places[i];
    return [name, new Float32Array(bytes, begin, (end - begin) / 4)];
  });
  return new Map(views);
}

/** @param {Map<string, number[]>} shapes @param {Record<string, any>} header */
function checkNames(shapes, header) {
  for (const name of Object.keys(header)) {
    if (name !== "__metadata__" && !shapes.has(name)) {
      throw new ModelFormatError(`unexpected tensor ${shown(name)}: the spec has none`);
    }
  }
  for (const [name, shape] of shapes) {
    if (!Object.hasOwn(header, name)) {
      throw new ModelFormatError(`tensor '${name}' of shape (${shape.join(", ")}) is missing`);
    }
  }
}

/** Begin and end of a tensor that is of this shape in float32.
 * @param {string} name @param {unknown} entry @param {number[]} shape
 * @returns {[number, number]}
 */
function place(name, entry, shape) {
  const { dtype, shape: sides, data_offsets: offsets } = isObject(entry) ? entry : {};
  if (dtype !== "F32") {
    throw new ModelFormatError(`tensor '${name}' must be F32, not ${shown(dtype)}`);
  }
  if (!wholes(sides) || sides.join() !== shape.join()) {
    throw new ModelFormatError(
      `tensor '${name}' must have shape (${shape.join(", ")}), not ${shown(sides)}`,
    );
  }
  const size = 4 * shape.reduce((product, side) => product * side, 1);
  if (!wholes(offsets) || offsets.length !== 2 || offsets[1] - offsets[0] !== size) {
    throw new ModelFormatError(`tensor '${name}' must take ${size} bytes, not ${shown(offsets)}`);
  }
  return [offsets[0], offsets[1]];
}

/** @param {unknown} numbers @returns {numbers is number[]} */
function wholes(numbers) {
  return Array.isArray(numbers) && numbers.every(Number.isSafeInteger);
}

/** @param {string} name @param {Float32Array} numbers */
function checkFinite(name, numbers) {
  if (!numbers.every(Number.isFinite)) {
    throw new ModelFormatError(`tensor '${name}' must be finite, but holds NaN or infinity`);
  }
}
