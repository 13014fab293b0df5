/* Models from the dumps of dump_model.py, numbers from arguments, and the end of a program by an
 * error.  PROGRAM is the name in messages. */
#ifndef DUMP_H
#define DUMP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fastwavenet.h"

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", PROGRAM, what, why);
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
        if (!t.shape[i] || t.shape[i] > b->left / sizeof(float) / count)
            fail("dump", "ends too soon");
        count *= t.shape[i];
    }
    t.data = take(b, count * sizeof(float));
    return t;
}

typedef struct {
    fwn_model *model;
    uint32_t sample_rate, channels, hop, speakers; /* as in fwn_spec */
} dump;

/* magic; sample rate; the sizes of fwn_spec, after start_code the conditioning and the precision;
 * number of tensors; kernels; dilations; tensors.
 * What is wrong with the sizes and tensors, fwn_model_create finds. */
static dump take_model(bytes b)
{
    fwn_spec spec = {.codec = NULL}; /* the usual one: dump_model.py refuses others */
    fwn_model *model;
    if (memcmp(take(&b, 8), "FWNDUMP3", 8)) fail("dump", "was not written by dump_model.py");
    const uint32_t sample_rate = take_number(&b);
    spec.levels = take_number(&b);
    spec.residual = take_number(&b);
    spec.dilation_channels = take_number(&b);
    spec.skip = take_number(&b);
    spec.head = take_number(&b);
    spec.first_kernel = take_number(&b);
    spec.start_code = take_number(&b);
    spec.frame_channels = take_number(&b);
    spec.frame_hop = take_number(&b);
    spec.frame_linear = take_number(&b);
    spec.speakers = take_number(&b);
    spec.speaker_channels = take_number(&b);
    const int precision = (int)take_number(&b);
    spec.layers = take_number(&b);
    const uint32_t count = take_number(&b);
    if (sample_rate < 1 || sample_rate > 768000) fail("dump", "has an impossible sample rate");
    if (spec.layers > 512 || count > 4096) fail("dump", "has too many layers or tensors");
    spec.kernels = take(&b, spec.layers * sizeof(uint32_t));
    spec.dilations = take(&b, spec.layers * sizeof(uint32_t));
    fwn_tensor *tensors = calloc(count + 1, sizeof *tensors);
    if (!tensors) fail("model", "out of memory");
    for (uint32_t i = 0; i < count; i++) tensors[i] = take_tensor(&b);
    if (b.left) fail("dump", "goes on after the last tensor");
    check("model", fwn_model_create(&spec, tensors, count, precision, &model));
    free(tensors); /* the model has copies of its own */
    return (dump){model, sample_rate, spec.frame_channels, spec.frame_hop, spec.speakers};
}

static dump load(const char *path)
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
    const dump loaded = take_model((bytes){data, (size_t)size});
    free(data);
    return loaded;
}

/* ---- arguments, instruction set, output ---------------------------------------------------------- */

static double number(const char *name, const char *text, double most)
{
    char *end;
    const double x = strtod(text, &end);
    if (end == text || *end || !(x >= 0 && x <= most)) fail(name, "is not a number in range");
    return x;
}

/* The best instruction set of this machine. */
static int best_isa(void)
{
    int isas[FWN_ISAS];
    return isas[fwn_isa_list(isas, FWN_ISAS) - 1];
}

static void put(const void *data, size_t size)
{
    if (fwrite(data, 1, size, stdout) != size) fail("output", strerror(errno));
}

#endif
