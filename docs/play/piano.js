/** Keys that show the notes that sound, and play them while they are held. */

import { noteName } from "./fastwavenet/index.js";

const BLACK = [1, 3, 6, 8, 10];
const LETTERS = "awsedftgyhujkolp"; // from C on, while a key has the focus

export class Piano {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    /** @type {number|null} */
    this.held = null;
    this.sounding = -1;
    this.low = 0;
    /** Called when a key is pressed. */
    this.onpress = () => {};
    for (const release of ["pointerup", "pointercancel", "blur"]) {
      addEventListener(release, () => (this.held = null));
    }
    place.addEventListener("pointerdown", (event) => this.#point(event));
    place.addEventListener("pointermove", (event) => event.buttons && this.#point(event));
    place.addEventListener("keydown", (event) => this.#key(event));
    place.addEventListener("keyup", () => (this.held = null));
  }

  /** @param {[number, number]|null} keys the lowest and the highest; null: no keys */
  setKeys(keys) {
    this.place.hidden = keys === null;
    this.place.replaceChildren();
    this.held = null;
    this.sounding = -1;
    if (keys === null) return;
    const [low, high] = keys;
    this.low = low;
    const all = Array.from({ length: high - low + 1 }, (_, i) => low + i);
    const whites = all.filter((key) => !isBlack(key));
    const width = 100 / whites.length;
    for (const key of all) this.place.append(button(key, whites, width));
    this.#focusable(this.place.firstElementChild);
  }

  /** Marks the key that sounds.  @param {number} key */
  show(key) {
    if (key === this.sounding) return;
    this.place.children[this.sounding - this.low]?.classList.remove("sounding");
    this.place.children[key - this.low]?.classList.add("sounding");
    this.sounding = key;
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const target = document.elementFromPoint(event.clientX, event.clientY);
    const key = target instanceof HTMLElement ? Number(target.dataset.key ?? NaN) : NaN;
    if (!Number.isNaN(key)) this.#press(key);
  }

  /** @param {number} key */
  #press(key) {
    if (this.held === key) return;
    this.held = key;
    this.onpress();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { children } = this.place;
    const at = [...children].indexOf(/** @type {Element} */ (event.target));
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move) {
      const next = children[Math.min(Math.max(at + move, 0), children.length - 1)];
      this.#focusable(next);
      /** @type {HTMLElement} */ (next).focus();
      event.preventDefault();
    } else if (event.key === " " || event.key === "Enter") {
      this.#press(this.low + at);
      event.preventDefault();
    } else if (!event.ctrlKey && !event.metaKey && !event.altKey) {
      const letter = LETTERS.indexOf(event.key);
      const c = Math.ceil(this.low / 12) * 12;
      if (letter >= 0 && c + letter - this.low < children.length) this.#press(c + letter);
    }
  }

  /** One of the keys is reached by Tab, the others by arrows.  @param {Element|null} one */
  #focusable(one) {
    for (const each of this.place.children) each.setAttribute("tabindex", each === one ? "0" : "-1");
  }
}

/** @param {number} key */
function isBlack(key) {
  return BLACK.includes(key % 12);
}

/** @param {number} key @param {number[]} whites @param {number} width percent of a white key */
function button(key, whites, width) {
  const one = document.createElement("button");
  one.type = "button";
  one.dataset.key = String(key);
  one.setAttribute("aria-label", noteName(key));
  const before = whites.filter((white) => white < key).length;
  if (isBlack(key)) one.className = "black";
  const size = isBlack(key) ? 0.6 * width : width;
  one.style.width = `${size}%`;
  one.style.left = `${before * width - (isBlack(key) ? size / 2 : 0)}%`;
  return one;
}
