/* The network's output: a row of logits to a sample by softmax, log-probability, draw and range coder
 * (docs/arithmetic.md).  Rows of q codes are padded to qp. */
#ifndef FWN_OUTPUT_SOFTMAX_H
#define FWN_OUTPUT_SOFTMAX_H

#include "../mulaw_tables.h"
#include "../range_coder.h"
#include "../stream.h"
#include "philox.h"

/* The largest logit; 0 if one of them is not finite.  The padding repeats the first logit. */
static int softmax_max(float *logits, uint32_t q, uint32_t qp, float *max)
{
    for (uint32_t c = q; c < qp; c++) logits[c] = logits[0];
    vf most = vf_load(logits), check = vf_set(0.0f);
    for (uint32_t c = 0; c < qp; c += 16) {
        const vf l = vf_load(logits + c);
        most = vf_max(most, l);
        check = vf_check(check, l);
    }
    float m[16], t[16];
    vf_store(m, most);
    vf_store(t, check);
    int finite = 1;
    *max = m[0];
    for (int lane = 0; lane < 16; lane++) {
        if (m[lane] > *max) *max = m[lane];
        finite &= t[lane] == 0.0f;
    }
    return finite;
}

/* weight[c] = exp((logit[c] - max) * scale), 0 in the padding */
static void softmax_weights(float *weight, const float *logits, uint32_t q, uint32_t qp, float max,
                            float scale)
{
    const vf m = vf_set(max), s = vf_set(scale);
    for (uint32_t c = 0; c < qp; c += 16)
        vf_store(weight + c, vf_exp(vf_mul(vf_sub(vf_load(logits + c), m), s)));
    for (uint32_t c = q; c < qp; c++) weight[c] = 0.0f;
}

/* cumulative[j] = weights of lanes 0 .. j; the last is the total */
static void softmax_cumulate(float cumulative[16], const float *weight, uint32_t qp)
{
    vf sum = vf_load(weight);
    for (uint32_t c = 16; c < qp; c += 16) sum = vf_add(sum, vf_load(weight + c));
    vf_store(cumulative, sum);
    for (int lane = 1; lane < 16; lane++)
        cumulative[lane] = cumulative[lane - 1] + cumulative[lane];
}

/* A key that orders floats as integers.  (A logit is never -0: its partial sums start at +0.) */
static inline uint32_t softmax_key(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits ^ (bits >> 31 ? 0xFFFFFFFFu : 0x80000000u);
}

/* Zeroes all weights but those of the k largest logits: finds the k-th key byte by byte. */
static void softmax_keep_top(float *weight, const float *logits, uint32_t q, uint32_t k)
{
    uint32_t key = 0, mask = 0, left = k; /* `left` of the codes that match `key` stay */
    for (int shift = 24; shift >= 0; shift -= 8) {
        uint32_t count[256] = {0}, byte = 255;
        for (uint32_t c = 0; c < q; c++) {
            const uint32_t this = softmax_key(logits[c]);
            if ((this & mask) == key) count[this >> shift & 255]++;
        }
        for (; count[byte] < left; byte--) left -= count[byte];
        key |= byte << shift;
        mask |= 255u << shift;
    }
    for (uint32_t c = 0; c < q; c++) {
        const uint32_t this = softmax_key(logits[c]);
        if (this > key) continue;
        if (this == key && left) left--;
        else weight[c] = 0.0f;
    }
}

static uint32_t softmax_argmax(const float *logits, float max)
{
    uint32_t c = 0;
    while (logits[c] != max) c++;
    return c;
}

/* Inverse distribution function, by lane, then within the lane.  Never a code of weight 0. */
static uint32_t softmax_pick(const float *weight, const float cumulative[16], uint32_t qp, float u)
{
    const float target = u * cumulative[15];
    uint32_t lane = 0, found = 0;
    while (lane < 15 && !(target < cumulative[lane])) lane++;
    float sum = lane ? cumulative[lane - 1] : 0.0f;
    for (uint32_t c = lane; c < qp; c += 16) {
        if (!(weight[c] > 0.0f)) continue;
        found = c;
        sum += weight[c];
        if (target < sum) break;
    }
    return found;
}

/* ln p(code), at temperature 1 */
static float softmax_logp(float *weight, const float *logits, uint32_t q, uint32_t qp, float max,
                          uint32_t code)
{
    float cumulative[16], log_total[16];
    softmax_weights(weight, logits, q, qp, max, 1.0f);
    softmax_cumulate(cumulative, weight, qp);
    vf_store(log_total, vf_log(vf_set(cumulative[15])));
    return (logits[code] - max) - log_total[0];
}

