/** fastwavenet in a page: load a model, generate, play.  README.md describes it. */

export { ModelFormatError } from "./checks.js";
export { Model, loadModel } from "./model.js";
export { Player } from "./player.js";
export { readRecording } from "./recording.js";
export { attack, improvisation, keysOf, melody, noteName, sungMelody } from "./melody.js";
export { hasSimd } from "./engine.js";
