/* Models: the bounds of a spec, the memory of a model, its fingerprint and sizes. pack.c fills in
 * the weights. */
#include <stdlib.h>
#include <string.h>
#include "float_mode.h"
#include "model.h"
#include "mulaw_tables.h"

#define FWN_MAX_STREAM_BYTES (1u << 30)
#define FWN_MAX_WEIGHT_BYTES (1u << 31)

/* ---- bounds ---------------------------------------------------------------------------------- */

static int between(uint32_t x, uint32_t low, uint32_t high) { return low <= x && x <= high; }

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* A row of inputs in the precision that needs most (fwn_act). */
static uint64_t row_bytes(uint64_t k)
{
    return larger(k * sizeof(float), 2 * fwn_lines(k) + sizeof(float));
}

/* Inputs of conditioning. */
static uint32_t inputs_of(const fwn_spec *s) { return s->frame_channels + s->speaker_channels; }

/* Bytes of the packed weights, at most: those of float32, and a bias of every skip product. */
static uint64_t packed_bytes(const fwn_spec *s)
{
    const uint64_t r = fwn_pad(s->residual), d = fwn_pad(s->dilation_channels),
                   sk = fwn_pad(s->skip), h = fwn_pad(s->head), q = fwn_pad(s->levels),
                   layers = s->layers;
    uint64_t numbers = (uint64_t)s->first_kernel * (s->levels + 1) * r + r;
    for (uint32_t l = 0; l < s->layers; l++) numbers += 2 * d * (s->kernels[l] * r + 1);
    numbers += (layers - 1) * r * (d + 1);
    numbers += layers * sk * (d + 1) + h * (sk + 1) + q * (h + 1);
    if (inputs_of(s)) numbers += layers * 2 * d * (fwn_pad(inputs_of(s)) + 1);
    numbers += (uint64_t)s->speakers * fwn_pad(s->speaker_channels);
    for (uint32_t i = 0; i < s->stages; i++) {
        const fwn_upsampling *stage = &s->upsampling[i];
        const uint64_t k = (uint64_t)fwn_stage_taps(stage) * stage->inputs;
        numbers += fwn_pad(stage->stride * stage->outputs) * (k + 1);
    }
    return sizeof(float) * numbers + 16 * FWN_ALIGN;
}

uint64_t fwn_most_stream_bytes(const fwn_spec *s)
{
    const uint64_t r = fwn_pad(s->residual), d = fwn_pad(s->dilation_channels),
                   sk = fwn_pad(s->skip), h = fwn_pad(s->head), q = fwn_pad(s->levels),
                   layers = s->layers, z = layers * d;
    uint64_t slots = 0, ahead = 0;
    for (uint32_t l = 0; l < s->layers; l++) {
        slots += (uint64_t)(s->kernels[l] - 1) * s->dilations[l] + FWN_BLOCK_ROWS;
        ahead += s->dilations[l] < FWN_AHEAD ? s->dilations[l] : FWN_AHEAD;
    }
    uint64_t row = sizeof(float) * (r + 2 * d + sk + h + q);
    row += larger(z * sizeof(float), fwn_lines(z) + FWN_ALIGN) + 3 * (row_bytes(sk) + row_bytes(h));
    const uint64_t frames = FWN_BLOCK_ROWS + FWN_MORE_FRAMES, inputs = fwn_pad(inputs_of(s));
    const uint64_t cond = inputs ? layers * frames * 2 * d * sizeof(float) +
                                       (frames + FWN_TILED_ROWS + 1) * row_bytes(inputs)
                                 : 0;
    return slots * row_bytes(r) + ahead * 2 * d * sizeof(float) +
           (FWN_BLOCK_ROWS + FWN_TILED_ROWS) * row + cond + (8 * layers + 64) * FWN_ALIGN;
}

/* The bounds of UpsamplingStage in fastwavenet/upsampling.py. */
static int check_stage(const fwn_upsampling *s)
{
    return between(s->inputs, 1, 4096) && between(s->outputs, 1, 4096) &&
           between(s->kernel, 1, 65536) && between(s->stride, 1, s->kernel) &&
           s->crop <= s->kernel - s->stride && s->relu <= 1;
}

/* The stages' channels fit to one another, and the last one's are those of the frames. */
static int check_upsampling(const fwn_spec *s)
{
    if (!s->stages) return 1;
    if (s->stages > FWN_MAX_STAGES || !s->upsampling) return 0;
    uint64_t hop = s->frame_hop;
    for (uint32_t i = 0; i < s->stages; i++) {
        const uint32_t next = i + 1 < s->stages ? s->upsampling[i + 1].inputs : s->frame_channels;
        if (!check_stage(&s->upsampling[i]) || s->upsampling[i].outputs != next) return 0;
        hop *= s->upsampling[i].stride;
        if (hop > 65536) return 0;
    }
    return 1;
}

