/** A recording of the visitor, from a file or the microphone. */

import { readRecording } from "./fastwavenet/index.js";

const MAX_SECONDS = 20;
const element = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));

/** Dispatches "change" when there is another recording or use of it, "problem" with a sentence. */
export class Recordings extends EventTarget {
  constructor() {
    super();
    /** At the model's rate, or null. @type {Float32Array|null} */
    this.audio = null;
    /** What a vocoder made of it, matched to its frames. @type {Float32Array|null} */
    this.matched = null;
    this.rate = 16000;
    /** @type {MediaRecorder|null} */
    this.recorder = null;
    element("choose").addEventListener("click", () => element("audio-file").click());
    element("audio-file").addEventListener("change", () => this.#chosen());
    element("record").addEventListener("click", () => this.#toggle());
    element("original").addEventListener("click", () => this.#play(this.audio));
    element("matched").addEventListener("click", () => this.#play(this.matched));
    element("forget").addEventListener("click", () => this.set(null));
    element("use").addEventListener("change", () => this.dispatchEvent(new Event("change")));
  }

  /** "melody" or "prime". */
  get use() {
    return element("use").value;
  }

  /**
   * @param {object} model
   * @param {number} model.rate @param {string} model.text about the use of a recording; "": of none
   * @param {boolean} [model.asMelody] whether its melody may be played
   * @param {boolean} [model.removable] whether there is a sound without a recording
   */
  setModel({ rate, text, asMelody = false, removable = true }) {
    this.rate = rate;
    this.asMelody = asMelody;
    this.removable = removable;
    this.matched = null;
    element("recording").hidden = text === "";
    element("recording").querySelector("p").textContent = text;
    this.#show();
  }

  /** @param {Float32Array|null} audio */
  set(audio) {
    this.audio = audio;
    this.matched = null;
    this.#show();
    this.dispatchEvent(new Event("change"));
  }

  /** Reads a recording.  @param {Blob} file */
  async read(file) {
    try {
      this.set(await readRecording(file, this.rate, { maxSeconds: MAX_SECONDS }));
    } catch (error) {
      this.#problem(error);
    }
  }

  /** @param {Float32Array|null} audio */
  setMatched(audio) {
    this.matched = audio;
    this.#show();
  }

  /** Plays the recording, or the matched sound.  @param {Float32Array|null} audio */
  #play(audio) {
    if (!audio) return;
    this.quiet();
    const context = new AudioContext({ sampleRate: this.rate });
    const buffer = context.createBuffer(1, audio.length, this.rate);
    buffer.copyToChannel(new Float32Array(audio), 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(context.destination);
    source.onended = () => context.close();
    source.start();
    this.playing = source;
    this.dispatchEvent(new Event("original"));
  }

  /** Stops the recording. */
  quiet() {
    this.playing?.stop();
    this.playing = null;
  }

  #show() {
    element("original").hidden = this.audio === null;
    element("matched").hidden = this.matched === null;
    element("forget").hidden = this.audio === null || !this.removable;
    element("use-choice").hidden = this.audio === null || !this.asMelody;
  }

  #chosen() {
    const [file] = element("audio-file").files;
    element("audio-file").value = "";
    if (file) this.read(file);
  }

  async #toggle() {
    if (this.recorder) return this.recorder.stop();
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      this.#record(stream);
    } catch {
      this.#problem(new Error("there is no microphone, or its use was not allowed: choose a file"));
    }
  }

  /** @param {MediaStream} stream */
  #record(stream) {
    const recorder = new MediaRecorder(stream);
    const limit = setTimeout(() => recorder.stop(), 1000 * MAX_SECONDS);
    recorder.ondataavailable = ({ data }) => this.read(data);
    recorder.onstop = () => {
      clearTimeout(limit);
      for (const track of stream.getTracks()) track.stop();
      this.#recording(null);
    };
    recorder.start();
    this.#recording(recorder);
  }

  /** @param {MediaRecorder|null} recorder */
  #recording(recorder) {
    this.recorder = recorder;
    element("record").setAttribute("aria-pressed", String(recorder !== null));
    element("record").textContent = recorder ? "Stop recording" : "Record yourself";
  }

  /** @param {unknown} error */
  #problem(error) {
    const message = error instanceof Error ? error.message : String(error);
    this.dispatchEvent(new CustomEvent("problem", { detail: message }));
  }
}
