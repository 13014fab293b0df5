/* What bounds a step on this core: reading weights, and multiplying them.  Loops of the same
 * instructions that do nothing else. */
#ifndef FWN_PROBE_H
#define FWN_PROBE_H

#include "rows.h"

#define FWN_READ_AT_ONCE 4 /* vectors */

/* For the compiler a use of what was computed. */
static inline void probe_use(vi a)
{
    const int32_t used = vi_largest(a);
    __asm__ volatile("" : : "r"(used));
}

/* Reads `size` bytes, a multiple of 64, `times` times. */
static void probe_read(const char *memory, size_t size, size_t times)
{
    const size_t group = 64 * FWN_READ_AT_ONCE;
    vi sum[FWN_READ_AT_ONCE];
    EACH(i, FWN_READ_AT_ONCE) sum[i] = vi_set(0);
    for (; times; times--) {
        size_t at = 0;
        for (; at + group <= size; at += group)
            EACH(i, FWN_READ_AT_ONCE) sum[i] = vi_add(sum[i], vi_load(memory + at + 64 * i));
        for (; at < size; at += 64) sum[0] = vi_add(sum[0], vi_load(memory + at));
    }
    EACH(i, FWN_READ_AT_ONCE) sum[0] = vi_max(sum[0], sum[i]);
    probe_use(sum[0]);
}

#define FWN_PROBE_INPUTS 32 /* so many, or groups of four, for each of the sums */

/* The products of a microkernel without its beginning and end, `times` times: inputs x [rows][32],
 * weights w [panels][32][16], words of any value.  Returns their number. */
#if FWN_PRECISION == 2
static uint64_t probe_multiply(const void *x, const void *w, size_t times)
{
    enum { ROWS = FWN_INT8_MICRO_ROWS, PANELS = FWN_INT8_MICRO_PANELS };
    vi sum[2][ROWS * PANELS], all = vi_set(0);
    EACH(i, 2)
        EACH(j, ROWS * PANELS) sum[i][j] = all;
    for (size_t k = 0; k < FWN_PROBE_INPUTS * times; k += 2)
        EACH(i, 2) {
            const size_t at = (k + i) % FWN_PROBE_INPUTS;
            EACH(j, PANELS) {
                const vi weights = vi_load((const char *)w + 64 * (j * FWN_PROBE_INPUTS + at));
                EACH(r, ROWS) {
                    int32_t group;
                    memcpy(&group, (const char *)x + 4 * (r * FWN_PROBE_INPUTS + at), sizeof group);
                    vi *to = &sum[i][r * PANELS + j];
                    *to = vi_dot(*to, vi_set(group), weights);
                }
            }
        }
    EACH(i, 2)
        EACH(j, ROWS * PANELS) all = vi_add(all, sum[i][j]);
    probe_use(all);
    return (uint64_t)FWN_PROBE_INPUTS * times * ROWS * PANELS * 64;
}
#else
#ifdef FWN_HAS_PAIRS
#define FWN_PROBE_FACTORS 2 /* numbers in a word */
static inline vf probe_add(vf sum, vf x, vf w)
{
    return pairs_dot(sum, vi_bitcast(x), vi_bitcast(w));
}
#else
#define FWN_PROBE_FACTORS 1
static inline vf probe_add(vf sum, vf x, vf w) { return vf_fma(x, w, sum); }
#endif

static uint64_t probe_multiply(const void *x, const void *w, size_t times)
{
    enum { ROWS = FWN_MICRO_ROWS, PANELS = FWN_MICRO_PANELS };
    vf sum[ROWS * PANELS], all = vf_set(0.0f);
    EACH(j, ROWS * PANELS) sum[j] = all;
    for (size_t k = 0; k < FWN_PROBE_INPUTS * times; k++) {
        const size_t at = k % FWN_PROBE_INPUTS;
        EACH(j, PANELS) {
            const vf weights = vf_load((const float *)w + 16 * (j * FWN_PROBE_INPUTS + at));
            EACH(r, ROWS) {
                const vf input = vf_set(((const float *)x)[r * FWN_PROBE_INPUTS + at]);
                sum[r * PANELS + j] = probe_add(sum[r * PANELS + j], input, weights);
            }
        }
    }
    EACH(j, ROWS * PANELS) all = vf_add(all, sum[j]);
    probe_use(vi_bitcast(all));
    return (uint64_t)FWN_PROBE_INPUTS * times * ROWS * PANELS * 16 * FWN_PROBE_FACTORS;
}
#endif

#endif
