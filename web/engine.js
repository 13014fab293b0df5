/** The C engine as WebAssembly: csrc/fastwavenet.h, with its structures laid out for 32 bits.
 *
 * Synchronous, and without anything of a page: a worker uses it, and Node. */

import { Memory, OutOfMemory, Room } from "./memory.js";
import { PRECISIONS } from "./model_file.js";
import { PITCH_NETWORK, featureChannels } from "./ends.js";

const NO_MEMORY = -1;

export class EngineError extends Error {
  name = "EngineError";
}

/** Whether WebAssembly and its 128-bit vectors are there, by a function that returns one. */
export function hasSimd() {
  const probe = [
    ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0],
    ...[10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11],
  ];
  return typeof WebAssembly === "object" && WebAssembly.validate(new Uint8Array(probe));
}

export class Engine {
  /** @param {WebAssembly.Instance} instance */
  constructor(instance) {
    this.exports = /** @type {Record<string, any>} */ (instance.exports);
    this.exports._initialize?.();
    this.memory = new Memory(this.exports);
    this.isa = this.#bestIsa();
  }

  /** @param {BufferSource} bytes of fastwavenet.wasm */
  static async load(bytes) {
    const { instance } = await WebAssembly.instantiate(bytes, {});
    return new Engine(instance);
  }

  #bestIsa() {
    const most = 16;
    const list = this.memory.allocate(4 * most);
    const count = this.exports.fwn_isa_list(list, most);
    const isa = new Int32Array(this.memory.buffer, list, count)[count - 1];
    this.memory.free(list);
    return isa;
  }

  /** Name of the instruction set, "scalar" or "wasm". */
  get isaName() {
    return this.memory.text(this.exports.fwn_isa_name(this.isa));
  }

  /** Raises an error for a negative result of the engine.  @param {number} code */
  check(code) {
    if (code === 0) return;
    const text = this.memory.text(this.exports.fwn_strerror(code));
    throw code === NO_MEMORY ? new OutOfMemory(text) : new EngineError(text);
  }

  /**
   * A network in the engine's memory.  Throws an Error for one that is computed elsewhere only.
   * @param {import("./model_file.js").Contents} contents
   * @param {import("./model_file.js").Precision} precision
   */
  model(contents, precision) {
    refuseUnsupported(contents.spec);
    return new EngineModel(this, contents, precision);
  }
}

/** @param {import("./spec.js").Spec} spec */
function refuseUnsupported(spec) {
  if (spec.conditioning?.upsampling.length) {
    throw new Error("the model has learned upsampling, which is computed in Python and C only");
  }
  if (spec.start.times > 1) {
    throw new Error("the model feeds its start code several times, which Python and C do only");
  }
}

export class EngineModel {
  /**
   * @param {Engine} engine
   * @param {import("./model_file.js").Contents} contents
   * @param {import("./model_file.js").Precision} precision
   */
  constructor(engine, contents, precision) {
    this.engine = engine;
    this.spec = contents.spec;
    this.precision = precision;
    this.address = created(engine, (out) =>
      engine.memory.during((put) => {
        const tensors = describeTensors(contents, put);
        const spec = put(describeSpec(contents.spec, put));
        const number = PRECISIONS.indexOf(precision);
        const { fwn_model_create: create } = engine.exports;
        return create(spec, put(tensors), tensors.length / 7, number, out);
      }),
    );
  }

  stream() {
    return new Stream(this);
  }

  free() {
    this.engine.exports.fwn_model_destroy(this.address);
  }
}

/** The address that a function of the engine stores.
 * @param {Engine} engine @param {(out: number) => number} create returns the engine's code
 */
function created(engine, create) {
  const out = engine.memory.allocate(4);
  try {
    engine.check(create(out));
    return new Uint32Array(engine.memory.buffer, out, 1)[0];
  } finally {
    engine.memory.free(out);
  }
}

/** @typedef {(numbers: import("./memory.js").Numbers) => number} Put */

/** fwn_spec: 20 words.  @param {import("./spec.js").Spec} spec @param {Put} put */
function describeSpec(spec, put) {
  const end = spec.conditioning;
  return Uint32Array.from([
    ...[spec.levels, spec.residual, spec.dilation_channels, spec.skip, spec.head],
    ...[spec.input.taps, spec.dilations.length],
    ...[put(Uint32Array.from(spec.kernel)), put(Uint32Array.from(spec.dilations))],
    ...[spec.start.code, Number(spec.input.activation === "tanh")],
    ...[Number(spec.input.padding === "start"), put(describeCodec(spec.codec))],
    ...(end ? [featureChannels(end), end.hop, Number(end.interpolation === "linear")] : [0, 0, 0]),
    ...(end ? [end.speakers.length, end.speaker_channels] : [0, 0]),
    ...[0, 0], // no upsampling, which is refused
  ]);
}

/** fwn_tensor of each weight, 7 words: name, data, rank and up to 4 sides.
 * @param {import("./model_file.js").Contents} contents @param {Put} put
 */
function describeTensors({ weights, shapes }, put) {
  const ofEngine = [...shapes].filter(([name]) => !name.startsWith(PITCH_NETWORK));
  const words = ofEngine.flatMap(([name, shape]) => {
    const text = put(new TextEncoder().encode(`${name}\0`));
    const numbers = put(/** @type {Float32Array} */ (weights.get(name)));
    return [text, numbers, shape.length, ...shape, ...Array(4 - shape.length).fill(0)];
  });
  return Uint32Array.from(words);
}

// ---- streams ----

