/** The pitch of a voice: log F0, voicing and correlation of each frame, as by pitch_tracking.py,
 * whose head describes the method (Boersma 1993). */

import { Fourier } from "./fourier.js";

const POINTS_PER_SECOND = 200;
const PERIODS = 3; // of fmin in a window
const CANDIDATES = 6;
const LAG_RATE = 16_000; // Hz, the least rate of the autocorrelation's samples
const CUTOFF = 2000; // Hz, of the Gaussian that limits the band
const FLOOR = 10 ** (-70 / 20); // of full scale

// Strengths and costs, in units of correlation.
const UNVOICED = 0.5;
const OCTAVE = 0.015;
const JUMP = 1;
const CHANGE = 0.28;

/**
 * @typedef {object} Contour of points 5 ms apart
 * @property {Float32Array} logF0 of Hz, linear through unvoiced parts
 * @property {Float32Array} voiced 0 or 1
 * @property {Float32Array} correlation
 * @property {number} step samples from point to point
 */

/**
 * @param {Float32Array} audio @param {number} rate Hz @param {number} hop samples per frame
 * @param {number} fmin @param {number} fmax
 * @returns {Float32Array} frames x 3, frames = floor(n / hop)
 */
export function pitchFrames(audio, rate, hop, fmin = 60, fmax = 500) {
  const count = Math.floor(audio.length / hop);
  if (!count) return new Float32Array(0);
  return averages(contourOf(audio, rate, fmin, fmax), count, hop);
}

/**
 * @param {Float32Array} audio @param {number} rate @param {number} [fmin] @param {number} [fmax]
 * @returns {Contour}
 */
export function contourOf(audio, rate, fmin = 60, fmax = 500) {
  const plan = planOf(rate, fmin, fmax);
  const chosen = path(pointsOf(audio, plan));
  const missing = Math.log(fmin * fmax) / 2;
  return {
    logF0: interpolated(Float32Array.from(chosen, (one) => one.logF0), missing),
    voiced: Float32Array.from(chosen, (one) => (Number.isNaN(one.logF0) ? 0 : 1)),
    correlation: Float32Array.from(chosen, (one) => one.height),
    step: plan.step,
  };
}

// ---- plan ----

/** The constants of an analysis.  @param {number} rate @param {number} fmin @param {number} fmax */
function planOf(rate, fmin, fmax) {
  const up = Math.ceil(LAG_RATE / rate);
  const down = Math.max(1, Math.floor(rate / LAG_RATE));
  const lagRate = (rate * up) / down;
  const width = Math.floor(Math.round((PERIODS * rate) / fmin) / 2) * 2 + 1;
  const window = Float64Array.from({ length: width }, (_, i) => {
    return 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 1)) / (width + 1));
  });
  const size = fastSize(width + Math.ceil(rate / fmin) + 2 * down, 2 * down);
  const length = (size * up) / down;
  const band = bandOf(rate, size, fmin);
  const forward = new Fourier(size);
  const inverse = new Fourier(length);
  const own = symmetricInverse(forward.energies(window), inverse);
  const energy = window.reduce((total, w) => total + w * w, 0);
  const first = Math.floor(lagRate / fmax) - 1;
  const count = Math.ceil(lagRate / fmin) + 2 - first;
  const index = Array.from({ length: count }, (_, i) => first + i);
  return {
    ...{ window, size, band, length, first, forward, inverse },
    step: Math.round(rate / POINTS_PER_SECOND),
    lags: index.map((i) => i / lagRate),
    norm: index.map((i) => own[0] / own[i]),
    gain: index.map((i) => -OCTAVE * Math.log2((i / lagRate) * fmin)),
    floor: FLOOR ** 2 * energy * symmetricInverse(band, inverse)[0],
  };
}

/** Factors of a power spectrum.  @param {number} rate @param {number} size @param {number} fmin */
function bandOf(rate, size, fmin) {
  return Float64Array.from({ length: Math.floor(size / 2) + 1 }, (_, i) => {
    const hz = i * (rate / size);
    const above = Math.min(Math.max((4 * hz) / fmin - 1, 0), 1);
    return Math.exp(-0.5 * (hz / CUTOFF) ** 2) * above;
  });
}

/** The first product of `factor` and primes up to 5 from `least` on.
 * @param {number} least @param {number} factor
 */
function fastSize(least, factor) {
  let n = Math.ceil(least / factor);
  while ([2, 3, 5].reduce(divided, n) !== 1) n += 1;
  return n * factor;
}

/** @param {number} n @param {number} prime */
function divided(n, prime) {
  let left = n;
  while (left % prime === 0) left /= prime;
  return left;
}

/** The inverse transform of a real spectrum, bins 0 to size / 2, to `inverse.size` numbers, as
 * numpy's irfft: bins beyond are zeros or left out.
 * @param {Float64Array} spectrum @param {Fourier} inverse
 */
function symmetricInverse(spectrum, inverse) {
  const n = inverse.size;
  const half = Math.floor(n / 2);
  const whole = new Float64Array(n);
  for (let i = 0; i <= half && i < spectrum.length; i++) {
    whole[i] = spectrum[i];
    if (i > 0) whole[n - i] = spectrum[i];
  }
  inverse.ofReal(whole);
  return inverse.re.map((value) => value / n);
}

// ---- candidates ----

/**
 * @typedef {object} State of a point: a candidate, or unvoiced
 * @property {number} logF0 NaN: unvoiced
 * @property {number} strength
 * @property {number} height correlation
 */

