/* The model: checks the spec and the tensors, and packs the weights into the form that flow.h
 * reads.  All ugliness (transposing, padding, folding) happens here, once. */
#include <math.h>
#include <stdio.h> /* snprintf */
#include <stdlib.h>
#include <string.h>
#include "float_mode.h"
#include "model.h"
#include "mulaw_tables.h"
#ifdef __linux__
#include <sys/mman.h>
#endif

/* ---- memory ------------------------------------------------------------------------------------ */

#define FWN_MAX_LAYERS 512
#define FWN_MAX_VOICE_BYTES (1u << 30)
#define FWN_MAX_WEIGHT_BYTES (1u << 31)
#define FWN_HUGE_PAGE ((size_t)2 << 20)

void *fwn_take(fwn_arena *arena, size_t count, size_t size)
{
    void *at = arena->base ? arena->base + arena->used : NULL;
    arena->used += (count * size + FWN_ALIGN - 1) / FWN_ALIGN * FWN_ALIGN;
    return at;
}

void *fwn_arena_memory(size_t bytes)
{
    const size_t page = bytes < FWN_HUGE_PAGE / 2 ? FWN_ALIGN : FWN_HUGE_PAGE;
    bytes = (bytes + page - 1) / page * page;
    void *memory = aligned_alloc(page, bytes ? bytes : page);
    if (!memory) return NULL;
#ifdef MADV_HUGEPAGE
    /* With small pages about half of the L2 cache goes unused; see bench/NOTES.md. */
    if (page == FWN_HUGE_PAGE) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    memset(memory, 0, bytes);
    return memory;
}

uint64_t fwn_hash(uint64_t h, const void *words, size_t count)
{
    const unsigned char *at = words;
    for (size_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, at + 4 * i, sizeof word);
        h = (h ^ word) * 0x9E3779B97F4A7C15u;
        h ^= h >> 32;
    }
    return h;
}

/* ---- what is asked for ------------------------------------------------------------------------- */

static int between(uint32_t x, uint32_t low, uint32_t high) { return low <= x && x <= high; }

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }
static uint64_t lines(uint64_t bytes) { return (bytes + FWN_ALIGN - 1) / FWN_ALIGN * FWN_ALIGN; }

/* A row of inputs in the precision that needs most (fwn_act). */
static uint64_t row_bytes(uint64_t k) { return larger(k * sizeof(float), 2 * lines(k) + sizeof(float)); }

/* Bytes of the packed weights, at most: those of float32, and a bias of every skip product. */
static uint64_t packed_bytes(const fwn_spec *s)
{
    const uint64_t r = fwn_pad(s->residual), d = fwn_pad(s->dilation_channels), sk = fwn_pad(s->skip),
                   h = fwn_pad(s->head), q = fwn_pad(s->levels), layers = s->layers;
    uint64_t numbers = (uint64_t)s->first_kernel * (s->levels + 1) * r + r;
    for (uint32_t l = 0; l < s->layers; l++) numbers += 2 * d * (s->kernels[l] * r + 1);
    numbers += (layers - 1) * r * (d + 1);
    numbers += layers * sk * (d + 1) + h * (sk + 1) + q * (h + 1);
    return sizeof(float) * numbers + 16 * FWN_ALIGN;
}

/* Bytes of a stream of one row, at most, in the precision that needs most: see lay_out in stream.c. */
static uint64_t voice_bytes(const fwn_spec *s)
{
    const uint64_t r = fwn_pad(s->residual), d = fwn_pad(s->dilation_channels), sk = fwn_pad(s->skip),
                   h = fwn_pad(s->head), q = fwn_pad(s->levels), layers = s->layers, z = layers * d;
    uint64_t slots = 0, ahead = 0;
    for (uint32_t l = 0; l < s->layers; l++) {
        slots += (uint64_t)(s->kernels[l] - 1) * s->dilations[l] + FWN_BLOCK_ROWS;
        ahead += s->dilations[l] < FWN_AHEAD ? s->dilations[l] : FWN_AHEAD;
    }
    uint64_t row = sizeof(float) * (r + 2 * d + sk + h + q);
    row += larger(z * sizeof(float), lines(z) + FWN_ALIGN) + 3 * (row_bytes(sk) + row_bytes(h));
    return slots * row_bytes(r) + ahead * 2 * d * sizeof(float) + (FWN_BLOCK_ROWS + FWN_TILE) * row +
           (8 * layers + 64) * FWN_ALIGN;
}