/**
 * @typedef {object} Run the arguments of a run of one row, as fwn_io
 * @property {number} n steps
 * @property {Uint16Array|null} [forced] codes that are given instead of drawn
 * @property {Float32Array|null} [frames] frames x channels
 * @property {number} [frameAt] samples from the first frame's begin to the run's first sample
 * @property {number|null} [speaker] its index
 * @property {number} [temperature]
 * @property {number} [topK] 0: all
 * @property {number} [minP]
 * @property {Float32Array|null} [frameTemperature] of each frame
 * @property {Float32Array|null} [frameMinP]
 * @property {boolean} [logits] whether they are returned, of all n samples
 */

const IO_BYTES = 80;

/** One voice of a network. */
export class Stream {
  /** @param {EngineModel} model */
  constructor(model) {
    const { engine } = model;
    this.model = model;
    this.engine = engine;
    this.address = created(engine, (out) =>
      engine.exports.fwn_stream_create(model.address, engine.isa, 1, 1, out),
    );
    this.rooms = Array.from({ length: 8 }, () => new Room(engine.memory));
    this.io = engine.memory.allocate(IO_BYTES);
  }

  /** Silence, and random numbers of the seed.  @param {bigint} seed @param {number} [id] */
  reset(seed, id = 0) {
    this.engine.check(this.engine.exports.fwn_stream_reset(this.address, 0, seed, id));
  }

  /** Replaces the start code.  @param {number} code */
  begin(code) {
    this.engine.check(this.engine.exports.fwn_stream_begin(this.address, 0, code));
  }

  /** Sets the sample from which pre-emphasis continues.  @param {number} audio */
  setLast(audio) {
    this.engine.check(this.engine.exports.fwn_stream_set_last(this.address, 0, audio));
  }

  /**
   * n samples, given or drawn.
   * @param {Run} run
   * @returns {{audio: Float32Array, logp: Float32Array, logits: Float32Array|null}}
   */
  run(run) {
    const { memory } = this.engine;
    const { levels } = this.model.spec;
    const [forced, frames, speaker, temperatures, minPs, audio, logp, logits] = this.rooms;
    const at = {
      forced: forced.holding(run.forced ?? null),
      frames: frames.holding(run.frames ?? null),
      speaker: run.speaker == null ? 0 : speaker.holding(Uint32Array.of(run.speaker)),
      temperatures: temperatures.holding(run.frameTemperature ?? null),
      minPs: minPs.holding(run.frameMinP ?? null),
      audio: audio.of(4 * run.n),
      logp: logp.of(4 * run.n),
      logits: run.logits ? logits.of(4 * run.n * levels) : 0,
    };
    this.#describe(run, at);
    this.engine.check(this.engine.exports.fwn_run(this.address, this.io));
    return {
      audio: memory.floats(at.audio, run.n),
      logp: memory.floats(at.logp, run.n),
      logits: run.logits ? memory.floats(at.logits, run.n * levels) : null,
    };
  }

  /** fwn_io.  @param {Run} run @param {Record<string, number>} at addresses */
  #describe(run, at) {
    const channels = this.model.spec.conditioning?.channels ?? 0;
    const io = new DataView(this.engine.memory.buffer, this.io, IO_BYTES);
    new Uint8Array(this.engine.memory.buffer, this.io, IO_BYTES).fill(0);
    /** @type {(offset: number, word: number) => void} */
    const set = (offset, word) => io.setUint32(offset, word, true);
    set(0, run.n);
    set(4, at.forced);
    set(8, at.frames);
    set(12, run.frames ? run.frames.length / channels : 0);
    io.setBigUint64(16, BigInt(run.frameAt ?? 0), true);
    set(24, at.speaker);
    io.setFloat32(28, run.temperature ?? 1, true);
    set(32, run.topK ?? 0);
    io.setFloat32(36, run.minP ?? 0, true);
    set(40, at.temperatures);
    set(44, at.minPs);
    set(64, at.audio);
    set(68, at.logp);
    set(72, at.logits);
  }

  /**
   * Codes of audio at the model's rate, with its codec.
   * @param {Float32Array} audio @param {number} before the sample before it
   * @returns {Uint16Array}
   */
  encode(audio, before) {
    const { memory, exports, isa } = this.engine;
    const { levels, codec } = this.model.spec;
    const wide = levels > 256;
    return memory.during((put) => {
      const numbers = put(describeCodec(codec));
      const samples = put(audio);
      const n = audio.length;
      if (codec.pre_emphasis) {
        this.engine.check(exports.fwn_pre_emphasis(numbers, samples, n, before, samples));
      }
      const codes = put(wide ? new Uint16Array(n) : new Uint8Array(n));
      const encoder = created(this.engine, (out) =>
        exports.fwn_mulaw_create(levels, numbers, out),
      );
      const code = exports.fwn_mulaw_encode_f32(encoder, isa, samples, n, codes, 0);
      exports.fwn_mulaw_destroy(encoder);
      this.engine.check(code);
      const kind = wide ? Uint16Array : Uint8Array;
      return Uint16Array.from(new kind(memory.buffer, codes, n));
    });
  }

  free() {
    for (const room of this.rooms) room.free();
    this.engine.memory.free(this.io);
    this.engine.exports.fwn_stream_destroy(this.address);
  }
}

/** fwn_codec.  @param {import("./ends.js").End} codec */
function describeCodec(codec) {
  return Float64Array.from([
    ...[codec.mu, codec.steps, codec.encode_offset, codec.decode_offset],
    ...[codec.decode_divisor, codec.pre_emphasis],
  ]);
}
