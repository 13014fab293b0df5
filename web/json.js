/** JSON in which 16000.0 is told from 16000: the sizes of a model file are whole numbers. */

import { Float, ModelFormatError, isObject } from "./checks.js";

const MARK = "\u0000float"; // of an object that stands for a number with a point or an exponent
const TOKENS = /"(?:[^"\\]|\\.)*"|-?Infinity|NaN|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * The object that a text of JSON holds; numbers with a point or an exponent become `Float`, and so
 * do NaN and Infinity, which Python's json writes.
 * @param {string} text @param {string} of for messages
 * @returns {Record<string, any>}
 * @throws {ModelFormatError}
 */
export function parseObject(text, of) {
  const value = parse(text, of);
  if (!isObject(value)) {
    throw new ModelFormatError(`the ${of} must be a JSON object, not ${kind(value)}`);
  }
  return value;
}

/** @param {string} text @param {string} of */
function parse(text, of) {
  try {
    return JSON.parse(text.replace(TOKENS, marked), (_, value) =>
      isObject(value) && Object.hasOwn(value, MARK) ? new Float(Number(value[MARK])) : value,
    );
  } catch {
    throw new ModelFormatError(`the ${of} is not valid JSON`);
  }
}

/** @param {string} token */
function marked(token) {
  if (token[0] === '"' || /^-?\d+$/.test(token)) return token;
  return JSON.stringify({ [MARK]: token });
}

/** @param {unknown} value */
function kind(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return value instanceof Float ? "number" : typeof value;
}
