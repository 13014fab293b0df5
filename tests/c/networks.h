/* Shared by the programs of this folder: random numbers, networks, streams and results, equal on
 * every machine. */
#ifndef NETWORKS_H
#define NETWORKS_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fastwavenet.h"
#include "kernels/philox.h"

#define CHECK(claim)                                                          \
    do {                                                                      \
        if (claim) break;                                                     \
        fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #claim); \
        exit(1);                                                              \
    } while (0)
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- numbers --------------------------------------------------------------------------------- */

static uint64_t random_step; /* of the next random word */
static inline uint32_t random_word(void) { return fwn_philox(1, random_step++, 0); }
static inline float random_float(void) { return (float)(random_word() >> 8) * 0x1p-23f - 1.0f; }
static inline uint32_t below(uint32_t n) { return random_word() % n; }

/* FNV-1a of bytes, continuing from h; EMPTY of none. */
#define EMPTY 0xCBF29CE484222325u
static inline uint64_t digest(uint64_t h, const void *bytes, size_t count)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < count; i++) h = (h ^ at[i]) * 0x100000001B3u;
    return h;
}

/* ---- random networks ------------------------------------------------------------------------- */

enum { MOST_TENSORS = 48, MOST_STAGES = 3, MOST_STAGE_VALUES = 8000 };

typedef struct {
    fwn_spec spec;
    fwn_codec codec; /* of spec.codec, unless that is NULL */
    uint32_t kernels[5], dilations[5];
    fwn_tensor tensors[MOST_TENSORS];
    size_t count;
    char names[MOST_TENSORS][48];
    float *values; /* of all tensors but the upsampling's, one after the other */
    size_t used;
    fwn_upsampling upsampling[MOST_STAGES];
    float stage_values[MOST_STAGE_VALUES];
} network;

typedef struct {
    uint32_t channels, hop, linear, speakers, speaker_channels;
} conditioning;

/* {levels, residual, dilation channels, skip, head, first kernel, layers}, kernels, dilations */
typedef struct {
    uint32_t sizes[7], kernels[5], dilations[5];
    int bias;
    conditioning cond; /* channels 0 without */
} shape;

static const shape NETWORKS[] = {
    {{16, 4, 3, 6, 5, 2, 3}, {2, 2, 2}, {1, 2, 4}, 1, {0}},
    {{256, 17, 3, 33, 16, 1, 4}, {3, 3, 3, 3}, {1, 5, 16, 17}, 1, {0}},
    {{300, 1, 1, 1, 1, 3, 1}, {4}, {9}, 0, {0}},
    {{2, 32, 16, 1, 48, 2, 2}, {2, 3}, {40, 15}, 1, {0}},
    /* int8 sums more than one block of inputs */
    {{3, 513, 2, 530, 3, 1, 2}, {2, 2}, {1, 3}, 1, {0}},
};

static inline void add(network *net, const char *name, uint32_t a, uint32_t b, uint32_t c,
                       float scale)
{
    const size_t size = (size_t)a * (b ? b : 1) * (c ? c : 1);
    fwn_tensor *t = &net->tensors[net->count];
    snprintf(net->names[net->count++], sizeof net->names[0], "%s", name);
    t->name = net->names[net->count - 1];
    t->data = net->values + net->used;
    t->rank = c ? 3 : b ? 2 : 1;
    t->shape[0] = a, t->shape[1] = b, t->shape[2] = c;
    for (size_t i = 0; i < size; i++) net->values[net->used + i] = random_float() * scale;
    net->used += size;
}

static inline void add_conv(network *net, const char *name, uint32_t outs, uint32_t ins,
                            uint32_t taps, int bias)
{
    char full[48];
    snprintf(full, sizeof full, "%s.weight", name);
    add(net, full, outs, ins, taps, 2.0f / sqrtf((float)(ins * taps)));
    snprintf(full, sizeof full, "%s.bias", name);
    if (bias) add(net, full, outs, 0, 0, 0.3f);
}

static inline size_t numbers_of(const shape *of)
{
    const uint32_t *n = of->sizes;
    size_t numbers = (size_t)(n[5] * n[0] + 1) * n[1] + (size_t)n[4] * (n[3] + n[0] + 1) + n[0];
    for (uint32_t l = 0; l < n[6]; l++)
        numbers += (size_t)n[2] * (2 * of->kernels[l] * n[1] + 2 + n[1] + n[3]) + n[1] + n[3];
    const uint32_t inputs = of->cond.channels + of->cond.speaker_channels;
    return numbers + (size_t)n[6] * 2 * n[2] * inputs +
           (size_t)of->cond.speakers * of->cond.speaker_channels;
}

static inline fwn_spec spec_of(const shape *of, const network *net)
{
    const uint32_t *n = of->sizes;
    return (fwn_spec){.levels = n[0],
                      .residual = n[1],
                      .dilation_channels = n[2],
                      .skip = n[3],
                      .head = n[4],
                      .first_kernel = n[5],
                      .layers = n[6],
                      .kernels = net->kernels,
                      .dilations = net->dilations,
                      .start_code = n[0] / 2,
                      .frame_channels = of->cond.channels,
                      .frame_hop = of->cond.hop,
                      .frame_linear = of->cond.linear,
                      .speakers = of->cond.speakers,
                      .speaker_channels = of->cond.speaker_channels};
}

