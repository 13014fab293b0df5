/* Packing: PyTorch's tensors, transposed, padded and quantised into the matrices that the kernels
 * read (docs/arithmetic.md).  With arena->base == NULL only sizes are counted. */
#include <math.h>
#include <string.h>
#include "model.h"

/* ---- the caller's tensors -------------------------------------------------------------------- */

/* Names of tensors, without stdio: its files would be imports of the WebAssembly module. */
static void join(char to[64], const char *name, const char *part)
{
    strcpy(to, name);
    strcat(to, part);
}

/* "layers.7.skip" of "layers.", 7 and ".skip" */
static void join_number(char to[64], const char *before, uint32_t number, const char *after)
{
    char digits[11], *first = digits + sizeof digits - 1;
    *first = 0;
    do *--first = (char)('0' + number % 10);
    while (number /= 10);
    join(to, before, first);
    strcat(to, after);
}

/* A search starts after the last tensor found; `found` counts, so that an unknown tensor is
 * noticed. */
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

/* A convolution's tensors in PyTorch's layout: weight [outs][ins][taps], bias [outs]. */
typedef struct {
    const float *weight, *bias; /* bias NULL: absent */
    uint32_t outs, ins, taps;
} conv;

static conv find_conv(source *src, const char *name, uint32_t outs, uint32_t ins, uint32_t taps)
{
    char full[64];
    conv c = {NULL, NULL, outs, ins, taps};
    join(full, name, ".weight");
    c.weight = find(src, full, 3, outs, ins, taps);
    join(full, name, ".bias");
    c.bias = find(src, full, 1, outs, 0, 0);
    if (!c.weight) src->error = FWN_BAD_TENSOR;
    return c;
}

/* ---- matrices -------------------------------------------------------------------------------- */

static size_t weight_bytes(int precision)
{
    static const size_t bytes[FWN_PRECISIONS] = {4, 2, 1, 2, 1};
    return bytes[precision];
}

static int has_int8_weights(const fwn_model *m) { return weight_bytes(m->precision) == 1; }

/* Inputs per block of an exact sum, and the number of such blocks. */
static uint32_t exact(const fwn_mat *mat)
{
    return mat->input != FWN_INPUT_ROW ? FWN_EXACT_BYTES : FWN_EXACT;
}
static uint32_t blocks(const fwn_mat *mat) { return (mat->k + exact(mat) - 1) / exact(mat); }

static fwn_input input_of(const fwn_model *m, fwn_input of_int8x8)
{
    return m->precision == FWN_INT8X8 ? of_int8x8 : FWN_INPUT_ROW;
}

/* Memory for a matrix in the model's precision. */
static fwn_mat alloc_mat(const fwn_model *m, fwn_arena *arena, uint32_t k, uint32_t n,
                         fwn_input input, int bias)
{
    fwn_mat mat = {.k = k, .n = n, .stride = n, .input = input};
    mat.w = fwn_arena_take(arena, (size_t)k * n, weight_bytes(m->precision));
    if (has_int8_weights(m)) {
        mat.scale = fwn_arena_take(arena, n, sizeof(float));
        mat.zero_point = fwn_arena_take(arena, (size_t)blocks(&mat) * n, sizeof(int32_t));
    }
    if (bias) mat.bias = fwn_arena_take(arena, n, sizeof(float));
    return mat;
}

fwn_mat fwn_mat_part(const fwn_model *m, const fwn_mat *whole, uint32_t first, uint32_t n)
{
    fwn_mat part = *whole;
    part.first = first;
    part.n = n;
    part.w = (const char *)whole->w + (size_t)first * whole->k * weight_bytes(m->precision);
    if (whole->scale) part.scale += first;
    if (whole->zero_point) part.zero_point += first;
    if (whole->bias) part.bias += first;
    return part;
}

size_t fwn_mat_bytes(const fwn_model *m, const fwn_mat *mat)
{
    const size_t per_output = 4 * ((mat->bias != NULL) + (mat->scale ? 1 + blocks(mat) : 0));
    return (mat->k * weight_bytes(m->precision) + per_output) * mat->n;
}

/* ---- weights --------------------------------------------------------------------------------- */