/* The bounds of FrameConditioning in fastwavenet/ends.py. */
static int check_conditioning(const fwn_spec *s)
{
    if (!check_upsampling(s)) return 0;
    if (!inputs_of(s)) return !s->frame_hop && !s->frame_linear && !s->speakers;
    return between(s->frame_channels, 0, 4096) && between(s->frame_hop, 1, 65536) &&
           s->frame_linear <= 1 && between(s->speaker_channels, 0, 4096) &&
           between(s->speakers, 0, 65536) && !s->speakers == !s->speaker_channels;
}

/* The bounds of WaveNetSpec in fastwavenet/spec.py. */
static int check_spec(const fwn_spec *s)
{
    if (!between(s->levels, 2, 65536) || !between(s->residual, 1, 4096) ||
        !between(s->dilation_channels, 1, 4096) || !between(s->skip, 1, 4096) ||
        !between(s->head, 1, 4096) || !between(s->first_kernel, 1, 32) ||
        !between(s->layers, 1, FWN_MAX_LAYERS) || !s->kernels || !s->dilations ||
        s->start_code >= s->levels || s->first_tanh > 1 || s->first_from_start > 1 ||
        !check_conditioning(s) || (s->codec && !fwn_codec_check(s->codec, s->levels)))
        return FWN_BAD_SPEC;
    for (uint32_t l = 0; l < s->layers; l++) {
        if (!between(s->kernels[l], 2, 32) || !between(s->dilations[l], 1, 1u << 20))
            return FWN_BAD_SPEC;
    }
    const int fits =
        fwn_most_stream_bytes(s) <= FWN_MAX_STREAM_BYTES && packed_bytes(s) <= FWN_MAX_WEIGHT_BYTES;
    return fits ? FWN_OK : FWN_BAD_SPEC;
}

/* ---- create ---------------------------------------------------------------------------------- */

/* The layers' sizes, and a copy of the spec's arrays. */
static void plan(fwn_model *m, const fwn_spec *spec, fwn_arena *arena)
{
    uint32_t *kernels = fwn_arena_take(arena, spec->layers, sizeof *kernels);
    uint32_t *dilations = fwn_arena_take(arena, spec->layers, sizeof *dilations);
    fwn_layer *layers = fwn_arena_take(arena, spec->layers, sizeof *layers);
    fwn_upsampling *upsampling = fwn_arena_take(arena, spec->stages, sizeof *upsampling);
    m->stage = fwn_arena_take(arena, spec->stages, sizeof *m->stage);
    for (uint32_t l = 0; l < spec->layers; l++) {
        const uint32_t taps = spec->kernels[l], dilation = spec->dilations[l];
        fwn_mat *tap = fwn_arena_take(arena, taps, sizeof *tap);
        if (!arena->base) continue;
        kernels[l] = taps;
        dilations[l] = dilation;
        layers[l] = (fwn_layer){
            .dilation = dilation, .taps = taps, .past = (taps - 1) * dilation, .tap = tap};
    }
    if (!arena->base) return;
    m->spec = *spec;
    m->spec.kernels = kernels;
    m->spec.dilations = dilations;
    m->spec.codec = &m->codec;
    m->spec.upsampling = upsampling;
    if (spec->stages) memcpy(upsampling, spec->upsampling, spec->stages * sizeof *upsampling);
    m->codec = spec->codec ? *spec->codec : fwn_codec_symmetric(spec->levels);
    m->layers = layers;
    m->Rp = fwn_pad(spec->residual);
    m->Dp = fwn_pad(spec->dilation_channels);
    m->Sp = fwn_pad(spec->skip);
    m->Hp = fwn_pad(spec->head);
    m->Qp = fwn_pad(spec->levels);
    m->Up = fwn_pad(inputs_of(spec));
}

static size_t values(const fwn_tensor *t)
{
    size_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++) n *= t->shape[i];
    return n;
}

