/** The discrete Fourier transform of sizes whose prime factors are 2, 3 and 5, in float64. */

const MOST = 5; // largest prime factor

export class Fourier {
  /** @param {number} size */
  constructor(size) {
    this.size = size;
    this.factors = factorsOf(size);
    const angles = Array.from({ length: size }, (_, i) => (2 * Math.PI * i) / size);
    this.cos = Float64Array.from(angles, Math.cos);
    this.sin = Float64Array.from(angles, Math.sin);
    this.re = new Float64Array(size); // of the result
    this.im = new Float64Array(size);
    this.inputRe = new Float64Array(size);
    this.inputIm = new Float64Array(size);
    this.points = new Float64Array(2 * MOST);
  }

  /**
   * The transform of real numbers, which zeros continue: bins 0 to size - 1 in `re` and `im`.
   * @param {ArrayLike<number>} x at most `size` numbers
   */
  ofReal(x) {
    this.inputRe.fill(0).set(x);
    this.inputIm.fill(0);
    this.#part(0, 1, 0, this.size, 0);
  }

  /**
   * The real numbers whose transform has these bins 0 to size / 2, in `re`.
   * @param {Float64Array} re @param {Float64Array} im
   */
  toReal(re, im) {
    const { size, inputRe, inputIm } = this;
    for (let bin = 0; 2 * bin <= size; bin++) {
      const mirrored = (size - bin) % size;
      inputRe[bin] = inputRe[mirrored] = re[bin] / size;
      inputIm[mirrored] = im[bin] / size;
      inputIm[bin] = mirrored === bin ? 0 : -im[bin] / size;
    }
    this.#part(0, 1, 0, size, 0);
  }

  /** Numbers at [offset + i stride) -> their transform at [to, to + n).
   * @param {number} offset @param {number} stride @param {number} to @param {number} n
   * @param {number} level
   */
  #part(offset, stride, to, n, level) {
    if (n === 1) {
      this.re[to] = this.inputRe[offset];
      this.im[to] = this.inputIm[offset];
      return;
    }
    const radix = this.factors[level];
    const m = n / radix;
    for (let q = 0; q < radix; q++) {
      this.#part(offset + q * stride, stride * radix, to + q * m, m, level + 1);
    }
    if (radix === 2) this.#joinTwo(to, m, stride);
    else for (let k = 0; k < m; k++) this.#join(to + k, k, m, radix, stride);
  }

  /** Joins two transforms of m numbers.
   * @param {number} to @param {number} m @param {number} stride
   */
  #joinTwo(to, m, stride) {
    const { re, im, cos, sin } = this;
    for (let k = 0; k < m; k++) {
      const [low, high, angle] = [to + k, to + k + m, k * stride];
      const real = re[high] * cos[angle] + im[high] * sin[angle];
      const imaginary = im[high] * cos[angle] - re[high] * sin[angle];
      re[high] = re[low] - real;
      im[high] = im[low] - imaginary;
      re[low] += real;
      im[low] += imaginary;
    }
  }

  /** Joins bin k of `radix` transforms of m numbers.
   * @param {number} at @param {number} k @param {number} m @param {number} radix
   * @param {number} stride
   */
  #join(at, k, m, radix, stride) {
    const { re, im, cos, sin, size, points } = this;
    for (let q = 0; q < radix; q++) {
      points[2 * q] = re[at + q * m];
      points[2 * q + 1] = im[at + q * m];
    }
    for (let p = 0; p < radix; p++) {
      let real = points[0];
      let imaginary = points[1];
      for (let q = 1; q < radix; q++) {
        const angle = (q * (k + p * m) * stride) % size;
        real += points[2 * q] * cos[angle] + points[2 * q + 1] * sin[angle];
        imaginary += points[2 * q + 1] * cos[angle] - points[2 * q] * sin[angle];
      }
      re[at + p * m] = real;
      im[at + p * m] = imaginary;
    }
  }

  /** The energies |X|^2 of bins 0 to size / 2 of real numbers.  @param {ArrayLike<number>} x */
  energies(x) {
    this.ofReal(x);
    const { re, im } = this;
    const energies = new Float64Array(Math.floor(this.size / 2) + 1);
    for (let i = 0; i < energies.length; i++) energies[i] = re[i] * re[i] + im[i] * im[i];
    return energies;
  }
}

/** @param {number} size */
function factorsOf(size) {
  const factors = [];
  let rest = size;
  for (const prime of [5, 3, 2]) {
    for (; rest % prime === 0; rest /= prime) factors.push(prime);
  }
  if (rest !== 1) throw new RangeError(`a transform of ${size} numbers needs factors 2, 3 and 5`);
  return factors;
}