/* Padded position of output o.  Two halves of `half` outputs (tanh, sigmoid) are padded apart; 0:
 * no halves. */
static uint32_t place(uint32_t o, uint32_t half)
{
    return half && o >= half ? fwn_pad(half) + o - half : o;
}

/* The upper half of the float that is nearest to w among those with this lower half, ties to the
 * larger magnitude.  Denormals, which are slow, become 0, or with a lower half the least normal
 * number. */
static uint16_t to_bf16(float w, uint16_t lower)
{
    uint32_t bits;
    memcpy(&bits, &w, sizeof bits);
    const uint32_t size = bits & 0x7fffffff;
    uint32_t upper = size < lower ? 0 : (size - lower + 0x8000) >> 16;
    if (upper < 0x0080) upper = lower ? 0x0080 : 0;
    return (uint16_t)(upper | bits >> 31 << 15);
}

/* The nearest bfloat16, ties to even; 0 below 2^-48, NaN if it is not finite. */
static uint16_t to_bf16x16(float w)
{
    uint32_t bits;
    memcpy(&bits, &w, sizeof bits);
    if (fabsf(w) < 0x1p-48f) return 0;
    if ((bits & 0x7fffffff) >= 0x7f7f8000) return 0x7fc0;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static int8_t to_int8(float w, float scale)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it leaves the nearest integer */
    return scale > 0.0f ? (int8_t)((w / scale + round) - round) : 0;
}

/* The place of the weight of input k for output n (fwn_mat). */
static size_t weight_at(int precision, const fwn_mat *mat, uint32_t k, uint32_t n)
{
    static const uint32_t groups[FWN_PRECISIONS] = {1, 2, 4, 4, 4};
    const uint32_t g = groups[precision];
    const size_t at = ((size_t)(n / 16) * mat->k + k / g * g) * 16;
    if (precision == FWN_BFLOAT16X16) return at + k % 2 * 32 + n % 16 * 2 + (k % 4 < 2);
    return at + n % 16 * g + k % g;
}

/* Stores the weight of input k for output n; int8: mat->scale is final. */
static void put(const fwn_model *m, const fwn_mat *mat, uint32_t k, uint32_t n, float w)
{
    const size_t at = weight_at(m->precision, mat, k, n);
    if (m->precision == FWN_FLOAT32) ((float *)mat->w)[at] = w;
    if (m->precision == FWN_BFLOAT16)
        ((uint16_t *)mat->w)[at] = to_bf16(w, k % 2 ? ((uint16_t *)mat->w)[at - 1] : 0);
    if (m->precision == FWN_BFLOAT16X16) ((uint16_t *)mat->w)[at] = to_bf16x16(w);
    if (!has_int8_weights(m)) return;
    const int8_t q = to_int8(w, mat->scale[n]);
    ((int8_t *)mat->w)[at] = q;
    ((int32_t *)mat->zero_point)[k / exact(mat) * mat->n + n] -=
        q * (mat->input != FWN_INPUT_ROW ? FWN_OFFSET_BYTES : FWN_OFFSET);
}

/* int8: raises each output's scale to max |w| / 127.  Order: `measure` for all parts of a matrix,
 * `fill` for all, `finish`. */
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

/* Stores one tap of a convolution as inputs k0 and following of mat. */
static void fill(const fwn_model *m, fwn_mat *mat, const conv *c, uint32_t tap, uint32_t k0,
                 uint32_t half)
{
    for (uint32_t o = 0; o < c->outs; o++)
        for (uint32_t i = 0; i < c->ins; i++)
            put(m, mat, k0 + i, place(o, half),
                c->weight[((size_t)o * c->ins + i) * c->taps + tap]);
}

/* int8: folds the unit of gates' outputs, 1/127, into the scales. */
static void finish(const fwn_mat *mat)
{
    for (uint32_t n = 0; mat->scale && mat->input >= FWN_INPUT_GATE && n < mat->n; n++)
        ((float *)mat->scale)[n] /= 127.0f;
}

static void add_bias(fwn_mat *mat, const conv *c, uint32_t half)
{
    for (uint32_t o = 0; c->bias && o < c->outs; o++)
        ((float *)mat->bias)[place(o, half)] += c->bias[o];
}

/* ---- layers ---------------------------------------------------------------------------------- */

