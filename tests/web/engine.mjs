/** The package in Node, for the tests: a request on each line of the input, an answer on each line
 * of the output.  Arrays are files of float32 numbers. */

import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { Engine } from "../../web/engine.js";
import { Voice } from "../../web/voice.js";
import { melFrames } from "../../web/mel.js";
import { matchedToMel } from "../../web/mel_matching.js";
import { melody } from "../../web/melody.js";
import { parseModel, resolvePrecision } from "../../web/model_file.js";
import { pitchFrames } from "../../web/pitch.js";

const bytes = (path) => new Uint8Array(readFileSync(path)).buffer;
const floats = (path) => new Float32Array(bytes(path));
let engine = null;

const calls = {
  async engine({ path }) {
    engine = await Engine.load(bytes(path));
    return engine.isaName;
  },
  parse({ path }) {
    const { spec, weights, precisionCost } = parseModel(bytes(path));
    return { spec, names: [...weights.keys()], precisionCost };
  },
  generate({ model, precision, seed, sampling, samples, frames, prime, speaker, chunk, out }) {
    const contents = parseModel(bytes(model));
    const network = engine.model(contents, resolvePrecision(precision, contents.precisionCost));
    const voice = new Voice(network, { speaker });
    voice.reset(BigInt(seed));
    voice.set(sampling);
    const given = frames && floats(frames);
    const size = given ? voice.channels * chunk : 0;
    if (given && prime) voice.addFrames(given);
    if (prime) voice.prime(floats(prime));
    const made = [];
    let at = prime ? given?.length : 0;
    while (made.length < samples) {
      if (given && at < given.length) {
        voice.addFrames(given.slice(at, at + size));
        at += size;
      } else voice.endFrames();
      made.push(...voice.next(given ? Infinity : Math.min(chunk, samples - made.length)).audio);
      if (given && at >= given.length && voice.ended && !voice.available) break;
    }
    writeFileSync(out, Float32Array.from(made.slice(0, samples)));
    voice.free();
    network.free();
  },
  mel: ({ audio, convention, out }) => writeFileSync(out, melFrames(floats(audio), convention)),
  match({ audio, levels, convention, passes, out }) {
    writeFileSync(out, matchedToMel(floats(audio), floats(levels), convention, passes));
  },
  pitch({ audio, rate, hop, out }) {
    writeFileSync(out, pitchFrames(floats(audio), rate, hop));
  },
  melody({ model, seed, seconds, notes, out }) {
    const what = notes === undefined ? { seed: BigInt(seed), seconds } : { notes };
    writeFileSync(out, melody(parseModel(bytes(model)).spec, what));
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { call, ...options } = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await calls[call](options)) ?? null };
  } catch (error) {
    answer = { error: error.message, name: error.name };
  }
  console.log(JSON.stringify(answer));
}
