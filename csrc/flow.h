/* The WaveNet: how a block of known samples goes through the network.  The only description of it
 * in C; compiled once per ISA and number format.  fastwavenet/reference.py says the same in numpy, and
 * fastwavenet/training/model.py in PyTorch.
 *
 * A row is (time, stream), stream fastest.  A generated sample is a block of one sample; priming
 * and scoring are blocks of many.  The results do not depend on the cut. */
#include "vmath.h"
#include "rows.h"
#if FWN_PRECISION == 0
#include "mat_f32.h"
#elif FWN_PRECISION == 1
#include "mat_bf16.h"
#elif FWN_PRECISION == 2
#include "mat_i8.h"
#else
#error "FWN_PRECISION must be 0 (float32), 1 (bfloat16) or 2 (int8)"
#endif
#include "head.h"
#include "mulaw.h"

/* The codes of the block, each row's history before them: in[b] = history, next, forced ... */
static void feed(fwn_stream *s, const fwn_io *io, uint32_t done, uint32_t n)
{
    const uint32_t before = s->model->spec.first_kernel - 1, width = before + s->block;
    for (uint32_t b = 0; b < s->rows; b++) {
        fwn_row *row = &s->row[b];
        uint32_t *in = s->in + (size_t)b * width;
        for (uint32_t i = 0; i < before; i++) in[i] = row->history[i];
        in[before] = row->next;
        for (uint32_t i = 1; i < n; i++) in[before + i] = io->forced[(size_t)b * io->n + done + i - 1];
        for (uint32_t i = 0; i < before; i++) row->history[i] = in[n + i];
    }
}

/* First convolution: a one-hot vector times a matrix is a row of that matrix. */
static void embed(fwn_stream *s, uint32_t n)
{
    const fwn_model *m = s->model;
    const uint32_t taps = m->spec.first_kernel, width = taps - 1 + s->block;
    const size_t table = (size_t)(m->spec.levels + 1) * m->Rp;
    float *x = s->x;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t b = 0; b < s->rows; b++, x += m->Rp)
            for (uint32_t r = 0; r < m->Rp; r += 16) {
                vf sum = vf_load(m->first_bias + r);
                for (uint32_t j = 0; j < taps; j++) {
                    const uint32_t code = s->in[(size_t)b * width + i + j];
                    sum = vf_add(sum, vf_load(m->first + j * table + (size_t)code * m->Rp + r));
                }
                vf_store(x + r, sum);
            }
}

/* A layer's inputs in slot `slot` of its ring. */
static fwn_act ring_slot(const fwn_stream *s, uint32_t l, uint32_t slot)
{
    return act_from(s->past[l].ring, (size_t)slot * s->rows, 1);
}

/* The layer's inputs of the block go into its ring, at `head`. */
static void remember(fwn_stream *s, uint32_t l, uint32_t n)
{
    const fwn_past *past = &s->past[l];
    const float *x = s->x;
    for (uint32_t i = 0, slot = past->head; i < n; i++, slot++) {
        if (slot == past->slots) slot = 0;
        fwn_act row = ring_slot(s, l, slot);
        for (uint32_t b = 0; b < s->rows; b++, x += s->model->Rp, row = act_from(row, 1, 1))
            act_store(row, x, s->model->Rp);
    }
}

/* y = start + W times the layer's inputs of n samples, the first of them `ago` samples ago. */
static void mul_ring(float *y, const fwn_stream *s, uint32_t l, const fwn_mat *tap, uint32_t ago,
                     uint32_t n, fwn_rows start)
{
    const fwn_past *past = &s->past[l];
    const uint32_t slot = past->head + (past->head < ago ? past->slots : 0) - ago;
    const uint32_t first = n < past->slots - slot ? n : past->slots - slot;
    const size_t rows = (size_t)first * s->rows;
    mat_mul(y, tap, ring_slot(s, l, slot), rows, start);
    if (first < n)
        mat_mul(y + rows * tap->n, tap, past->ring, (size_t)(n - first) * s->rows,
                rows_from(start, rows));
}

/* y = bias + past taps of the coming n samples, oldest first. */
static void mul_past(float *y, const fwn_stream *s, uint32_t l, uint32_t n)
{
    const fwn_layer *layer = &s->model->layers[l];
    const fwn_rows sum = {y, 2 * s->model->Dp};
    for (uint32_t j = 0; j + 1 < layer->taps; j++)
        mul_ring(y, s, l, &layer->tap[j], (layer->taps - 1 - j) * layer->dilation, n,
                 j ? sum : FWN_NO_START);
}