static fwn_mat pack(const fwn_model *m, fwn_arena *arena, source *src, const char *name,
                    uint32_t outs, uint32_t ins, fwn_input input)
{
    const conv c = find_conv(src, name, outs, ins, 1);
    fwn_mat mat = alloc_mat(m, arena, fwn_pad(ins), fwn_pad(outs), input, 1);
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
    m->first = fwn_arena_take(arena, rows * m->Rp, sizeof(float));
    m->first_bias = fwn_arena_take(arena, m->Rp, sizeof(float));
    if (!arena->base || src->error) return;
    for (size_t row = 0; row < rows; row++) {
        const size_t tap = row / (s->levels + 1), before = s->levels;
        size_t code = row % (s->levels + 1);
        if (code == before && !s->first_from_start) continue; /* before the first sample: zeros */
        if (code == before) code = s->start_code;
        memcpy((float *)m->first + row * m->Rp, weight + (tap * s->levels + code) * s->residual,
               s->residual * sizeof(float));
    }
    if (bias) memcpy((float *)m->first_bias, bias, s->residual * sizeof(float));
}

/* Its outputs are added to those of the dilated convolution, which has the bias. */
static void pack_cond(fwn_model *m, fwn_mat *mat, fwn_arena *arena, source *src, const char *name)
{
    const fwn_spec *s = &m->spec;
    const uint32_t d = s->dilation_channels, inputs = s->frame_channels + s->speaker_channels;
    char full[64];
    join(full, name, ".weight");
    const conv c = {find(src, full, 3, 2 * d, inputs, 1), NULL, 2 * d, inputs, 1};
    if (!c.weight) src->error = FWN_BAD_TENSOR;
    *mat = alloc_mat(m, arena, m->Up, 2 * m->Dp, FWN_INPUT_ROW, 1);
    if (!arena->base || src->error) return;
    measure(mat, &c, 0, d);
    fill(m, mat, &c, 0, 0, d);
}

static void pack_speakers(fwn_model *m, fwn_arena *arena, source *src)
{
    const uint32_t n = m->spec.speakers, e = m->spec.speaker_channels, ep = fwn_pad(e);
    if (!n) return;
    const float *weight = find(src, "conditioning.speakers.weight", 2, n, e, 0);
    if (!weight) src->error = FWN_BAD_TENSOR;
    float *to = fwn_arena_take(arena, (size_t)n * ep, sizeof *to);
    m->speakers = to;
    for (uint32_t i = 0; arena->base && !src->error && i < n; i++)
        memcpy(to + (size_t)i * ep, weight + (size_t)i * e, e * sizeof *to);
}

/* The input d earlier than the one in whose place the outputs are affects output `phase` there by
 * tap crop + phase + d stride of the full convolution, if there is such a tap.  PyTorch numbers the
 * taps of a convolution in the other direction. */
static void fill_stage(const fwn_stage *to, const fwn_upsampling *s, const float *weight,
                       const float *bias)
{
    uint32_t before, after;
    fwn_upsampling_reach(s, &before, &after);
    for (size_t n = 0; n < to->n; n++) {
        const size_t phase = n / s->outputs, o = n % s->outputs;
        if (bias) ((float *)to->bias)[n] = bias[o];
        for (size_t k = 0; k < to->k; k++) {
            const size_t tap = s->crop + phase + (before - k / s->inputs) * s->stride,
                         i = k % s->inputs;
            if (tap >= s->kernel) continue; /* also below 0, which wraps */
            const size_t at = s->stride == 1 ? (o * s->inputs + i) * s->kernel + s->kernel - 1 - tap
                                             : (i * s->outputs + o) * s->kernel + tap;
            ((float *)to->w)[(n / 16 * to->k + k) * 16 + n % 16] = weight[at];
        }
    }
}

