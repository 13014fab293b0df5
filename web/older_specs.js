/** Specs of model files of format versions 1 and 2, in the form of version 3. */

import { ModelFormatError, isObject, shown } from "./checks.js";

const SIZES = [
  ...["sample_rate", "levels", "residual", "dilation_channels", "skip", "head", "dilations"],
  ...["kernel", "bias"],
];
const CODEC = ["mu", "encode_offset", "decode_offset", "decode_divisor"];
const ONLY = { input: "codes", output: "softmax", start_state: "zeros" };
const OTHERS = ["first_kernel", "start_code", "codec", "conditioning"];

/**
 * Anything but a JSON object is returned as it is, to be refused by the caller.
 * @param {unknown} given the JSON value `spec` of an older file
 * @throws {ModelFormatError} naming a field or a kind that those versions lack
 */
export function upgraded(given) {
  if (!isObject(given)) return given;
  checkNames(given);
  /** @type {Record<string, unknown>} */
  const spec = {};
  for (const name of SIZES) if (Object.hasOwn(given, name)) spec[name] = given[name];
  if (Object.hasOwn(given, "first_kernel")) {
    spec.input = { kind: "codes", taps: given.first_kernel };
  }
  if (Object.hasOwn(given, "start_code")) spec.start = { kind: "code", code: given.start_code };
  if (Object.hasOwn(given, "codec")) spec.codec = codec(given.codec);
  return spec;
}

/** @param {Record<string, unknown>} given */
function checkNames(given) {
  for (const [name, known] of Object.entries(ONLY)) {
    if (Object.hasOwn(given, name) && given[name] !== known) {
      throw new ModelFormatError(
        `${name} ${shown(given[name])} is not supported by this version, only '${known}'`,
      );
    }
  }
  if (Object.hasOwn(given, "conditioning") && given.conditioning !== null) {
    throw new ModelFormatError(
      `conditioning ${shown(given.conditioning)} is not supported by this version`,
    );
  }
  const known = [...SIZES, ...Object.keys(ONLY), ...OTHERS];
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new ModelFormatError(`unknown spec field ${shown(unknown)}`);
}

/** Those versions had mu steps: four numbers described a codec.  @param {unknown} given */
function codec(given) {
  if (!isObject(given)) return given;
  const unknown = Object.keys(given).find((name) => !CODEC.includes(name));
  if (unknown !== undefined) throw new ModelFormatError(`unknown codec field ${shown(unknown)}`);
  const steps = Object.hasOwn(given, "mu") ? { steps: given.mu } : {};
  return { kind: "mu-law", ...given, ...steps };
}
