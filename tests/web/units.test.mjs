import assert from "node:assert/strict";
import { test } from "node:test";

import { probabilities } from "../../docs/play/distribution.js";
import { hasSimd } from "../../web/engine.js";
import { Fourier } from "../../web/fourier.js";
import { Float } from "../../web/checks.js";
import { parseObject } from "../../web/json.js";
import { noteName, sungMelody } from "../../web/melody.js";
import { resolvePrecision } from "../../web/model_file.js";
import { Random } from "../../web/random.js";

const INSTRUMENT = {
  sample_rate: 16000,
  conditioning: { features: "piano roll of MIDI keys 67 to 96, onset", channels: 31, hop: 160 },
};

test("a transform is the sum of its definition", () => {
  for (const size of [1, 2, 3, 4, 5, 6, 15, 16, 30, 60]) {
    const x = Array.from({ length: size }, (_, i) => Math.sin(i * i + 1));
    const fourier = new Fourier(size);
    fourier.ofReal(x);
    for (let bin = 0; bin < size; bin++) {
      let [re, im] = [0, 0];
      x.forEach((value, i) => {
        re += value * Math.cos((2 * Math.PI * bin * i) / size);
        im -= value * Math.sin((2 * Math.PI * bin * i) / size);
      });
      assert.ok(Math.abs(fourier.re[bin] - re) < 1e-12 && Math.abs(fourier.im[bin] - im) < 1e-12);
    }
  }
  assert.throws(() => new Fourier(7), /factors 2, 3 and 5/);
});

test("random numbers are Python's", () => {
  assert.equal(new Random(7).next(), 0.32383276483316237); // random.Random(7).random()
  assert.equal(new Random(0).next(), 0.8444218515250481);
});

test("numbers with a point are no whole numbers", () => {
  const { a, b, c, d } = parseObject('{"a": 1, "b": 1.0, "c": "1.0", "d": -1e3}', "text");
  assert.equal(a, 1);
  assert.ok(b instanceof Float && d instanceof Float);
  assert.equal(c, "1.0");
  assert.throws(() => parseObject("[1]", "text"), /the text must be a JSON object, not a list/);
  assert.throws(() => parseObject("{", "text"), /not valid JSON/);
});

test("auto takes the smallest precision that costs at most 0.002 nats", () => {
  assert.equal(resolvePrecision("auto", {}), "float32");
  assert.equal(resolvePrecision("auto", { bfloat16: 0.002, int8: 0.0021 }), "bfloat16");
  assert.equal(resolvePrecision("auto", { bfloat16: 0.1, int8: 0.001 }), "int8");
  assert.equal(resolvePrecision("float32", { int8: 0 }), "float32");
  assert.equal(resolvePrecision("auto", { bfloat16: 0, bfloat16x16: 0 }), "bfloat16");
  assert.equal(resolvePrecision("auto", { int8: 0, int8x8: 0 }), "int8");
  assert.equal(resolvePrecision("int8x8", {}), "int8x8");
  const names = /auto, float32, bfloat16, int8, bfloat16x16, int8x8/;
  assert.throws(() => resolvePrecision("int4", {}), names);
});

test("a sung melody has its notes, moved into the range of the instrument", () => {
  const hz = [220, 246.94]; // A3, B3
  const audio = Float32Array.from({ length: 32000 }, (_, i) => {
    const t = i / 16000;
    return 0.3 * Math.sin(2 * Math.PI * hz[Math.floor(t)] * t);
  });
  const roll = sungMelody(INSTRUMENT, audio);
  const keyAt = (frame) => roll.subarray(frame * 31, frame * 31 + 30).findIndex((v) => v > 0);
  assert.equal(keyAt(150) - keyAt(50), 2);
  assert.equal((keyAt(50) + 67) % 12, 57 % 12);
  assert.ok(roll[30] > 0.9); // an attack
  assert.ok(!sungMelody(INSTRUMENT, new Float32Array(16000)).some((v) => v > 0));
});

test("keys have names", () => {
  assert.equal(noteName(60), "C4");
  assert.equal(noteName(70), "A♯4");
});

test("this browser has SIMD", () => assert.ok(hasSimd()));

test("the distribution that is drawn follows temperature, top-k and min-p", () => {
  const logits = Float32Array.from([0, 1, 2, 3]);
  const all = { temperature: 1, topK: 0, minP: 0 };
  const sum = (p) => p.reduce((a, b) => a + b, 0);
  const count = (drawn) => probabilities(logits, drawn).kept.filter((p) => p > 0).length;
  assert.ok(Math.abs(sum(probabilities(logits, all).kept) - 1) < 1e-12);
  assert.equal(count(all), 4);
  assert.equal(count({ ...all, topK: 2 }), 2);
  assert.equal(count({ ...all, minP: 0.2 }), 2);
  assert.deepEqual([...probabilities(logits, { ...all, temperature: 0 }).kept], [0, 0, 0, 1]);
});