static void pack_stage(fwn_model *m, uint32_t number, fwn_arena *arena, source *src)
{
    const fwn_upsampling *s = &m->spec.upsampling[number];
    const uint32_t taps = fwn_stage_taps(s), transposed = s->stride > 1;
    const size_t k = (size_t)taps * s->inputs, n = (size_t)s->stride * s->outputs;
    char name[64];
    join_number(name, "conditioning.upsampling.", number, ".weight");
    const float *weight = find(src, name, 3, transposed ? s->inputs : s->outputs,
                               transposed ? s->outputs : s->inputs, s->kernel);
    join_number(name, "conditioning.upsampling.", number, ".bias");
    const float *bias = find(src, name, 1, s->outputs, 0, 0);
    if (!weight) src->error = FWN_BAD_TENSOR;
    const size_t padded = fwn_pad((uint32_t)n);
    m->stage[number] = (fwn_stage){.k = k,
                                   .n = n,
                                   .step = s->inputs,
                                   .taps = taps,
                                   .relu = s->relu,
                                   .w = fwn_arena_take(arena, padded * k, sizeof(float)),
                                   .bias = fwn_arena_take(arena, padded, sizeof(float))};
    if (arena->base && !src->error) fill_stage(&m->stage[number], s, weight, bias);
}

/* Weights lie in the order in which a step reads them: current tap, residual.  Past taps, which are
 * read once in many samples, lie in `apart`. */
static void pack_layer(fwn_model *m, uint32_t l, fwn_arena *arena, fwn_arena *apart, source *src)
{
    const fwn_spec *s = &m->spec;
    fwn_layer *layer = &m->layers[l];
    const uint32_t d = s->dilation_channels;
    char name[64];
    join_number(name, "layers.", l, ".dilated");
    const conv c = find_conv(src, name, 2 * d, s->residual, layer->taps);
    for (uint32_t j = 0; j < layer->taps; j++) {
        fwn_mat *tap = &layer->tap[j];
        *tap = alloc_mat(m, j + 1 < layer->taps ? apart : arena, m->Rp, 2 * m->Dp,
                         input_of(m, FWN_INPUT_BYTES), j == 0);
        if (!arena->base) continue;
        measure(tap, &c, j, d);
        fill(m, tap, &c, j, 0, d);
        if (j == 0) add_bias(tap, &c, d);
    }
    join_number(name, "layers.", l, ".conditioning");
    if (m->Up) pack_cond(m, &layer->cond, apart, src, name);
    join_number(name, "layers.", l, ".residual");
    if (l + 1 < s->layers)
        layer->residual = pack(m, arena, src, name, s->residual, d, FWN_INPUT_GATE);
}

static void pack_skip(fwn_model *m, fwn_arena *arena, source *src)
{
    const uint32_t layers = m->spec.layers;
    conv parts[FWN_MAX_LAYERS];
    char name[64];
    for (uint32_t l = 0; l < layers; l++) {
        join_number(name, "layers.", l, ".skip");
        parts[l] = find_conv(src, name, m->spec.skip, m->spec.dilation_channels, 1);
    }
    m->skip = alloc_mat(m, arena, layers * m->Dp, m->Sp, FWN_INPUT_GATES, 1);
    if (!arena->base) return;
    for (uint32_t l = 0; l < layers; l++) measure(&m->skip, &parts[l], 0, 0);
    for (uint32_t l = 0; l < layers; l++) {
        fill(m, &m->skip, &parts[l], 0, l * m->Dp, 0);
        add_bias(&m->skip, &parts[l], 0);
    }
    finish(&m->skip);
}

int fwn_pack(fwn_model *m, fwn_arena *arena, fwn_arena *apart, const fwn_tensor *tensors,
             size_t count)
{
    source src = {tensors, count, 0, 0, FWN_OK};
    pack_first(m, arena, &src);
    pack_speakers(m, apart, &src);
    for (uint32_t i = 0; i < m->spec.stages; i++) pack_stage(m, i, apart, &src);
    for (uint32_t l = 0; l < m->spec.layers; l++) pack_layer(m, l, arena, apart, &src);
    pack_skip(m, arena, &src);
    const fwn_input relu = input_of(m, FWN_INPUT_RELU);
    m->hidden = pack(m, arena, &src, "head.hidden", m->spec.head, m->spec.skip, relu);
    m->output = pack(m, arena, &src, "head.output", m->spec.levels, m->spec.head, relu);
    fwn_arena_take(apart, 16, FWN_ALIGN); /* AMX reads whole tiles of weights */
    return src.found == src.count ? src.error : FWN_BAD_TENSOR;
}
