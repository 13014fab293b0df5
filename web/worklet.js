/** The AudioWorklet: a queue of blocks that come by a port from the worker.
 *
 * It returns the number of samples played, by which the worker paces itself. */

const NEWS = 256; // samples between two messages about the number played

class Blocks extends AudioWorkletProcessor {
  constructor() {
    super();
    /** @type {Float32Array[]} */
    this.queue = [];
    this.queued = 0; // samples in the queue
    this.at = 0; // samples of its first block that were played
    this.played = 0;
    this.sound = 0; // number of the sound
    this.reported = 0; // of these, the number in the newest message
    this.ended = false;
    this.filling = true; // silence until there are `least` samples, at first and after a gap
    this.least = 0;
    this.gaps = 0;
    /** @type {MessagePort|null} */
    this.source = null;
    this.port.onmessage = ({ data }) => this.begin(data);
  }

  /** A sound: blocks come by `source`; without it there is none.
   * @param {{sound?: number, source?: MessagePort, least?: number}} given
   */
  begin({ sound = this.sound, source, least = 0 }) {
    this.source?.close();
    this.source = source ?? null;
    Object.assign(this, { queue: [], queued: 0, at: 0, played: 0, reported: 0, gaps: 0, sound, least });
    this.ended = false;
    this.filling = true;
    if (this.source) this.source.onmessage = ({ data }) => this.add(data);
  }

  /** @param {{audio?: Float32Array, end?: boolean}} data */
  add({ audio, end }) {
    if (audio) {
      this.queue.push(audio);
      this.queued += audio.length;
    }
    if (end) this.ended = true;
    if (this.ended || this.queued >= this.least) this.filling = false;
  }

  /** @param {Float32Array[][]} _inputs @param {Float32Array[][]} outputs */
  process(_inputs, [[out]]) {
    if (this.source && !this.filling) this.play(out);
    return true;
  }

  /** @param {Float32Array} out zeros */
  play(out) {
    let n = 0;
    while (n < out.length && this.queue.length) {
      const part = this.queue[0].subarray(this.at, this.at + out.length - n);
      out.set(part, n);
      n += part.length;
      this.at += part.length;
      if (this.at === this.queue[0].length) {
        this.queue.shift();
        this.at = 0;
      }
    }
    this.queued -= n;
    this.played += n;
    if (n < out.length) this.runOut();
    if (this.played - this.reported >= NEWS) this.report();
  }

  runOut() {
    if (!this.ended) {
      this.filling = true;
      this.gaps += 1;
    }
    this.report(this.ended);
    if (this.ended) this.begin({});
  }

  /** @param {boolean} [end] */
  report(end = false) {
    this.reported = this.played;
    this.source?.postMessage({ played: this.played });
    const { sound, played, gaps } = this;
    this.port.postMessage({ sound, played, time: currentTime, gaps, end });
  }
}

registerProcessor("fastwavenet-blocks", Blocks);
