/** The Mersenne Twister of Matsumoto and Nishimura (MT19937), seeded and read as by Python's
 * `random.Random(seed).random()`, so that a seed has the same melody in both. */

const N = 624;
const M = 397;

export class Random {
  /** @param {number|bigint} seed from 0 */
  constructor(seed) {
    this.state = new Uint32Array(N);
    this.at = N;
    this.#fill(19_650_218);
    this.#mix(wordsOf(BigInt(seed)));
  }

  /** @param {number} seed */
  #fill(seed) {
    const { state } = this;
    state[0] = seed;
    for (let i = 1; i < N; i++) {
      state[i] = Math.imul(1_812_433_253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    }
  }

  /** init_by_array.  @param {number[]} key */
  #mix(key) {
    const { state } = this;
    let i = 1;
    const next = () => {
      i += 1;
      if (i < N) return;
      state[0] = state[N - 1];
      i = 1;
    };
    /** @type {(factor: number) => number} */
    const mixed = (factor) => state[i] ^ Math.imul(state[i - 1] ^ (state[i - 1] >>> 30), factor);
    for (let k = 0, j = 0; k < Math.max(N, key.length); k++, j = (j + 1) % key.length) {
      state[i] = mixed(1_664_525) + key[j] + j;
      next();
    }
    for (let k = 0; k < N - 1; k++) {
      state[i] = mixed(1_566_083_941) - i;
      next();
    }
    state[0] = 0x80000000;
  }

  #twist() {
    const { state } = this;
    for (let i = 0; i < N; i++) {
      const both = (state[i] & 0x80000000) | (state[(i + 1) % N] & 0x7fffffff);
      state[i] = state[(i + M) % N] ^ (both >>> 1) ^ (both & 1 ? 0x9908b0df : 0);
    }
    this.at = 0;
  }

  #word() {
    if (this.at === N) this.#twist();
    let y = this.state[this.at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** From 0 to below 1, of 53 bits. */
  next() {
    const high = this.#word() >>> 5;
    return (high * 2 ** 26 + (this.#word() >>> 6)) / 2 ** 53;
  }

  /** @template T @param {readonly T[]} among @returns {T} */
  choice(among) {
    return among[Math.floor(among.length * this.next())];
  }
}

/** The words of 32 bits of a number, the lowest first.  @param {bigint} number */
function wordsOf(number) {
  const words = [Number(number & 0xffffffffn)];
  for (let rest = number >> 32n; rest; rest >>= 32n) words.push(Number(rest & 0xffffffffn));
  return words;
}