/* WaveNetSpec in fastwavenet/spec.py has the same bounds. */
static int check_spec(const fwn_spec *s)
{
    if (!between(s->levels, 2, 65536) || !between(s->residual, 1, 4096) ||
        !between(s->dilation_channels, 1, 4096) || !between(s->skip, 1, 4096) ||
        !between(s->head, 1, 4096) || !between(s->first_kernel, 1, 32) ||
        !between(s->layers, 1, FWN_MAX_LAYERS) || !s->kernels || !s->dilations || s->start_code >= s->levels)
        return FWN_BAD_SPEC;
    for (uint32_t l = 0; l < s->layers; l++) {
        if (!between(s->kernels[l], 2, 32) || !between(s->dilations[l], 1, 1u << 20))
            return FWN_BAD_SPEC;
    }
    const int fits = voice_bytes(s) <= FWN_MAX_VOICE_BYTES && packed_bytes(s) <= FWN_MAX_WEIGHT_BYTES;
    return fits ? FWN_OK : FWN_BAD_SPEC;
}

/* The caller's tensors.  They are looked for from where the last one was found, and counted. */
typedef struct {
    const fwn_tensor *tensors;
    size_t count, next, found;
    int error;
} source;

static const float *find(source *src, const char *name, uint32_t rank, uint32_t a, uint32_t b,
                         uint32_t c)
{
    const uint32_t shape[3] = {a, b, c};
    for (size_t i = 0; i < src->count; i++) {
        const size_t at = (src->next + i) % src->count;
        const fwn_tensor *t = &src->tensors[at];
        if (!t->name || strcmp(t->name, name)) continue;
        if (t->rank != rank || memcmp(t->shape, shape, rank * sizeof *shape) || !t->data) break;
        src->next = at + 1;
        src->found++;
        return t->data;
    }
    return NULL;
}

/* ---- packing; with arena->base == NULL only the sizes are counted ------------------------------ */

static size_t weight_bytes(int precision)
{
    return precision == FWN_FLOAT32 ? 4 : precision == FWN_BFLOAT16 ? 2 : 1;
}

/* Inputs whose products are summed exactly, and into how many such blocks k falls. */
static uint32_t exact(const fwn_mat *mat) { return mat->gated ? FWN_EXACT_GATED : FWN_EXACT; }
static uint32_t blocks(const fwn_mat *mat) { return (mat->k + exact(mat) - 1) / exact(mat); }

/* A convolution's tensors in PyTorch's layout: weight [outs][ins][taps], bias [outs]. */
typedef struct {
    const float *weight, *bias; /* bias NULL: absent */
    uint32_t outs, ins, taps;
} conv;

static conv find_conv(source *src, const char *name, uint32_t outs, uint32_t ins, uint32_t taps)
{
    char full[64];
    conv c = {NULL, NULL, outs, ins, taps};
    snprintf(full, sizeof full, "%s.weight", name);
    c.weight = find(src, full, 3, outs, ins, taps);
    snprintf(full, sizeof full, "%s.bias", name);
    c.bias = find(src, full, 1, outs, 0, 0);
    if (!c.weight) src->error = FWN_BAD_TENSOR;
    return c;
}

/* Memory for a matrix in the model's precision; `gated`: see fwn_mat. */
static fwn_mat take_mat(const fwn_model *m, fwn_arena *arena, uint32_t k, uint32_t n, int gated, int bias)
{
    fwn_mat mat = {.k = k, .n = n, .of = n, .gated = gated};
    mat.w = fwn_take(arena, (size_t)k * n, weight_bytes(m->precision));
    if (m->precision == FWN_INT8) {
        mat.scale = fwn_take(arena, n, sizeof(float));
        mat.fix = fwn_take(arena, (size_t)blocks(&mat) * n, sizeof(int32_t));
    }
    if (bias) mat.bias = fwn_take(arena, n, sizeof(float));
    return mat;
}

fwn_mat fwn_mat_part(const fwn_model *m, const fwn_mat *whole, uint32_t from, uint32_t n)
{
    fwn_mat part = *whole;
    part.from = from;
    part.n = n;
    part.w = (const char *)whole->w + (size_t)from * whole->k * weight_bytes(m->precision);
    if (whole->scale) part.scale += from;
    if (whole->fix) part.fix += from;
    if (whole->bias) part.bias += from;
    return part;
}