/* Zeroes the weights below min_p: the largest weight is exp(0) = 1. */
static void softmax_drop_below(float *weight, uint32_t qp, float min_p)
{
    const vf least = vf_set(min_p), zero = vf_set(0.0f);
    for (uint32_t c = 0; c < qp; c += 16) {
        const vf w = vf_load(weight + c);
        vf_store(weight + c, vf_select(vf_lt(w, least), zero, w));
    }
}

/* How one sample is drawn. */
typedef struct {
    float temperature, min_p;
    uint32_t top_k;
} softmax_numbers;

/* Those of sample i of the run in row b: of its frame, where frames have their own. */
static softmax_numbers softmax_numbers_of(const fwn_stream *s, const fwn_io *io, uint64_t i,
                                          uint32_t b)
{
    softmax_numbers by = {io->temperature, io->min_p, io->top_k};
    if (!io->frame_temperature && !io->frame_min_p) return by;
    const size_t at = (size_t)fwn_frame_of(s, io, i) * s->batch + b;
    if (io->frame_temperature) by.temperature = io->frame_temperature[at];
    if (io->frame_min_p) by.min_p = io->frame_min_p[at];
    return by;
}

/* The code drawn for the row's current step. */
static uint32_t softmax_draw(float *weight, const float *logits, uint32_t q, uint32_t qp, float max,
                             softmax_numbers by, const fwn_row *row)
{
    if (by.temperature == 0.0f) return softmax_argmax(logits, max);
    float cumulative[16];
    softmax_weights(weight, logits, q, qp, max, 1.0f / by.temperature);
    if (by.top_k && by.top_k < q) softmax_keep_top(weight, logits, q, by.top_k);
    if (by.min_p > 0.0f) softmax_drop_below(weight, qp, by.min_p);
    softmax_cumulate(cumulative, weight, qp);
    const uint32_t word = fwn_philox(row->seed, row->step, row->id);
    return softmax_pick(weight, cumulative, qp, (float)(word >> 8) * 0x1p-24f);
}

/* ---- coding ---------------------------------------------------------------------------------- */

/* The integer frequency of a code of this weight, which is at most 1. */
static inline uint32_t code_frequency(float weight)
{
    return 1u + (uint32_t)(int32_t)(weight * 0x1p30f);
}

/* end[j] = frequencies of the codes in lanes 0 .. j; the last is their total */
static void frequency_ends(uint64_t end[16], const float *weight, uint32_t q, uint32_t qp)
{
    for (uint32_t lane = 0; lane < 16; lane++)
        end[lane] = q > lane ? (q - lane + 15) / 16 : 0; /* 1 for each code */
    for (uint32_t c = 0; c < qp; c += 16)
        for (uint32_t lane = 0; lane < 16; lane++)
            end[lane] += (uint32_t)(int32_t)(weight[c + lane] * 0x1p30f);
    for (int lane = 1; lane < 16; lane++) end[lane] += end[lane - 1];
}

static void encode_code(fwn_coder *coder, const float *weight, const uint64_t end[16],
                        uint32_t code)
{
    const uint32_t lane = code % 16;
    uint64_t start = lane ? end[lane - 1] : 0;
    for (uint32_t c = lane; c < code; c += 16) start += code_frequency(weight[c]);
    coder_put(coder, start, code_frequency(weight[code]), end[15]);
}

static uint32_t decode_code(fwn_coder *coder, const float *weight, const uint64_t end[16])
{
    const uint64_t target = coder_target(coder, end[15]);
    uint32_t code = 0;
    while (target >= end[code]) code++;
    uint64_t start = code ? end[code - 1] : 0;
    for (; target >= start + code_frequency(weight[code]); code += 16)
        start += code_frequency(weight[code]);
    coder_take(coder, start, code_frequency(weight[code]), end[15]);
    return code;
}

/* The values of a code.  Their density is linear: `left` from that of the code below, `right` from
 * that of the code above, 18 in all (docs/arithmetic.md, "Range coder"). */
typedef struct {
    uint64_t width, left, right;
} fwn_values;

#define FWN_VALUE_PARTS 16 /* shared by left and right, which have one more each */

static uint64_t value_density(const float *weight, const uint32_t *widths, uint32_t code)
{
    return ((uint64_t)code_frequency(weight[code]) << 16) / widths[code];
}

static fwn_values values_of(const float *weight, const uint32_t *widths, uint32_t q, uint32_t code)
{
    const uint32_t below = code && widths[code - 1] ? code - 1 : code;
    const uint32_t above = code + 1 < q && widths[code + 1] ? code + 1 : code;
    const uint64_t low = value_density(weight, widths, below);
    const uint64_t high = value_density(weight, widths, above);
    const uint64_t left = FWN_VALUE_PARTS * low / (low + high);
    return (fwn_values){widths[code], 1 + left, 1 + FWN_VALUE_PARTS - left};
}

