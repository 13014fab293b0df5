/** The settings: how samples are drawn, the seed, and the link that holds them. */

const NAMES = /** @type {const} */ (["temperature", "top_k", "min_p"]);
const element = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));

/** Dispatches "change" when a setting has changed, "seed" when the seed has. */
export class Knobs extends EventTarget {
  constructor() {
    super();
    /** null: the model's own @type {Record<string, number|null>} */
    this.values = { temperature: null, top_k: null, min_p: null };
    this.own = { temperature: 1, top_k: null, min_p: 0, voiced: null };
    this.levels = 256;
    for (const name of NAMES) {
      element(name).addEventListener("input", () => this.#turned(name));
    }
    element("seed").addEventListener("change", () => this.#seedChanged());
    element("dice").addEventListener("click", () => {
      element("seed").value = Math.floor(Math.random() * 1000);
      this.#seedChanged();
    });
    element("reset").addEventListener("click", () => this.setAll({}));
  }

  get seed() {
    return Number(element("seed").value);
  }

  /** As the package takes them. */
  get sampling() {
    const { temperature, top_k, min_p: minP } = this.values;
    return { temperature, topK: top_k && Math.min(top_k, this.levels), minP };
  }

  /** @param {any} spec of the model */
  setModel({ sampling, levels }) {
    this.own = sampling;
    this.levels = levels;
    for (const name of NAMES) this.#show(name);
  }

  /** @param {Record<string, number|null>} values those left out become the model's own */
  setAll(values) {
    for (const name of NAMES) this.values[name] = values[name] ?? null;
    for (const name of NAMES) this.#show(name);
    this.dispatchEvent(new Event("change"));
  }

  /** @param {number} seed */
  setSeed(seed) {
    element("seed").value = seed;
  }

  #seedChanged() {
    const input = element("seed");
    const seed = Math.round(Number(input.value));
    input.value = Math.min(Math.max(Number.isFinite(seed) ? seed : 0, 0), 2 ** 32 - 1);
    this.dispatchEvent(new Event("seed"));
  }

  /** @param {typeof NAMES[number]} name */
  #turned(name) {
    const position = Number(element(name).value);
    this.values[name] = name === "top_k" ? Math.round(this.levels ** position) : position;
    this.#show(name);
    this.dispatchEvent(new Event("change"));
  }

  /** @param {typeof NAMES[number]} name */
  #show(name) {
    const input = element(name);
    const output = /** @type {HTMLElement} */ (input.parentElement.querySelector("output"));
    const value = this.values[name];
    const shown = value ?? this.own[name];
    output.textContent = this.#text(name, shown, value === null);
    input.value = name === "top_k" ? Math.log(shown ?? this.levels) / Math.log(this.levels) : shown;
    input.setAttribute("aria-valuetext", output.textContent);
  }

  /** @param {typeof NAMES[number]} name @param {number|null} value @param {boolean} own */
  #text(name, value, own) {
    const all = name === "top_k" && (value === null || value >= this.levels);
    const text = all ? "all" : String(Number((value ?? 0).toFixed(3)));
    if (!own) return text;
    const voiced = this.own.voiced?.[name] ?? null;
    return voiced === null ? `${text} (own)` : `${text}, voiced ${voiced}`;
  }
}

// ---- the link ----

/** @typedef {{voice: string, precision: string, seed: number, values: Record<string, number|null>}} Setting */

/** @param {Setting} setting */
export function toFragment({ voice, precision, seed, values }) {
  const given = Object.entries(values).filter(([, value]) => value !== null);
  const parts = new URLSearchParams({ voice, seed: String(seed) });
  for (const [name, value] of given) parts.set(name, String(value));
  if (precision !== "") parts.set("precision", precision);
  return `#${parts}`;
}

/**
 * The setting of a link; what it lacks, or what is no setting, is left out.
 * @param {string} fragment
 * @returns {Partial<Setting>}
 */
export function fromFragment(fragment) {
  const parts = new URLSearchParams(fragment.replace(/^#/, ""));
  /** @type {(name: string, low: number, high: number) => number|null} */
  const number = (name, low, high) => {
    const found = Number(parts.get(name) ?? NaN);
    return found >= low && found <= high ? found : null;
  };
  return {
    voice: parts.get("voice") ?? undefined,
    precision: parts.get("precision") ?? undefined,
    seed: Math.round(number("seed", 0, 2 ** 32 - 1) ?? NaN),
    values: {
      temperature: number("temperature", 0, 1000),
      top_k: number("top_k", 1, 65536),
      min_p: number("min_p", 0, 1),
    },
  };
}
