/** fastwavenet in a page: load a model, generate, play.  README.md describes it. */

export type Precision = "float32" | "bfloat16" | "int8" | "bfloat16x16" | "int8x8";

/** How codes are drawn; what is left out or null is the model's own. */
export interface Sampling {
  /** 0: the most probable; else 0.001 to 1000 */
  temperature?: number | null;
  /** 1 to levels */
  topK?: number | null;
  /** 0 to 1 */
  minP?: number | null;
}

/** The network, all fields of docs/model-file.md. */
export interface Spec {
  readonly sample_rate: number;
  readonly levels: number;
  readonly residual: number;
  readonly dilation_channels: number;
  readonly skip: number;
  readonly head: number;
  readonly dilations: readonly number[];
  readonly kernel: readonly number[];
  readonly bias: boolean;
  readonly input: Readonly<Record<string, unknown>>;
  readonly conditioning: Readonly<Record<string, unknown>> | null;
  readonly output: Readonly<Record<string, unknown>>;
  readonly codec: Readonly<Record<string, unknown>>;
  readonly start: Readonly<Record<string, unknown>>;
  readonly sampling: Readonly<Record<string, unknown>>;
}

interface Common {
  /** 0 to 2^64 - 1; 0 */
  seed?: number | bigint;
  sampling?: Sampling;
  /** audio at the model's rate, after which the sound continues */
  prime?: Float32Array;
  speaker?: number | string;
}

export interface GenerateOptions extends Common {
  /** left out: as many as the frames last */
  samples?: number;
  /** frames x channels */
  frames?: Float32Array;
}

export interface PlayOptions extends Common {
  /** pieces of frames x channels, taken as they are needed */
  frames?: Iterable<Float32Array>;
  /** seconds of sound that are made before the first is heard */
  lead?: number;
}

export interface LoadOptions {
  precision?: Precision | "auto";
  maxBytes?: number;
  /** URL of fastwavenet.wasm; else it lies beside the package */
  engine?: string;
  progress?: (done: number, total: number | null) => void;
}

/** A file is not a fastwavenet model: the expected and the found. */
export class ModelFormatError extends Error {}

export class Model {
  private constructor();
  readonly spec: Spec;
  readonly precision: Precision;
  readonly precisionCost: Readonly<Record<string, number>>;
  /** the engine's instruction set */
  readonly isa: string;
  /** Hz */
  readonly sampleRate: number;
  generate(options?: GenerateOptions): Promise<Float32Array>;
  recordingFrames(audio: Float32Array): Promise<Float32Array>;
  matched(audio: Float32Array, frames: Float32Array): Promise<Float32Array>;
  vocode(audio: Float32Array, options?: GenerateOptions): Promise<Float32Array>;
  close(): void;
}

export function loadModel(
  source: string | URL | Blob | ArrayBuffer,
  options?: LoadOptions,
): Promise<Model>;

/** Samples that were made, before they are heard. */
export interface Block {
  audio: Float32Array;
  /** of each sample, in nats, at temperature 1 */
  logp: Float32Array;
  /** of the last sample */
  logits: Float32Array;
  /** how the last sample was drawn; topK 0: among all */
  drawn: { temperature: number; topK: number; minP: number };
  /** number of the first sample */
  at: number;
  /** that the block took to make */
  seconds: number;
  sampling: Sampling;
}

/** Events: "block" (detail: Block), "end", "error" (detail: Error). */
export class Player extends EventTarget {
  constructor(model: Model, options?: { ahead?: number });
  readonly playing: boolean;
  readonly paused: boolean;
  /** samples heard at this moment */
  readonly heard: number;
  /** where samples came too late */
  readonly gaps: number;
  play(options?: PlayOptions): Promise<void>;
  set(sampling: Sampling): void;
  pause(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
  close(): Promise<void>;
}

export function readRecording(
  source: Blob | ArrayBuffer,
  sampleRate: number,
  options?: { maxSeconds?: number },
): Promise<Float32Array>;

export function melody(
  spec: Spec,
  of: { notes?: string; seconds?: number; seed?: number | bigint },
): Float32Array;
export function improvisation(
  spec: Spec,
  seed: number,
  seconds?: number,
): Generator<Float32Array>;
export function sungMelody(spec: Spec, audio: Float32Array): Float32Array;
export function keysOf(spec: Spec): [number, number] | null;
export function noteName(key: number): string;
export function attack(seconds: number): number;
export function hasSimd(): boolean;