/* The sum of the sizes of the values in front of `place`; of all, if it is their number. */
static uint64_t value_start(fwn_values v, uint64_t place)
{
    return place * (v.left * (2 * v.width - place) + v.right * place);
}

static void encode_place(fwn_coder *coder, fwn_values v, uint64_t place)
{
    if (v.width <= 1) return;
    const uint64_t start = value_start(v, place);
    coder_put(coder, start, value_start(v, place + 1) - start, value_start(v, v.width));
}

static uint32_t decode_place(fwn_coder *coder, fwn_values v)
{
    if (v.width <= 1) return 0;
    const uint64_t total = value_start(v, v.width), target = coder_target(coder, total);
    uint64_t place = 0, end = v.width;
    while (end - place > 1) {
        const uint64_t middle = (place + end) / 2;
        if (value_start(v, middle) <= target) place = middle;
        else end = middle;
    }
    const uint64_t start = value_start(v, place);
    coder_take(coder, start, value_start(v, place + 1) - start, total);
    return (uint32_t)place;
}

/* The sample at `out` of a coder's row, encoded if it is forced, or decoded. */
static uint32_t code_sample(fwn_stream *s, const fwn_io *io, fwn_coder *coder, size_t out,
                            const float *logits, float max)
{
    const fwn_model *m = s->model;
    const uint32_t q = m->spec.levels;
    uint32_t code = io->forced ? io->forced[out] : m->spec.start_code, place = 0;
    if (coder->left && !coder->damaged) {
        uint64_t end[16];
        softmax_weights(s->weight, logits, q, m->Qp, max, 1.0f);
        frequency_ends(end, s->weight, q, m->Qp);
        if (io->forced) {
            encode_code(coder, s->weight, end, code);
            if (io->widths)
                encode_place(coder, values_of(s->weight, io->widths, q, code), io->places[out]);
        } else {
            code = decode_code(coder, s->weight, end);
            if (io->widths && !io->widths[code]) coder->damaged = 1; /* no encoder wrote it */
            else if (io->widths)
                place = decode_place(coder, values_of(s->weight, io->widths, q, code));
        }
        coder->left--;
    }
    if (io->widths && !io->forced) io->places[out] = (uint16_t)place;
    return code;
}

/* ---- samples --------------------------------------------------------------------------------- */

/* The amplitude of the row's newest code. */
static float decode_next(const fwn_model *m, fwn_row *row)
{
    const float y = m->mulaw->amplitude[row->next];
    if (!(m->codec.pre_emphasis > 0.0)) return y;
    const float x = y + (float)m->codec.pre_emphasis * row->last;
    atomic_store_explicit(&row->last, x, memory_order_relaxed);
    return x;
}

/* Row b takes its sample after step i of the block: forced, decoded, or drawn from its logits. */
static int emit_sample(fwn_stream *s, const fwn_io *io, uint32_t done, uint32_t i, uint32_t b,
                       int has_logits)
{
    const fwn_model *m = s->model;
    const uint32_t q = m->spec.levels;
    const size_t out = (size_t)b * io->n + done + i;
    fwn_row *row = &s->row[b];
    float *logits = s->logits + ((size_t)i * s->batch + b) * m->Qp, max = 0.0f;
    if (has_logits && !softmax_max(logits, q, m->Qp, &max)) return FWN_NOT_FINITE;
    if (io->coders) row->next = code_sample(s, io, &io->coders[b], out, logits, max);
    else if (io->forced) row->next = io->forced[out];
    else
        row->next = softmax_draw(s->weight, logits, q, m->Qp, max,
                                 softmax_numbers_of(s, io, (uint64_t)done + i, b), row);
    atomic_store_explicit(&row->step, row->step + 1, memory_order_relaxed); /* the only writer */
    atomic_store_explicit(&row->begun, 1, memory_order_relaxed);
    const float audio = decode_next(m, row);
    if (io->codes) io->codes[out] = (uint16_t)row->next;
    if (io->audio) io->audio[out] = audio;
    if (io->logits) memcpy(io->logits + out * q, logits, q * sizeof *logits);
    if (io->logp) io->logp[out] = softmax_logp(s->weight, logits, q, m->Qp, max, row->next);
    return FWN_OK;
}

/* The samples of all rows after each of the block's n steps. */
static int emit_samples(fwn_stream *s, const fwn_io *io, uint32_t done, uint32_t n, int has_logits)
{
    int error = FWN_OK;
    for (uint32_t i = 0; i < n && !error; i++)
        for (uint32_t b = 0; b < s->batch && !error; b++)
            error = emit_sample(s, io, done, i, b, has_logits);
    return error;
}

#endif
