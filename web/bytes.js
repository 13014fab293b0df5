/** The bytes of files: read in parts, bounded, without gzip. */

import { ModelFormatError } from "./checks.js";

const GZIP = [0x1f, 0x8b];

/** @param {number} size @param {number} maxBytes */
export function checkSize(size, maxBytes) {
  if (size <= maxBytes) return;
  /** @type {(bytes: number) => string} */
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  throw new ModelFormatError(
    `the file has ${megabytes(size)}, expected at most ${megabytes(maxBytes)}: ` +
      `larger models run in Python and C`,
  );
}

/** @param {Response} response @param {number} maxBytes
 * @param {(done: number, total: number|null) => void} progress
 */
export async function readAll(response, maxBytes, progress) {
  const total = Number(response.headers.get("content-length")) || null;
  checkSize(total ?? 0, maxBytes);
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const parts = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    checkSize((size += value.length), maxBytes);
    progress(size, total);
  }
  return new Blob(/** @type {BlobPart[]} */ (parts)).arrayBuffer();
}

/** A file's bytes without gzip.  @param {ArrayBuffer} data @param {number} maxBytes */
export async function unpacked(data, maxBytes) {
  const head = new Uint8Array(data, 0, Math.min(2, data.byteLength));
  if (head.length < 2 || !GZIP.every((byte, i) => head[i] === byte)) return data;
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"));
  try {
    return await readAll(new Response(stream), maxBytes, () => {});
  } catch (error) {
    if (error instanceof ModelFormatError) throw error;
    throw new ModelFormatError("not a whole file of gzip: its compressed bytes are damaged");
  }
}