/* Computes them ahead for at least n samples, from `clock` on: past taps are known `dilation` samples
 * before they are needed, and many rows cost little more than one.  All layers do it at the same
 * sample: tiles take their time to wake up. */
static void look_ahead(fwn_stream *s, uint32_t l, uint64_t clock, uint32_t n)
{
    fwn_past *past = &s->past[l];
    if (past->ready >= n) return;
    const uint32_t until = past->ahead - (uint32_t)(clock % past->ahead);
    past->ready = until < n ? past->ahead : until;
    past->used = 0;
    mul_past(past->part, s, l, past->ready);
}

/* The past taps of the coming n samples, from the store if so many are computed ahead. */
static fwn_rows past_taps(fwn_stream *s, uint32_t l, uint32_t n)
{
    fwn_past *past = &s->past[l];
    const size_t width = 2 * s->model->Dp;
    if (past->ready < n && past->ahead <= n) {
        past->ready = 0;
        mul_past(s->h, s, l, n);
        return (fwn_rows){s->h, width};
    }
    look_ahead(s, l, s->clock, n);
    const fwn_rows rows = {past->part + past->used * s->rows * width, width};
    past->used += n;
    past->ready -= n;
    return rows;
}

/* h += the conditioning of this layer, for each row. */
static void condition(fwn_stream *s, const fwn_io *io, uint32_t l, uint32_t done, uint32_t n)
{
    if (!io->cond) return;
    const uint32_t d = s->model->spec.dilation_channels, dp = s->model->Dp;
    const size_t layers = s->model->spec.layers;
    float *h = s->h;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = (io->cond_step + done + i) / io->hop;
        if (at >= io->cond_rows) at = io->cond_rows - 1;
        for (uint32_t b = 0; b < s->rows; b++, h += 2 * dp) {
            const float *c = io->cond + ((at * s->rows + b) * layers + l) * 2 * d;
            for (uint32_t k = 0; k < d; k++) h[k] += c[k];
            for (uint32_t k = 0; k < d; k++) h[dp + k] += c[d + k];
        }
    }
}

/* The part of z that is layer l's. */
static fwn_act gated(const fwn_stream *s, uint32_t l)
{
    fwn_act z = s->z;
    z.at += (size_t)l * s->model->Dp * FWN_GATED_BYTES;
    return z;
}

/* z = tanh(h[:D]) * sigmoid(h[D:]) */
static void gate(fwn_stream *s, uint32_t l, uint32_t n)
{
    const uint32_t dp = s->model->Dp;
    const float *h = s->h;
    fwn_act z = gated(s, l);
    for (size_t row = 0; row < (size_t)n * s->rows; row++, h += 2 * dp, z = act_from(z, 1, 16))
        act_gate(z, h, h + dp, dp, l == 0);
}

/* Where the head's products read: max(0, x) of rows x [n], stored; NaN stays. */
static fwn_act relu(fwn_act to, float *row, const float *x, size_t rows, uint32_t n)
{
    for (size_t i = 0; i < rows; i++, x += n) {
        for (uint32_t k = 0; k < n; k += 16) vf_store(row + k, vf_max(vf_set(0.0f), vf_load(x + k)));
        act_store(act_from(to, i, 1), row, n);
    }
    return to;
}

/* ---- one thread or two: a leader, who has the chain of layers, and its helper, who follows ------- */

static void say(const fwn_share *mine)
{
    if (mine->other) fwn_say(mine->mine);
}

static void hear(fwn_share *mine)
{
    const uint32_t looks = mine->other ? fwn_hear(mine->mine, mine->other) : 0;
    if (looks > mine->waited) mine->waited = looks;
}

/* All layers' z to s->skip, the thread's outputs. */
static void mul_skip(fwn_stream *s, const fwn_share *mine, size_t rows)
{
    float *y = s->skip + mine->skip.from;
    if (rows == 1 && s->clock % 2) mat_mul_back(y, &mine->skip, s->z, FWN_NO_START);
    else mat_mul(y, &mine->skip, s->z, rows, FWN_NO_START);
}

/* Hidden layer and logits, when all skip products are there. */
static void head(fwn_stream *s, fwn_share *mine, size_t rows)
{
    const fwn_model *m = s->model;
    say(mine);
    hear(mine);
    fwn_act x = relu(mine->wide[0], mine->row, s->skip, rows, m->Sp);
    mat_mul(s->hidden + mine->hidden.from, &mine->hidden, x, rows, FWN_NO_START);
    say(mine);
    hear(mine);
    x = relu(mine->wide[1], mine->row, s->hidden, rows, m->Hp);
    mat_mul(s->logits + mine->output.from, &mine->output, x, rows, FWN_NO_START);
}

