/** The memory of the engine: allocations, and numbers copied into and out of it. */

export class OutOfMemory extends Error {
  name = "OutOfMemory";
}

/** @typedef {Float32Array|Uint32Array|Uint16Array|Uint8Array|Float64Array} Numbers */

export class Memory {
  /** @param {Record<string, any>} exports of the engine: memory, malloc, free */
  constructor(exports) {
    this.exports = exports;
  }

  /** Views are made anew for each use: the memory's buffer is another one after it has grown. */
  get buffer() {
    return this.exports.memory.buffer;
  }

  /** @param {number} bytes @returns {number} an address, a multiple of 8 */
  allocate(bytes) {
    const address = this.exports.malloc(Math.max(bytes, 1)) >>> 0;
    if (!address) throw new OutOfMemory(`no memory for ${bytes} bytes`);
    return address;
  }

  /** @param {number} address */
  free(address) {
    this.exports.free(address);
  }

  /** @param {number} address @param {Numbers} numbers */
  write(address, numbers) {
    const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
    new Uint8Array(this.buffer).set(bytes, address);
  }

  /** A copy of numbers.  @param {number} address @param {number} count @returns {Float32Array} */
  floats(address, count) {
    return new Float32Array(this.buffer, address, count).slice();
  }

  /** The text at an address, which ends with a zero byte.  @param {number} address */
  text(address) {
    const bytes = new Uint8Array(this.buffer, address);
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
  }

  /**
   * What `use` returns; the addresses that it is given for numbers are freed after it.
   * @template T
   * @param {(put: (numbers: Numbers) => number) => T} use
   * @returns {T}
   */
  during(use) {
    /** @type {number[]} */
    const addresses = [];
    try {
      return use((numbers) => {
        const address = this.allocate(numbers.byteLength);
        addresses.push(address);
        this.write(address, numbers);
        return address;
      });
    } finally {
      for (const address of addresses) this.free(address);
    }
  }
}

/** Room for numbers that is kept from call to call, and grows. */
export class Room {
  /** @param {Memory} memory */
  constructor(memory) {
    this.memory = memory;
    this.address = 0;
    this.bytes = 0;
  }

  /** @param {number} bytes @returns {number} the address of so many */
  of(bytes) {
    if (bytes > this.bytes) {
      this.free();
      this.address = this.memory.allocate(bytes);
      this.bytes = bytes;
    }
    return this.address;
  }

  /** Its address, where the numbers stand, or 0 for none.  @param {Numbers|null} numbers */
  holding(numbers) {
    if (numbers === null) return 0;
    const address = this.of(numbers.byteLength);
    this.memory.write(address, numbers);
    return address;
  }

  free() {
    if (this.bytes) this.memory.free(this.address);
    this.bytes = 0;
  }
}
