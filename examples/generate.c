/* Generates sound with the C engine alone:
 *
 *     python examples/dump_model.py voice.safetensors voice.dump
 *     generate voice.dump 64000 7 1 > out.wav            (samples, seed, temperature)
 *
 * docs/c-api.md says how to compile it, and explains each call.  The samples are those of
 * fastwavenet.generate(model, n_samples=64000, seed=7, temperature=1), on every machine. */
#define PROGRAM "generate"
#include <math.h>
#include "dump.h"

/* ---- sound -------------------------------------------------------------------------------------- */

/* The header of n 16-bit mono samples; the host is little-endian, as WAV is. */
static void put_header(uint32_t n, uint32_t sample_rate)
{
    const struct {
        char riff[4];
        uint32_t size;
        char wave[4], format[4];
        uint32_t format_size;
        uint16_t pcm, channels;
        uint32_t sample_rate, bytes_per_second;
        uint16_t bytes_per_frame, bits;
        char data[4];
        uint32_t data_size;
    } header = {"RIFF", 36 + 2 * n, "WAVE", "fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16,
                "data", 2 * n};
    put(&header, sizeof header);
}

static void put_samples(const float *audio, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const float x = rintf(32768.0f * audio[i]);
        const int16_t sample = (int16_t)(x > 32767.0f ? 32767.0f : x); /* audio is never below -1 */
        put(&sample, sizeof sample);
    }
}

/* n samples of one voice, a block at a time: how it is cut changes no sample. */
static void generate(const fwn_model *model, uint32_t n, uint64_t seed, float temperature)
{
    enum { BLOCK = 1024 };
    float audio[BLOCK];
    fwn_stream *stream;
    check("stream", fwn_stream_create(model, best_isa(), 1, 1, &stream));
    check("stream", fwn_stream_reset(stream, 0, seed, 0));
    for (uint32_t done = 0; done < n; done += BLOCK) {
        const uint32_t m = n - done < BLOCK ? n - done : BLOCK;
        const fwn_io io = {.n = m, .temperature = temperature, .audio = audio};
        check("generate", fwn_run(stream, &io));
        put_samples(audio, m);
    }
    fwn_stream_destroy(stream);
}

int main(int count, char **arguments)
{
    if (count != 5) fail("usage", "generate MODEL.dump SAMPLES SEED TEMPERATURE > out.wav");
    const uint32_t n = (uint32_t)number("SAMPLES", arguments[2], 0x7fffffd0);
    const uint64_t seed = (uint64_t)number("SEED", arguments[3], 0x1p53); /* exact in a double */
    const float temperature = (float)number("TEMPERATURE", arguments[4], 1000);
    const dump voice = load(arguments[1]);
    if (voice.channels || voice.speakers) fail("model", "needs frames or a speaker: use vocode");
    put_header(n, voice.sample_rate);
    generate(voice.model, n, seed, temperature);
    fwn_model_destroy(voice.model);
    if (fflush(stdout)) fail("output", strerror(errno));
    return 0;
}