/* The helper's block: past taps of the next sample, and its part of the head.  Of a single row it adds
 * up the skip products of a layer as soon as its gate has spoken. */
static void help(fwn_stream *s)
{
    fwn_share *mine = &s->part[1];
    const fwn_mat *skip = &mine->skip;
    const size_t rows = (size_t)s->n * s->rows;
    const int follows = rows == 1 && s->sums;
    if (follows) sums_begin(s->sums, skip);
    for (uint32_t l = 0; l < s->model->spec.layers; l++) {
        const uint32_t k = l * s->model->Dp;
        hear(mine);
        if (follows) sums_add(s->sums, skip, s->z, k, k + s->model->Dp);
        if (s->n == 1) look_ahead(s, l, s->clock + 1, 1);
    }
    if (follows) sums_end(s->skip + skip->from, skip, s->sums, s->z);
    else mul_skip(s, mine, rows);
    head(s, mine, rows);
    say(mine);
}

/* Row b takes its sample after the i-th of the block: forced, or drawn from its logits. */
static int take(fwn_stream *s, const fwn_io *io, uint32_t done, uint32_t i, uint32_t b, int judged)
{
    const fwn_model *m = s->model;
    const uint32_t q = m->spec.levels;
    const size_t out = (size_t)b * io->n + done + i;
    fwn_row *row = &s->row[b];
    float *logits = s->logits + ((size_t)i * s->rows + b) * m->Qp, max = 0.0f;
    if (judged && !head_max(logits, q, m->Qp, &max)) return FWN_NOT_FINITE;
    row->next = io->forced ? io->forced[out] : head_draw(s->weight, logits, q, m->Qp, max, io, row);
    atomic_store_explicit(&row->step, row->step + 1, memory_order_relaxed); /* the only writer */
    atomic_store_explicit(&row->begun, 1, memory_order_relaxed);
    if (io->codes) io->codes[out] = (uint16_t)row->next;
    if (io->audio) io->audio[out] = m->codec->amplitude[row->next];
    if (io->logits) memcpy(io->logits + out * q, logits, q * sizeof *logits);
    if (io->logp) io->logp[out] = head_logp(s->weight, logits, q, m->Qp, max, row->next);
    return FWN_OK;
}

/* n samples of every row, `done` samples into the call; n is 1 unless they are forced. */
static int block(fwn_stream *s, const fwn_io *io, uint32_t done, uint32_t n)
{
    const fwn_model *m = s->model;
    const size_t rows = (size_t)n * s->rows;
    const int judged = !io->forced || io->logp || io->logits;
    fwn_share *lead = judged && s->pool && fwn_pool_ready(s->pool) ? &s->part[0] : &s->whole;
    s->n = n;
    say(lead);
    feed(s, io, done, n);
    embed(s, n);
    for (uint32_t l = 0; l < m->spec.layers; l++) {
        const fwn_layer *layer = &m->layers[l];
        remember(s, l, n);
        mul_ring(s->h, s, l, &layer->tap[layer->taps - 1], 0, n, past_taps(s, l, n));
        condition(s, io, l, done, n);
        gate(s, l, n);
        s->past[l].head += n;
        if (s->past[l].head >= s->past[l].slots) s->past[l].head -= s->past[l].slots;
        say(lead);
        if (l + 1 < m->spec.layers)
            mat_mul(s->x, &layer->residual, gated(s, l), rows, (fwn_rows){s->x, m->Rp});
    }
    if (judged) {
        mul_skip(s, lead, rows);
        head(s, lead, rows);
        hear(lead);
    }
    s->clock += n;
    if (lead->waited > s->patience) fwn_pool_dismiss(s->pool);
    int error = FWN_OK;
    for (uint32_t i = 0; i < n && !error; i++)
        for (uint32_t b = 0; b < s->rows && !error; b++) error = take(s, io, done, i, b, judged);
    return error;
}

#ifdef FWN_HAS_TILES
#define FWN_BEGIN tiles_begin
#define FWN_END tiles_end
#else
#define FWN_BEGIN NULL
#define FWN_END NULL
#endif

/* The table of what this file is compiled to: fwn_kernels_<isa>_<precision>. */
#define FWN_NAME(isa, precision) fwn_kernels_##isa##_##precision
#define FWN_TABLE(isa, precision) \
    const fwn_kernels FWN_NAME(isa, precision) = {block, help, FWN_BEGIN, FWN_END, act_store, act_load, encode_f32, encode_i16, decode_f32};
#define FWN_KERNELS(isa) FWN_TABLE(isa, FWN_PRECISION)
