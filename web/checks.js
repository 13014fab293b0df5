/** Checks of values and of the names of fields; the messages: name, expected, found. */

/** A file or a set of weights is not a fastwavenet model: the expected and the found. */
export class ModelFormatError extends Error {
  name = "ModelFormatError";
}

/** A number of JSON with a point or an exponent, which is no whole number even if it is 16000.0. */
export class Float {
  /** @param {number} value */
  constructor(value) {
    this.value = value;
  }
}

const MOST = 80; // characters of a value in a message

/**
 * A foreign value in a message: one printable line, shortened.
 * @param {unknown} value
 */
export function shown(value) {
  if (Array.isArray(value) && value.length > MOST) return `a list of ${value.length} items`;
  const text = [...written(value)].map(printable).join("");
  return text.length <= MOST ? text : text.slice(0, MOST - 3) + "...";
}

/** @param {unknown} value */
function written(value) {
  if (value instanceof Float) return String(value.value);
  if (typeof value === "number") return String(value);
  if (value === undefined) return "nothing";
  try {
    return JSON.stringify(value, (_, part) => (part instanceof Float ? part.value : part)) ?? "?";
  } catch {
    return "a value"; // of more levels than can be written
  }
}

/** Characters that break lines, hide or turn the writing direction become escapes.
 * @param {string} character
 */
function printable(character) {
  if (!/\p{C}|\p{Zl}|\p{Zp}/u.test(character)) return character;
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}

/**
 * @param {string} name @param {unknown} value @param {number} low @param {number} high
 * @returns {number}
 */
export function whole(name, value, low, high) {
  if (typeof value !== "number" || !Number.isInteger(value) || value < low || value > high) {
    throw new ModelFormatError(
      `${name} must be a whole number from ${low} to ${high}, not ${shown(value)}`,
    );
  }
  return value;
}

/**
 * A number from `low` to `high`; with `zero` also 0.
 * @param {string} name @param {unknown} value @param {number} low @param {number} high
 * @param {{zero?: boolean, expected?: string}} [options]
 */
export function within(name, value, low, high, { zero = false, expected } = {}) {
  const found = value instanceof Float ? value.value : value;
  if (typeof found !== "number") {
    throw new ModelFormatError(`${name} must be a number, not ${shown(value)}`);
  }
  if (!(found >= low && found <= high) && !(zero && found === 0)) {
    throw new ModelFormatError(
      `${name} must be ${expected ?? `from ${low} to ${high}`}, not ${shown(value)}`,
    );
  }
  return found;
}

/** A temperature: 0, or 0.001 to 1000.  @param {unknown} value */
export function temperature(value) {
  const expected = "0 (always the most probable) or from 0.001 to 1000";
  return within("temperature", value, 1e-3, 1e3, { zero: true, expected });
}

/** A fraction of the largest probability.  @param {unknown} value */
export function minP(value) {
  return within("min_p", value, 0, 1);
}

/** @param {string} name @param {unknown} value */
export function bool(name, value) {
  if (typeof value !== "boolean") {
    throw new ModelFormatError(`${name} must be true or false, not ${shown(value)}`);
  }
  return value;
}

/** One of the names that this version computes.
 * @param {string} name @param {unknown} value @param {readonly unknown[]} known
 */
export function supported(name, value, known) {
  if (known.includes(value)) return value;
  const expected = known.map((one) => JSON.stringify(one)).join(" or ");
  throw new ModelFormatError(
    `${name} ${shown(value)} is not supported by this version, only ${expected}`,
  );
}

/** Marks a field without a default. */
export const REQUIRED = Symbol("required");

/**
 * The fields of a JSON object, absent ones by their defaults.
 * @param {string} name of the object @param {unknown} given
 * @param {Record<string, unknown>} defaults every field; REQUIRED: it has no default
 * @returns {Record<string, any>}
 */
export function fields(name, given, defaults) {
  if (!isObject(given)) {
    throw new ModelFormatError(`${name} must be a JSON object, not ${shown(given)}`);
  }
  for (const field of Object.keys(given)) {
    if (!Object.hasOwn(defaults, field)) {
      throw new ModelFormatError(`unknown ${name} field ${shown(field)}`);
    }
  }
  return Object.fromEntries(
    Object.entries(defaults).map(([field, value]) => {
      if (Object.hasOwn(given, field)) return [field, given[field]];
      if (value === REQUIRED) throw new ModelFormatError(`${name} field '${field}' is missing`);
      return [field, value];
    }),
  );
}

/** Whether it is an object of JSON, neither null nor a list nor a number.
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isObject(value) {
  const other = value === null || Array.isArray(value) || value instanceof Float;
  return typeof value === "object" && !other;
}
