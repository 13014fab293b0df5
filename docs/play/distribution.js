/** The probabilities of a sample's values, for the picture. */

/**
 * @param {Float32Array} logits
 * @param {{temperature: number, topK: number, minP: number}} drawn how the sample was drawn
 * @returns {{all: Float64Array, kept: Float64Array}} at temperature 1, and those of the draw
 */
export function probabilities(logits, { temperature, topK, minP }) {
  const all = softmax(logits, 1);
  if (temperature === 0) return { all, kept: onlyLargest(all) };
  const cool = softmax(logits, temperature);
  const least = Math.max(minP * Math.max(...cool), topK ? kth(cool, topK) : 0);
  const kept = cool.map((p) => (p >= least ? p : 0));
  const sum = kept.reduce((total, p) => total + p, 0);
  return { all, kept: kept.map((p) => p / sum) };
}

/** @param {Float32Array} logits @param {number} temperature */
function softmax(logits, temperature) {
  const largest = Math.max(...logits);
  const p = Float64Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
  const sum = p.reduce((total, one) => total + one, 0);
  return p.map((one) => one / sum);
}

/** @param {Float64Array} p */
function onlyLargest(p) {
  const at = p.indexOf(Math.max(...p));
  return p.map((_, i) => Number(i === at));
}

/** The k-th largest.  @param {Float64Array} p @param {number} k */
function kth(p, k) {
  return p.slice().sort()[Math.max(p.length - k, 0)];
}