/* Whether no value is NaN or infinite: the smaller number formats would turn those into numbers. */
static int is_finite(const fwn_tensor *t)
{
    const size_t n = values(t);
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, t->data + i, sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

/* Independent of the order of the tensors.  Of the codec, only pre-emphasis affects states. */
static uint64_t fingerprint(const fwn_spec *s, int precision, const fwn_tensor *tensors,
                            size_t count)
{
    const uint32_t sizes[] = {s->levels,       s->residual, s->dilation_channels, s->skip, s->head,
                              s->first_kernel, s->layers,   s->start_code};
    uint64_t h = fwn_hash(1 + (uint64_t)precision, sizes, sizeof sizes / 4);
    h = fwn_hash(h, s->kernels, s->layers);
    h = fwn_hash(h, s->dilations, s->layers);
    const uint32_t cond[] = {s->frame_channels, s->frame_hop, s->frame_linear, s->speakers,
                             s->speaker_channels};
    const uint32_t first[] = {s->first_tanh, s->first_from_start};
    if (s->first_tanh || s->first_from_start) h = fwn_hash(h, first, 2);
    if (inputs_of(s)) h = fwn_hash(h, cond, sizeof cond / 4);
    h = fwn_hash(h, s->upsampling, s->stages * sizeof *s->upsampling / 4);
    if (s->codec && s->codec->pre_emphasis > 0.0)
        h = fwn_hash(h, &s->codec->pre_emphasis, sizeof s->codec->pre_emphasis / 4);
    for (size_t i = 0; i < count; i++) {
        const fwn_tensor *t = &tensors[i];
        uint64_t name = 0;
        for (const char *c = t->name; *c; c++) name = name * 31 + (unsigned char)*c;
        h += fwn_hash(name, t->data, values(t));
    }
    return h;
}

FWN_IN_OUR_MODE static int build(fwn_model *m, const fwn_spec *spec, const fwn_tensor *tensors,
                                 size_t count)
{
    fwn_arena sizes = {NULL, 0}, weights = {NULL, 0}, apart = {NULL, 0};
    plan(m, spec, &sizes);
    m->plan = fwn_arena_memory(sizes.used);
    if (!m->plan) return FWN_NO_MEMORY;
    sizes = (fwn_arena){m->plan, 0};
    plan(m, spec, &sizes);
    const int error = fwn_pack(m, &weights, &apart, tensors, count);
    if (error) return error;
    for (size_t i = 0; i < count; i++)
        if (!is_finite(&tensors[i])) return FWN_BAD_TENSOR;
    m->arena_bytes = weights.used + apart.used;
    m->arena = fwn_arena_memory(m->arena_bytes);
    if (!m->arena) return FWN_NO_MEMORY;
    apart = (fwn_arena){(char *)m->arena + weights.used, 0};
    weights = (fwn_arena){m->arena, 0};
    fwn_pack(m, &weights, &apart, tensors, count);
    m->fingerprint = fingerprint(spec, m->precision, tensors, count);
    return fwn_mulaw_create(spec->levels, &m->codec, &m->mulaw);
}

int fwn_model_create(const fwn_spec *spec, const fwn_tensor *tensors, size_t count, int precision,
                     fwn_model **out)
{
    if (!spec || !tensors || !out || !fwn_precision_name(precision)) return FWN_BAD_ARGUMENT;
    int error = check_spec(spec);
    if (error) return error;
    fwn_model *m = calloc(1, sizeof *m);
    if (!m) return FWN_NO_MEMORY;
    m->precision = precision;
    const fwn_float_mode host = fwn_set_mode();
    error = build(m, spec, tensors, count);
    fwn_restore_mode(host);
    if (error) fwn_model_destroy(m);
    else *out = m;
    return error;
}

void fwn_model_destroy(fwn_model *m)
{
    if (!m) return;
    fwn_mulaw_destroy(m->mulaw);
    free(m->arena);
    free(m->plan);
    free(m);
}

int fwn_model_info(const fwn_model *m, fwn_info *out)
{
    if (!m || !out) return FWN_BAD_ARGUMENT;
    size_t step =
        fwn_mat_bytes(m, &m->skip) + fwn_mat_bytes(m, &m->hidden) + fwn_mat_bytes(m, &m->output);
    step += (size_t)(m->spec.first_kernel + 1) * m->Rp * sizeof(float);
    for (uint32_t l = 0; l < m->spec.layers; l++) {
        const fwn_layer *layer = &m->layers[l];
        const uint32_t ahead = layer->dilation < FWN_AHEAD ? layer->dilation : FWN_AHEAD;
        for (uint32_t j = 0; j < layer->taps; j++)
            step += fwn_mat_bytes(m, &layer->tap[j]) / (j + 1 < layer->taps ? ahead : 1);
        if (l + 1 < m->spec.layers) step += fwn_mat_bytes(m, &layer->residual);
    }
    *out = (fwn_info){m->arena_bytes, step, m->fingerprint, m->arena};
    return FWN_OK;
}
