/** The discrete Fourier transform of sizes whose prime factors are 2, 3 and 5, in float64. */

export class Fourier {
  /** @param {number} size */
  constructor(size) {
    this.size = size;
    this.factors = factorsOf(size);
    const angles = Array.from({ length: size }, (_, i) => (2 * Math.PI * i) / size);
    this.cos = Float64Array.from(angles, Math.cos);
    this.sin = Float64Array.from(angles, Math.sin);
    this.re = new Float64Array(size);
    this.im = new Float64Array(size);
  }

  /**
   * The transform of real numbers, which zeros continue: bins 0 to size / 2 in `re` and `im`.
   * @param {ArrayLike<number>} x at most `size` numbers
   */
  ofReal(x) {
    this.input = x;
    this.#part(0, 1, 0, this.size, 0);
  }

  /** Numbers at [offset + i stride) -> their transform at [to, to + n).
   * @param {number} offset @param {number} stride @param {number} to @param {number} n
   * @param {number} level
   */
  #part(offset, stride, to, n, level) {
    if (n === 1) {
      this.re[to] = /** @type {ArrayLike<number>} */ (this.input)[offset] ?? 0;
      this.im[to] = 0;
      return;
    }
    const radix = this.factors[level];
    const m = n / radix;
    for (let q = 0; q < radix; q++) {
      this.#part(offset + q * stride, stride * radix, to + q * m, m, level + 1);
    }
    for (let k = 0; k < m; k++) this.#butterfly(to + k, k, m, radix, stride);
  }

  /** Joins bin k of `radix` transforms of m numbers.
   * @param {number} at @param {number} k @param {number} m @param {number} radix
   * @param {number} stride
   */
  #butterfly(at, k, m, radix, stride) {
    const { re, im, cos, sin, size } = this;
    const a = new Float64Array(2 * radix);
    for (let q = 0; q < radix; q++) {
      a[2 * q] = re[at + q * m];
      a[2 * q + 1] = im[at + q * m];
    }
    for (let p = 0; p < radix; p++) {
      let real = a[0];
      let imaginary = a[1];
      for (let q = 1; q < radix; q++) {
        const angle = (q * (k + p * m) * stride) % size;
        real += a[2 * q] * cos[angle] + a[2 * q + 1] * sin[angle];
        imaginary += a[2 * q + 1] * cos[angle] - a[2 * q] * sin[angle];
      }
      re[at + p * m] = real;
      im[at + p * m] = imaginary;
    }
  }

  /** The energies |X|^2 of bins 0 to size / 2 of real numbers.  @param {ArrayLike<number>} x */
  energies(x) {
    this.ofReal(x);
    return Float64Array.from({ length: Math.floor(this.size / 2) + 1 }, (_, i) => {
      return this.re[i] * this.re[i] + this.im[i] * this.im[i];
    });
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
