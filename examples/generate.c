/* Generates sound with the C engine alone:
 *
 *     python examples/dump_model.py voice.safetensors voice.dump
 *     generate voice.dump 64000 7 1 > out.wav            (samples, seed, temperature)
 *
 * docs/c-api.md says how to compile it, and explains each call.  The samples are those of
 * fastwavenet.generate(model, n_samples=64000, seed=7, temperature=1), on every machine. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fastwavenet.h"

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "generate: %s: %s\n", what, why);
    exit(1);
}

static void check(const char *what, int error)
{
    if (error) fail(what, fwn_strerror(error));
}

/* ---- the dump: 32-bit little-endian numbers, read where they lie ------------------------------- */

typedef struct {
    const char *at;
    size_t left;
} bytes;

static const void *take(bytes *b, size_t size)
{
    const void *at = b->at;
    if (size > b->left) fail("dump", "ends too soon");
    b->at += size;
    b->left -= size;
    return at;
}

static uint32_t take_number(bytes *b) { return *(const uint32_t *)take(b, sizeof(uint32_t)); }

/* char name[64]; rank; shape[4]; float32 values */
static fwn_tensor take_tensor(bytes *b)
{
    fwn_tensor t = {.name = take(b, 64)};
    size_t count = 1;
    if (!memchr(t.name, 0, 64)) fail("dump", "holds a name without an end");
    t.rank = take_number(b);
    if (t.rank > 4) fail("dump", "holds a tensor of too many dimensions");
    for (uint32_t i = 0; i < 4; i++) {
        t.shape[i] = take_number(b);
        if (i >= t.rank) continue;
        if (!t.shape[i] || t.shape[i] > b->left / sizeof(float) / count) fail("dump", "ends too soon");
        count *= t.shape[i];
    }
    t.data = take(b, count * sizeof(float));
    return t;
}

/* magic; sample rate; the sizes of fwn_spec, after start_code the precision; number of tensors;
 * kernels; dilations; tensors.
 * What is wrong with the sizes and tensors, fwn_model_create finds. */
static fwn_model *take_model(bytes b, uint32_t *sample_rate)
{
    fwn_spec spec = {.codec = NULL}; /* the usual one: dump_model.py refuses others */
    fwn_model *model;
    if (memcmp(take(&b, 8), "FWNDUMP2", 8)) fail("dump", "was not written by dump_model.py");
    *sample_rate = take_number(&b);
    spec.levels = take_number(&b);
    spec.residual = take_number(&b);
    spec.dilation_channels = take_number(&b);
    spec.skip = take_number(&b);
    spec.head = take_number(&b);
    spec.first_kernel = take_number(&b);
    spec.start_code = take_number(&b);
    const int precision = (int)take_number(&b);
    spec.layers = take_number(&b);
    const uint32_t count = take_number(&b);
    if (*sample_rate < 1 || *sample_rate > 768000) fail("dump", "has an impossible sample rate");
    if (spec.layers > 512 || count > 4096) fail("dump", "has too many layers or tensors");
    spec.kernels = take(&b, spec.layers * sizeof(uint32_t));
    spec.dilations = take(&b, spec.layers * sizeof(uint32_t));
    fwn_tensor *tensors = calloc(count + 1, sizeof *tensors);
    if (!tensors) fail("model", "out of memory");
    for (uint32_t i = 0; i < count; i++) tensors[i] = take_tensor(&b);
    if (b.left) fail("dump", "goes on after the last tensor");
    check("model", fwn_model_create(&spec, tensors, count, precision, &model));
    free(tensors); /* the model has copies of its own */
    return model;
}

static fwn_model *load(const char *path, uint32_t *sample_rate)
{
    FILE *file = fopen(path, "rb");
    if (!file) fail(path, strerror(errno));
    fseek(file, 0, SEEK_END);
    const long size = ftell(file);
    if (size < 0 || size >= 0x7fffffff) fail(path, "is not a file of less than 2 GiB");
    rewind(file);
    char *data = malloc((size_t)size + 1);
    if (!data) fail(path, "out of memory");
    if (fread(data, 1, (size_t)size, file) != (size_t)size) fail(path, "cannot be read");
    fclose(file);
    fwn_model *model = take_model((bytes){data, (size_t)size}, sample_rate);
    free(data);
    return model;
}

/* ---- sound -------------------------------------------------------------------------------------- */

static void put(const void *data, size_t size)
{
    if (fwrite(data, 1, size, stdout) != size) fail("output", strerror(errno));
}

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
    int isas[FWN_ISAS];
    fwn_stream *stream;
    const int best = isas[fwn_isa_list(isas, FWN_ISAS) - 1];
    check("stream", fwn_stream_create(model, best, 1, 1, &stream));
    check("stream", fwn_stream_reset(stream, 0, seed, 0));
    for (uint32_t done = 0; done < n; done += BLOCK) {
        const uint32_t m = n - done < BLOCK ? n - done : BLOCK;
        const fwn_io io = {.n = m, .temperature = temperature, .audio = audio};
        check("generate", fwn_run(stream, &io));
        put_samples(audio, m);
    }
    fwn_stream_destroy(stream);
}

static double number(const char *name, const char *text, double most)
{
    char *end;
    const double x = strtod(text, &end);
    if (end == text || *end || !(x >= 0 && x <= most)) fail(name, "is not a number in range");
    return x;
}

int main(int count, char **arguments)
{
    if (count != 5) fail("usage", "generate MODEL.dump SAMPLES SEED TEMPERATURE > out.wav");
    uint32_t sample_rate;
    const uint32_t n = (uint32_t)number("SAMPLES", arguments[2], 0x7fffffd0);
    const uint64_t seed = (uint64_t)number("SEED", arguments[3], 0x1p53); /* exact in a double */
    const float temperature = (float)number("TEMPERATURE", arguments[4], 1000);
    fwn_model *model = load(arguments[1], &sample_rate);
    put_header(n, sample_rate);
    generate(model, n, seed, temperature);
    fwn_model_destroy(model);
    if (fflush(stdout)) fail("output", strerror(errno));
    return 0;
}
