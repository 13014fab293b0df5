/** A model of a page: the file, checked, and a worker with the engine that runs it. */

import { checkSize, readAll, unpacked } from "./bytes.js";
import { ModelFormatError } from "./checks.js";
import { MAX_FILE_BYTES } from "./model_file.js";

const ENGINE = new URL("./fastwavenet.wasm", import.meta.url).href;

/**
 * Reads a model and starts its worker.
 * @param {string|URL|Blob|ArrayBuffer} source a URL, a file, or its bytes; gzip is decompressed
 * @param {object} [options]
 * @param {"auto"|"float32"|"bfloat16"|"int8"|"bfloat16x16"|"int8x8"} [options.precision] of the products; auto: the smallest
 * that the file affords, as in Python
 * @param {number} [options.maxBytes] of the file; a larger one is refused before it is read
 * @param {string} [options.engine] URL of fastwavenet.wasm; else it lies beside this file
 * @param {(done: number, total: number|null) => void} [options.progress] bytes read
 * @returns {Promise<Model>}
 * @throws {ModelFormatError} for a file that is no model; Error for one that cannot be read or run
 */
export async function loadModel(
  source,
  { precision = "auto", maxBytes = MAX_FILE_BYTES, engine = ENGINE, progress = () => {} } = {},
) {
  const data = await unpacked(await bytesOf(source, maxBytes, progress), maxBytes);
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const model = new Model(worker);
  try {
    const known = await model.call("load", { data, engine, precision }, [data]);
    return Object.assign(model, known);
  } catch (error) {
    model.close();
    throw error;
  }
}

/** @param {string|URL|Blob|ArrayBuffer} source @param {number} maxBytes
 * @param {(done: number, total: number|null) => void} progress
 */
async function bytesOf(source, maxBytes, progress) {
  if (source instanceof ArrayBuffer) return checkedSize(source, maxBytes);
  if (source instanceof Blob) {
    checkSize(source.size, maxBytes);
    return source.arrayBuffer();
  }
  const response = await fetch(source).catch(() => null);
  if (!response?.ok) {
    const found = response ? `HTTP ${response.status}` : "no answer";
    throw new Error(`cannot read ${source}: ${found}`);
  }
  return readAll(response, maxBytes, progress);
}

/** @param {ArrayBuffer} data @param {number} maxBytes */
function checkedSize(data, maxBytes) {
  checkSize(data.byteLength, maxBytes);
  return data;
}

/** @typedef {import("./voice.js").Sampling} Sampling */

/**
 * @typedef {object} GenerateOptions
 * @property {number} [samples] left out: as many as the frames last
 * @property {number|bigint} [seed] 0 to 2^64 - 1; 0
 * @property {Sampling} [sampling] how codes are drawn
 * @property {Float32Array} [frames] n x channels, for models that take frames
 * @property {Float32Array} [prime] audio at the model's rate, after which the sound continues; frame
 * 0 begins at its first sample
 * @property {number|string} [speaker] for a model with speakers
 */

export class Model {
  /** @type {import("./spec.js").Spec} */
  // @ts-ignore: set by loadModel before anybody has the model
  spec;
  /** @type {"float32"|"bfloat16"|"int8"|"bfloat16x16"|"int8x8"} */
  precision = "float32";
  /** @type {Record<string, number>} */
  precisionCost = {};
  /** The engine's instruction set. */
  isa = "";

  /** @param {Worker} worker */
  constructor(worker) {
    this.worker = worker;
    this.answers = new Map();
    this.calls = 0;
    /** Takes the messages of a sound that is played. @type {(message: any) => void} */
    this.listener = () => {};
    worker.onmessage = ({ data }) => (data.type === "result" ? this.#answer(data) : this.listener(data));
    worker.onerror = (event) => this.#fail(event);
  }

  /** Hz of the audio that it generates. */
  get sampleRate() {
    return this.spec.sample_rate;
  }

  /**
   * Samples, as `fastwavenet.generate` makes them in Python for the same arguments.
   * @param {GenerateOptions} [options]
   * @returns {Promise<Float32Array>} in [-1, 1]
   */
  async generate(options = {}) {
    if (options.samples === undefined && !options.frames) {
      throw new RangeError("samples must be given for a model without frames");
    }
    return this.call("generate", withDefaults(options));
  }

  /**
   * The frames of a recording, for a vocoder.
   * @param {Float32Array} audio at the model's rate
   * @returns {Promise<Float32Array>} frames x channels, a frame for each whole hop
   */
  recordingFrames(audio) {
    return this.call("frames", { audio });
  }

  /**
   * A vocoder's sound brought nearer to the mel frames that it was made of: with less noise.
   * @param {Float32Array} audio frames x hop samples @param {Float32Array} frames
   * @returns {Promise<Float32Array>}
   */
  matched(audio, frames) {
    return this.call("match", { audio, frames });
  }

  /**
   * A vocoder's sound of a recording, matched to its mel frames.
   * @param {Float32Array} audio at the model's rate @param {GenerateOptions} [options]
   */
  async vocode(audio, options = {}) {
    const frames = await this.recordingFrames(audio);
    return this.matched(await this.generate({ ...options, frames }), frames);
  }

  /** Ends the worker and frees its memory. */
  close() {
    this.worker.terminate();
    this.#fail(new ErrorEvent("error", { message: "the model is closed" }));
  }

  /** A call of the worker, and its result.
   * @param {string} type @param {object} message @param {Transferable[]} [transferred]
   * @returns {Promise<any>}
   */
  call(type, message, transferred = []) {
    const id = (this.calls += 1);
    return new Promise((resolve, reject) => {
      this.answers.set(id, { resolve, reject });
      this.worker.postMessage({ ...message, type, id }, transferred);
    });
  }

  /** A message without an answer.
   * @param {string} type @param {object} [message] @param {Transferable[]} [transferred]
   */
  post(type, message = {}, transferred = []) {
    this.worker.postMessage({ ...message, type }, transferred);
  }

  /** @param {{id: number, result: any, error?: {name: string, message: string}}} data */
  #answer({ id, result, error }) {
    const { resolve, reject } = this.answers.get(id);
    this.answers.delete(id);
    if (error) reject(asError(error));
    else resolve(result);
  }

  /** @param {ErrorEvent} event */
  #fail(event) {
    event.preventDefault?.();
    const error = new Error(event.message || "the worker could not be started");
    for (const { reject } of this.answers.values()) reject(error);
    this.answers.clear();
  }
}

/**
 * @template {{seed?: number|bigint, speaker?: number|string}} T
 * @param {T} options
 */
export function withDefaults(options) {
  return { ...options, seed: options.seed ?? 0, speaker: options.speaker ?? null };
}

/** @param {{name: string, message: string}} error of the worker */
export function asError({ name, message }) {
  if (name === "ModelFormatError") return new ModelFormatError(message);
  return Object.assign(name === "RangeError" ? new RangeError(message) : new Error(message), { name });
}