static inline void add_conditioning(network *net, const conditioning *of)
{
    const uint32_t inputs = of->channels + of->speaker_channels;
    char name[48];
    for (uint32_t l = 0; inputs && l < net->spec.layers; l++) {
        snprintf(name, sizeof name, "layers.%u.conditioning", (unsigned)l);
        add_conv(net, name, 2 * net->spec.dilation_channels, inputs, 1, 0);
    }
    if (of->speakers)
        add(net, "conditioning.speakers.weight", of->speakers, of->speaker_channels, 0, 1.0f);
}

static inline network *network_of(const shape *of)
{
    network *net = calloc(1, sizeof *net);
    const uint32_t *n = of->sizes;
    const int bias = of->bias;
    char name[32];
    net->values = calloc(numbers_of(of), sizeof(float));
    memcpy(net->kernels, of->kernels, sizeof net->kernels);
    memcpy(net->dilations, of->dilations, sizeof net->dilations);
    net->spec = spec_of(of, net);
    add(net, "first.weight", n[5], n[0], n[1], 1.0f);
    if (bias) add(net, "first.bias", n[1], 0, 0, 0.3f);
    for (uint32_t l = 0; l < n[6]; l++) {
        snprintf(name, sizeof name, "layers.%u.dilated", (unsigned)l);
        add_conv(net, name, 2 * n[2], n[1], net->kernels[l], bias);
        snprintf(name, sizeof name, "layers.%u.residual", (unsigned)l);
        if (l + 1 < n[6]) add_conv(net, name, n[1], n[2], 1, bias);
        snprintf(name, sizeof name, "layers.%u.skip", (unsigned)l);
        add_conv(net, name, n[3], n[2], 1, bias);
    }
    add_conv(net, "head.hidden", n[4], n[3], 1, bias);
    add_conv(net, "head.output", n[0], n[4], 1, bias);
    add_conditioning(net, &of->cond);
    return net;
}

/* Adds stages of upsampling, the last of which has the outputs of the network's frame channels. */
static inline void add_upsampling(network *net, const fwn_upsampling *stages, uint32_t count)
{
    float *values = net->stage_values;
    for (uint32_t i = 0; i < count; i++) {
        const fwn_upsampling *s = &stages[i];
        const int transposed = s->stride > 1;
        const uint32_t sides[] = {transposed ? s->inputs : s->outputs,
                                  transposed ? s->outputs : s->inputs};
        fwn_tensor *t = &net->tensors[net->count];
        const size_t weights = (size_t)s->inputs * s->outputs * s->kernel;
        CHECK(net->count + 2 <= MOST_TENSORS);
        CHECK(values + weights + s->outputs <= net->stage_values + MOST_STAGE_VALUES);
        t[0] = (fwn_tensor){net->names[net->count], values, 3, {sides[0], sides[1], s->kernel}};
        t[1] = (fwn_tensor){net->names[net->count + 1], values + weights, 1, {s->outputs}};
        snprintf(net->names[net->count], sizeof net->names[0], "conditioning.upsampling.%u.weight",
                 (unsigned)i);
        snprintf(net->names[net->count + 1], sizeof net->names[0],
                 "conditioning.upsampling.%u.bias", (unsigned)i);
        net->count += 2;
        for (size_t k = 0; k < weights + s->outputs; k++) *values++ = random_float();
        net->upsampling[i] = *s;
    }
    net->spec.upsampling = net->upsampling;
    net->spec.stages = count;
}

static inline network *random_network(size_t which) { return network_of(&NETWORKS[which]); }

static inline void free_network(network *net)
{
    free(net->values);
    free(net);
}

static inline fwn_model *model_of(const network *net, int precision)
{
    fwn_model *model = NULL;
    CHECK(fwn_model_create(&net->spec, net->tensors, net->count, precision, &model) == FWN_OK);
    return model;
}

static inline fwn_model *random_model(size_t which, int precision)
{
    network *net = random_network(which);
    fwn_model *model = model_of(net, precision);
    free_network(net); /* the model keeps nothing of it */
    return model;
}

static inline fwn_stream *stream_of(const fwn_model *model, int isa, uint32_t rows)
{
    fwn_stream *stream = NULL;
    CHECK(fwn_stream_create(model, isa, rows, 1, &stream) == FWN_OK);
    for (uint32_t row = 0; row < rows; row++) CHECK(!fwn_stream_reset(stream, row, 7, row));
    return stream;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static inline float *random_frames(size_t count)
{
    float *frames = malloc(count * sizeof *frames);
    for (size_t i = 0; i < count; i++) frames[i] = random_float();
    return frames;
}

/* ---- steps ----------------------------------------------------------------------------------- */

typedef struct {
    uint16_t *codes;      /* [rows][n] */
    float *audio, *logp;  /* [rows][n] */
    float *logits;        /* [rows][n][levels] */
    size_t steps, levels; /* rows * n */
} result;

static inline result new_result(size_t steps, size_t levels)
{
    return (result){malloc(steps * sizeof(uint16_t)),
                    malloc(steps * sizeof(float)),
                    malloc(steps * sizeof(float)),
                    malloc(steps * levels * sizeof(float)),
                    steps,
                    levels};
}

static inline void free_result(result *r)
{
    free(r->codes);
    free(r->audio);
    free(r->logp);
    free(r->logits);
}

static inline fwn_io io_of(result *r, uint32_t n)
{
    return (fwn_io){.n = n,
                    .temperature = 1.0f,
                    .codes = r->codes,
                    .audio = r->audio,
                    .logp = r->logp,
                    .logits = r->logits};
}

#endif