/* Where output o stands: two halves of `half` (tanh, sigmoid) are padded apart; 0: no halves. */
static uint32_t place(uint32_t o, uint32_t half)
{
    return half && o >= half ? fwn_pad(half) + o - half : o;
}

/* The upper half of the float nearest to w, ties to the larger, that has `lower` as its lower half.
 * Never denormal, which would be slow: 0, or with a lower half the smallest normal number. */
static uint16_t to_bf16(float w, uint16_t lower)
{
    uint32_t bits;
    memcpy(&bits, &w, sizeof bits);
    const uint32_t size = bits & 0x7fffffff;
    uint32_t upper = size < lower ? 0 : (size - lower + 0x8000) >> 16;
    if (upper < 0x0080) upper = lower ? 0x0080 : 0;
    return (uint16_t)(upper | bits >> 31 << 15);
}

static int8_t to_int8(float w, float scale)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it leaves the nearest integer */
    return scale > 0.0f ? (int8_t)((w / scale + round) - round) : 0;
}

/* The weight of input k for output n; int8: mat->scale is known. */
static void put(const fwn_model *m, const fwn_mat *mat, uint32_t k, uint32_t n, float w)
{
    static const uint32_t groups[FWN_PRECISIONS] = {1, 2, 4};
    const uint32_t g = groups[m->precision];
    const size_t at = ((size_t)(n / 16) * mat->k + k / g * g) * 16 + n % 16 * g + k % g;
    if (m->precision == FWN_FLOAT32) ((float *)mat->w)[at] = w;
    if (m->precision == FWN_BFLOAT16)
        ((uint16_t *)mat->w)[at] = to_bf16(w, k % 2 ? ((uint16_t *)mat->w)[at - 1] : 0);
    if (m->precision != FWN_INT8) return;
    const int8_t q = to_int8(w, mat->scale[n]);
    ((int8_t *)mat->w)[at] = q;
    ((int32_t *)mat->fix)[k / exact(mat) * mat->n + n] -= q * (mat->gated ? FWN_OFFSET_GATED : FWN_OFFSET);
}

/* int8: raises the outputs' scales to what their largest weights need.  First for all parts of a
 * matrix, then `fill` for all, then `finish`. */
static void measure(const fwn_mat *mat, const conv *c, uint32_t tap, uint32_t half)
{
    for (uint32_t o = 0; mat->scale && o < c->outs; o++) {
        float *scale = (float *)&mat->scale[place(o, half)];
        for (uint32_t i = 0; i < c->ins; i++) {
            const float w = fabsf(c->weight[((size_t)o * c->ins + i) * c->taps + tap]) / 127.0f;
            if (w > *scale && w > 1e-30f) *scale = w;
        }
    }
}

/* One tap of a convolution into mat, its inputs from k0 on. */
static void fill(const fwn_model *m, fwn_mat *mat, const conv *c, uint32_t tap, uint32_t k0, uint32_t half)
{
    for (uint32_t o = 0; o < c->outs; o++)
        for (uint32_t i = 0; i < c->ins; i++)
            put(m, mat, k0 + i, place(o, half), c->weight[((size_t)o * c->ins + i) * c->taps + tap]);
}

/* int8: the unit of a gate's outputs, 1/127, goes into the scales. */
static void finish(const fwn_mat *mat)
{
    for (uint32_t n = 0; mat->scale && mat->gated && n < mat->n; n++)
        ((float *)mat->scale)[n] /= 127.0f;
}

static void add_bias(fwn_mat *mat, const conv *c, uint32_t half)
{
    for (uint32_t o = 0; c->bias && o < c->outs; o++) ((float *)mat->bias)[place(o, half)] += c->bias[o];
}

static fwn_mat pack(const fwn_model *m, fwn_arena *arena, source *src, const char *name, uint32_t outs,
                    uint32_t ins, int gated)
{
    const conv c = find_conv(src, name, outs, ins, 1);
    fwn_mat mat = take_mat(m, arena, fwn_pad(ins), fwn_pad(outs), gated, 1);
    if (arena->base) {
        measure(&mat, &c, 0, 0);
        fill(m, &mat, &c, 0, 0, 0);
        finish(&mat);
        add_bias(&mat, &c, 0);
    }
    return mat;
}

