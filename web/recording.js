/** Recordings as audio at a model's rate. */

const QUIET = 1e-4; // of full scale: below it there is no sound

/**
 * Decodes a file of any kind that the browser plays, mixes it to one channel and resamples it.
 * @param {Blob|ArrayBuffer} source @param {number} sampleRate Hz of the result
 * @param {{maxSeconds?: number}} [options] from where on it is cut off
 * @returns {Promise<Float32Array>}
 * @throws {Error} for a file without sound, with a sentence for the page
 */
export async function readRecording(source, sampleRate, { maxSeconds = 60 } = {}) {
  const data = source instanceof Blob ? await source.arrayBuffer() : source.slice(0);
  const decoder = new OfflineAudioContext(1, 1, sampleRate); // decoding resamples to its rate
  const decoded = await decoder.decodeAudioData(data).catch(() => null);
  if (!decoded) {
    throw new Error("the file is no recording that this browser can read: try WAV, FLAC, MP3 or Ogg");
  }
  const audio = mixed(decoded).slice(0, Math.round(maxSeconds * sampleRate));
  if (!audio.some((sample) => Math.abs(sample) > QUIET)) {
    throw new Error("the recording holds no sound: expected some samples above -80 dB");
  }
  return audio;
}

/** The mean of all channels.  @param {AudioBuffer} buffer */
function mixed(buffer) {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c));
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, i) => {
    return channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length;
  });
}