/** @param {Float32Array} audio @param {ReturnType<typeof planOf>} plan @returns {State[][]} */
function pointsOf(audio, plan) {
  const width = plan.window.length;
  const samples = audio.length < width ? padded(audio, width) : audio;
  const points = [];
  const x = new Float64Array(width);
  for (let centre = 0; centre < samples.length + plan.step; centre += plan.step) {
    const start = Math.min(Math.max(centre - (width >> 1), 0), samples.length - width);
    windowed(samples, start, plan.window, x);
    points.push(candidates(correlation(x, plan), plan));
  }
  return points;
}

/** @param {Float32Array} audio @param {number} width */
function padded(audio, width) {
  const longer = new Float32Array(width);
  longer.set(audio);
  return longer;
}

/** @param {Float32Array} samples @param {number} start @param {Float64Array} window
 * @param {Float64Array} x where the product is stored
 */
function windowed(samples, start, window, x) {
  let mean = 0;
  for (let i = 0; i < x.length; i++) mean += samples[start + i];
  mean /= x.length;
  for (let i = 0; i < x.length; i++) x[i] = (samples[start + i] - mean) * window[i];
}

/** @param {Float64Array} x @param {ReturnType<typeof planOf>} plan */
function correlation(x, plan) {
  const power = plan.forward.energies(x).map((energy, i) => energy * plan.band[i]);
  const r = symmetricInverse(power, plan.inverse);
  const scale = r[0] + plan.floor;
  return plan.norm.map((norm, i) => (r[plan.first + i] * norm) / scale);
}

/** Unvoiced, and the highest peaks.
 * @param {number[]} r @param {ReturnType<typeof planOf>} plan
 * @returns {State[]}
 */
function candidates(r, plan) {
  const found = [];
  for (let i = 1; i + 1 < r.length; i++) {
    if (r[i] > r[i - 1] && r[i] >= r[i + 1] && r[i] > 0) found.push(i);
  }
  found.sort((i, j) => r[j] + plan.gain[j] - (r[i] + plan.gain[i]));
  const states = found.slice(0, CANDIDATES).map((i) => peak(r, i, plan));
  const height = states.reduce((most, one) => Math.max(most, one.height), 0);
  return [{ logF0: NaN, strength: UNVOICED, height }, ...states];
}

/** A parabola through a peak and its neighbours.
 * @param {number[]} r @param {number} i @param {ReturnType<typeof planOf>} plan
 * @returns {State}
 */
function peak(r, i, plan) {
  const [a, b, c] = [r[i - 1], r[i], r[i + 1]];
  const shift = (a - c) / (2 * (a - 2 * b + c));
  const height = Math.min(b - ((a - c) * shift) / 4, 1);
  const lag = plan.lags[i] + shift * (plan.lags[1] - plan.lags[0]);
  return { logF0: -Math.log(lag), strength: height + plan.gain[i], height };
}

// ---- path ----

/** The path through the points with the largest sum of strengths, less the costs of changes.
 * @param {State[][]} points
 * @returns {State[]}
 */
function path(points) {
  /** @type {number[][]} */
  const origins = [];
  let before = [{ logF0: NaN, strength: 0, height: 0 }];
  let scores = [0];
  for (const states of points) {
    const best = states.map((state) => bestOrigin(before, scores, state));
    scores = best.map(({ total }, i) => total + states[i].strength);
    origins.push(best.map(({ origin }) => origin));
    before = states;
  }
  let state = scores.indexOf(Math.max(...scores));
  const chosen = [];
  for (let i = points.length - 1; i >= 0; i--) {
    chosen.push(points[i][state]);
    state = origins[i][state];
  }
  return chosen.reverse();
}

/** @param {State[]} before @param {number[]} scores @param {State} state */
function bestOrigin(before, scores, state) {
  let origin = 0;
  let total = -Infinity;
  before.forEach((from, i) => {
    const found = scores[i] - cost(from, state);
    if (found > total) [origin, total] = [i, found];
  });
  return { origin, total };
}

/** @param {State} from @param {State} to */
function cost(from, to) {
  const unvoiced = Number(Number.isNaN(from.logF0)) + Number(Number.isNaN(to.logF0));
  if (unvoiced === 2) return 0;
  if (unvoiced === 1) return CHANGE;
  return Math.abs(from.logF0 - to.logF0) * (JUMP / Math.LN2);
}

/** Linear between the voiced neighbours, constant at both ends.
 * @param {Float32Array} logF0 NaN: unvoiced @param {number} missing without a voiced point
 */
function interpolated(logF0, missing) {
  const voiced = [...logF0.keys()].filter((i) => !Number.isNaN(logF0[i]));
  if (!voiced.length) return logF0.fill(missing);
  let next = 0;
  return logF0.map((value, i) => {
    while (next < voiced.length && voiced[next] < i) next += 1;
    if (!Number.isNaN(value)) return value;
    const [left, right] = [voiced[next - 1] ?? voiced[0], voiced[next] ?? voiced[next - 1]];
    if (left === right) return logF0[left];
    return logF0[left] + ((logF0[right] - logF0[left]) * (i - left)) / (right - left);
  });
}

/** The contour, linear between points, averaged over the samples of each frame.
 * @param {Contour} contour @param {number} count @param {number} hop
 */
function averages(contour, count, hop) {
  const out = new Float32Array(3 * count);
  const channels = [contour.logF0, contour.voiced, contour.correlation];
  channels.forEach((values, channel) => {
    for (let frame = 0; frame < count; frame++) {
      let sum = 0;
      for (let at = frame * hop; at < (frame + 1) * hop; at++) {
        const point = Math.floor(at / contour.step);
        const share = (at % contour.step) / contour.step;
        sum += values[point] * (1 - share) + values[point + 1] * share;
      }
      out[3 * frame + channel] = sum / hop;
    }
  });
  return out;
}