static void pack_first(fwn_model *m, fwn_arena *arena, source *src)
{
    const fwn_spec *s = &m->spec;
    const float *weight = find(src, "first.weight", 3, s->first_kernel, s->levels, s->residual);
    const float *bias = find(src, "first.bias", 1, s->residual, 0, 0);
    if (!weight) src->error = FWN_BAD_TENSOR;
    const size_t rows = (size_t)s->first_kernel * (s->levels + 1);
    m->first = fwn_take(arena, rows * m->Rp, sizeof(float));
    m->first_bias = fwn_take(arena, m->Rp, sizeof(float));
    if (!arena->base || src->error) return;
    for (size_t row = 0; row < rows; row++) {
        const size_t tap = row / (s->levels + 1), code = row % (s->levels + 1);
        if (code == s->levels) continue; /* before the first sample: zeros */
        memcpy((float *)m->first + row * m->Rp, weight + (tap * s->levels + code) * s->residual,
               s->residual * sizeof(float));
    }
    if (bias) memcpy((float *)m->first_bias, bias, s->residual * sizeof(float));
}

/* In reading order: the current tap and the residual product of each layer; the past taps, which
 * are read once in many samples, stand apart. */
static void pack_layer(fwn_model *m, uint32_t l, fwn_arena *arena, fwn_arena *apart, source *src)
{
    const fwn_spec *s = &m->spec;
    fwn_layer *layer = &m->layers[l];
    const uint32_t d = s->dilation_channels;
    char name[48];
    snprintf(name, sizeof name, "layers.%u.dilated", (unsigned)l);
    const conv c = find_conv(src, name, 2 * d, s->residual, layer->taps);
    for (uint32_t j = 0; j < layer->taps; j++) {
        fwn_mat *tap = &layer->tap[j];
        *tap = take_mat(m, j + 1 < layer->taps ? apart : arena, m->Rp, 2 * m->Dp, 0, j == 0);
        if (!arena->base) continue;
        measure(tap, &c, j, d);
        fill(m, tap, &c, j, 0, d);
        if (j == 0) add_bias(tap, &c, d);
    }
    snprintf(name, sizeof name, "layers.%u.residual", (unsigned)l);
    if (l + 1 < s->layers) layer->residual = pack(m, arena, src, name, s->residual, d, 1);
}

static void pack_skip(fwn_model *m, fwn_arena *arena, source *src)
{
    const uint32_t layers = m->spec.layers;
    conv parts[FWN_MAX_LAYERS];
    char name[48];
    for (uint32_t l = 0; l < layers; l++) {
        snprintf(name, sizeof name, "layers.%u.skip", (unsigned)l);
        parts[l] = find_conv(src, name, m->spec.skip, m->spec.dilation_channels, 1);
    }
    m->skip = take_mat(m, arena, layers * m->Dp, m->Sp, 2, 1);
    if (!arena->base) return;
    for (uint32_t l = 0; l < layers; l++) measure(&m->skip, &parts[l], 0, 0);
    for (uint32_t l = 0; l < layers; l++) {
        fill(m, &m->skip, &parts[l], 0, l * m->Dp, 0);
        add_bias(&m->skip, &parts[l], 0);
    }
    finish(&m->skip);
}

/* All weights; src->error if a tensor is missing, misshapen or too many. */
static void pack_model(fwn_model *m, fwn_arena *arena, fwn_arena *apart, source *src)
{
    src->next = src->found = 0;
    pack_first(m, arena, src);
    for (uint32_t l = 0; l < m->spec.layers; l++) pack_layer(m, l, arena, apart, src);
    pack_skip(m, arena, src);
    m->hidden = pack(m, arena, src, "head.hidden", m->spec.head, m->spec.skip, 0);
    m->output = pack(m, arena, src, "head.output", m->spec.levels, m->spec.head, 0);
    fwn_take(apart, 16, FWN_ALIGN); /* tiles of weights are read whole too */
    if (src->found != src->count) src->error = FWN_BAD_TENSOR;
}

/* ---- create ------------------------------------------------------------------------------------ */

