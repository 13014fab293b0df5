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

#define FWN_PROBE_INPUTS 128

/* The products of a microkernel with hardly a beginning and an end, `times` times, of zeros: at
 * least 16 KB.  Returns their number, in which 16-bit inputs count as two. */
#if FWN_PRECISION == 2 || FWN_PRECISION == 4
FWN_INLINE void probe_exact(vi *sum, const char *zeros, const int bytes)
{
    const size_t panel = 16 * FWN_PROBE_INPUTS, stride = 2 * FWN_PROBE_INPUTS;
    mul_exact(sum, zeros, panel, zeros, stride, FWN_PROBE_INPUTS, FWN_INT8_MICRO_PANELS,
              FWN_INT8_MICRO_ROWS, bytes);
}

static uint64_t probe_multiply(const void *zeros, size_t times)
{
    enum { SUMS = FWN_INT8_MICRO_ROWS * FWN_INT8_MICRO_PANELS };
    vi sum[16], all = vi_set(0);
    EACH(j, SUMS) sum[j] = all;
    for (size_t n = 0; n < times; n++) {
        if (FWN_PRECISION == 2) probe_exact(sum, zeros, 0);
        probe_exact(sum, zeros, 1);
    }
    EACH(j, SUMS) all = vi_add(all, sum[j]);
    probe_use(all);
    return (uint64_t)(FWN_PRECISION == 2 ? 2 + 1 : 1) * FWN_PROBE_INPUTS * 16 * SUMS * times;
}
#elif FWN_PRECISION == 3
static uint64_t probe_multiply(const void *zeros, size_t times)
{
    enum { SUMS = FWN_PAIR_ROWS * FWN_PAIR_PANELS };
    const fwn_mat m = {.w = zeros, .k = FWN_PROBE_INPUTS};
    const fwn_act x = {.at = (char *)(uintptr_t)zeros, .stride = 4 * FWN_PROBE_INPUTS};
    vf total[16], all = vf_set(0.0f);
    EACH(j, SUMS) total[j] = all;
    for (size_t n = 0; n < times; n++)
        add_inputs(total, &m, x, 0, FWN_PROBE_INPUTS, 0, FWN_PAIR_PANELS, FWN_PAIR_ROWS);
    EACH(j, SUMS) all = vf_add(all, total[j]);
    probe_use(vi_bitcast(all));
    return (uint64_t)FWN_PROBE_INPUTS * 16 * SUMS * times;
}
#else
static uint64_t probe_multiply(const void *zeros, size_t times)
{
    const int parts = micro_parts(FWN_MICRO_ROWS, FWN_MICRO_PANELS);
    const fwn_micro t = {FWN_MICRO_ROWS, FWN_MICRO_PANELS, parts, 0};
    const int sums = FWN_MICRO_ROWS * FWN_MICRO_PANELS * parts;
    const fwn_mat m = {.w = zeros, .k = FWN_PROBE_INPUTS};
    const fwn_rows x = {zeros, FWN_PROBE_INPUTS};
    vf p[FWN_REGISTERS], all = vf_set(0.0f);
    EACH(j, sums) p[j] = all;
    for (size_t n = 0; n < times; n++) add_micro(p, &m, x, 0, FWN_PROBE_INPUTS, 0, t);
    EACH(j, sums) all = vf_add(all, p[j]);
    probe_use(vi_bitcast(all));
    return (uint64_t)FWN_PROBE_INPUTS / FWN_PARTS * 16 * (uint64_t)sums * times;
}
#endif

#endif