/* The layers' sizes, and our own copy of the spec's arrays. */
static void plan(fwn_model *m, const fwn_spec *spec, fwn_arena *arena)
{
    uint32_t *kernels = fwn_take(arena, spec->layers, sizeof *kernels);
    uint32_t *dilations = fwn_take(arena, spec->layers, sizeof *dilations);
    fwn_layer *layers = fwn_take(arena, spec->layers, sizeof *layers);
    for (uint32_t l = 0; l < spec->layers; l++) {
        const uint32_t taps = spec->kernels[l], dilation = spec->dilations[l];
        fwn_mat *tap = fwn_take(arena, taps, sizeof *tap);
        if (!arena->base) continue;
        kernels[l] = taps;
        dilations[l] = dilation;
        layers[l] = (fwn_layer){.dilation = dilation, .taps = taps, .past = (taps - 1) * dilation,
                                .tap = tap};
    }
    if (!arena->base) return;
    m->spec = *spec;
    m->spec.kernels = kernels;
    m->spec.dilations = dilations;
    m->layers = layers;
    m->Rp = fwn_pad(spec->residual);
    m->Dp = fwn_pad(spec->dilation_channels);
    m->Sp = fwn_pad(spec->skip);
    m->Hp = fwn_pad(spec->head);
    m->Qp = fwn_pad(spec->levels);
}

static size_t values(const fwn_tensor *t)
{
    size_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++) n *= t->shape[i];
    return n;
}

/* Neither NaN nor infinity, which the smaller number formats would turn into numbers. */
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

/* The same for the same tensors in any order. */
static uint64_t fingerprint(const fwn_spec *s, int precision, const fwn_tensor *tensors, size_t count)
{
    const uint32_t sizes[] = {s->levels, s->residual, s->dilation_channels, s->skip,
                              s->head,   s->first_kernel, s->layers,        s->start_code};
    uint64_t h = fwn_hash(1 + (uint64_t)precision, sizes, sizeof sizes / 4);
    h = fwn_hash(h, s->kernels, s->layers);
    h = fwn_hash(h, s->dilations, s->layers);
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
    fwn_arena head = {NULL, 0}, weights = {NULL, 0}, apart = {NULL, 0};
    source src = {tensors, count, 0, 0, FWN_OK};
    plan(m, spec, &head);
    m->plan = fwn_arena_memory(head.used);
    if (!m->plan) return FWN_NO_MEMORY;
    head = (fwn_arena){m->plan, 0};
    plan(m, spec, &head);
    pack_model(m, &weights, &apart, &src);
    if (src.error) return src.error;
    for (size_t i = 0; i < count; i++)
        if (!is_finite(&tensors[i])) return FWN_BAD_TENSOR;
    m->arena_bytes = weights.used + apart.used;
    m->arena = fwn_arena_memory(m->arena_bytes);
    if (!m->arena) return FWN_NO_MEMORY;
    apart = (fwn_arena){(char *)m->arena + weights.used, 0};
    weights = (fwn_arena){m->arena, 0};
    pack_model(m, &weights, &apart, &src);
    m->fingerprint = fingerprint(spec, m->precision, tensors, count);
    return fwn_mulaw_create(spec->levels, &m->codec);
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
    fwn_mulaw_destroy(m->codec);
    free(m->arena);
    free(m->plan);
    free(m);
}

static size_t mat_bytes(const fwn_model *m, const fwn_mat *mat)
{
    const size_t per_output = 4 * ((mat->bias != NULL) + (mat->scale ? 1 + blocks(mat) : 0));
    return (mat->k * weight_bytes(m->precision) + per_output) * mat->n;
}

int fwn_model_info(const fwn_model *m, fwn_info *out)
{
    if (!m || !out) return FWN_BAD_ARGUMENT;
    size_t step = mat_bytes(m, &m->skip) + mat_bytes(m, &m->hidden) + mat_bytes(m, &m->output);
    step += (size_t)(m->spec.first_kernel + 1) * m->Rp * sizeof(float);
    for (uint32_t l = 0; l < m->spec.layers; l++) {
        const fwn_layer *layer = &m->layers[l];
        const uint32_t ahead = layer->dilation < FWN_AHEAD ? layer->dilation : FWN_AHEAD;
        for (uint32_t j = 0; j < layer->taps; j++)
            step += mat_bytes(m, &layer->tap[j]) / (j + 1 < layer->taps ? ahead : 1);
        if (l + 1 < m->spec.layers) step += mat_bytes(m, &layer->residual);
    }
    *out = (fwn_info){m->arena_bytes, step, m->fingerprint, m->arena};
    return FWN_OK;
}
