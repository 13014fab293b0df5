/* mu-law codecs: their tables, and the public functions.  The tables are computed with exp and log
 * defined here in double precision, so that they are equal on every machine. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "float_mode.h"
#include "arena.h"
#include "dispatch.h"
#include "mulaw_tables.h"

/* ln x by the series of 2 artanh((m - 1) / (m + 1)), x = m 2^e */
static double ln(double x)
{
    int e;
    double m = frexp(x, &e), sum = 0.0;
    if (m < 0.70710678118654752) {
        m *= 2.0;
        e--;
    }
    const double z = (m - 1.0) / (m + 1.0), zz = z * z;
    for (int i = 41; i > 0; i -= 2) sum = sum * zz + 1.0 / i;
    return 2.0 * z * sum + e * 0.69314718055994530942;
}

/* e^x by Taylor's series of the remainder of x / ln 2 */
static double power(double x)
{
    const double n = floor(x * 1.44269504088896340736 + 0.5);
    const double r = x - n * 0.693147180369123816490 - n * 1.90821492927058770002e-10;
    double sum = 1.0;
    for (int i = 18; i > 0; i--) sum = 1.0 + sum * (r * (1.0 / i));
    return ldexp(sum, (int)n);
}

static float round_up(double x)
{
    const float f = (float)x;
    return (double)f < x ? nextafterf(f, INFINITY) : f;
}

/* The magnitudes at which the code changes, ascending.  Levels lie at m = 0, 1, ... or, if their
 * number is even, halfway between. */
static void fill_thresholds(float *threshold, uint32_t levels)
{
    const double mu = levels - 1.0, log_range = ln(1.0 + mu), centre = mu / 2.0;
    for (uint32_t i = 0; i < (levels - 1) / 2; i++) {
        const double v = i + (levels % 2 ? 0.5 : 1.0);
        threshold[i] = round_up((power(v / centre * log_range) - 1.0) / mu);
    }
}

static void fill_amplitudes(fwn_mulaw *c)
{
    const double mu = c->levels - 1.0, log_range = ln(1.0 + mu);
    for (uint32_t k = 0; k < c->levels; k++) {
        const double u = 2.0 * k / mu - 1.0;
        const double x = (power(fabs(u) * log_range) - 1.0) / mu;
        c->amplitude[k] = (float)(u < 0 ? -x : x);
        const float scaled = rintf(32768.0f * c->amplitude[k]);
        c->sample[k] = (int16_t)(scaled > 32767.0f ? 32767.0f : scaled);
    }
}

/* ---- segments: magnitudes whose |x| + offset has the same leading bits ----------------------- */

static int place(const fwn_mulaw *c, float size)
{
    const float shifted = size + c->offset;
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return bits >> c->drop;
}

static int one_in_each(const fwn_mulaw *c, const float *threshold, uint32_t steps)
{
    for (uint32_t i = 1; i < steps; i++)
        if (place(c, threshold[i]) == place(c, threshold[i - 1])) return 0;
    return 1;
}

/* The widest segments that hold one threshold at most; returns their number. */
static int choose_segments(fwn_mulaw *c, const float *threshold)
{
    int exponent;
    frexp(c->levels - 1.0, &exponent); /* mu < 2^exponent */
    c->offset = (float)ldexp(1.0, -exponent);
    c->drop = 23;
    while (!one_in_each(c, threshold, (c->levels - 1) / 2)) c->drop--;
    c->first = place(c, 0.0f);
    return place(c, 1.0f) - c->first + 1;
}

static void fill_segments(fwn_mulaw *c, const float *threshold, int count)
{
    const uint32_t steps = (c->levels - 1) / 2;
    uint32_t below = 0; /* thresholds below this segment */
    for (int i = 0; i < count; i++) {
        const int holds_one = below < steps && place(c, threshold[below]) == c->first + i;
        const float next = holds_one ? threshold[below] : INFINITY;
        memcpy(&c->segment[i][0], &next, sizeof next);
        c->segment[i][1] = (int32_t)(c->levels / 2 + below);
        below += holds_one;
    }
}

/* ---- the codec ------------------------------------------------------------------------------- */

static fwn_mulaw *lay_out(fwn_arena *a, uint32_t levels, int segments)
{
    fwn_mulaw *c = fwn_arena_take(a, 1, sizeof *c);
    int32_t (*segment)[2] = fwn_arena_take(a, (size_t)segments, sizeof *segment);
    float *amplitude = fwn_arena_take(a, levels, sizeof *amplitude);
    int16_t *sample = fwn_arena_take(a, levels, sizeof *sample);
    if (c)
        *c = (fwn_mulaw){
            .levels = levels, .segment = segment, .amplitude = amplitude, .sample = sample};
    return c;
}

FWN_IN_OUR_MODE static fwn_mulaw *create(uint32_t levels, float *threshold)
{
    fwn_mulaw shape = {.levels = levels};
    fill_thresholds(threshold, levels);
    const int segments = choose_segments(&shape, threshold);
    fwn_arena arena = {NULL, 0};
    lay_out(&arena, levels, segments);
    if (!(arena.base = fwn_arena_memory(arena.used))) return NULL;
    arena.used = 0;
    fwn_mulaw *c = lay_out(&arena, levels, segments);
    c->offset = shape.offset, c->drop = shape.drop, c->first = shape.first;
    fill_segments(c, threshold, segments);
    fill_amplitudes(c);
    return c;
}

int fwn_mulaw_create(uint32_t levels, fwn_mulaw **out)
{
    if (levels < 2 || levels > 65536 || !out) return FWN_BAD_ARGUMENT;
    float *threshold = malloc(levels * sizeof *threshold);
    if (!threshold) return FWN_NO_MEMORY;
    const fwn_float_mode host = fwn_set_mode();
    fwn_mulaw *c = create(levels, threshold);
    fwn_restore_mode(host);
    free(threshold);
    if (!c) return FWN_NO_MEMORY;
    *out = c;
    return FWN_OK;
}

void fwn_mulaw_destroy(fwn_mulaw *codec) { free(codec); }

int fwn_mulaw_encode_f32(const fwn_mulaw *c, int isa, const float *x, size_t n, void *codes,
                         size_t *bad)
{
    const fwn_kernels *k = fwn_kernels_of(isa, FWN_FLOAT32);
    if (!c || (n && (!x || !codes))) return FWN_BAD_ARGUMENT;
    if (!k) return FWN_BAD_ISA;
    const fwn_float_mode host = fwn_set_mode();
    const int finite = k->encode_f32(c, x, n, codes);
    fwn_restore_mode(host);
    if (finite) return FWN_OK;
    size_t first = 0;
    while (first < n && x[first] - x[first] == 0.0f) first++;
    if (first == n) return FWN_OK; /* only their sum was not finite */
    if (bad) *bad = first;
    return FWN_BAD_AUDIO;
}

int fwn_mulaw_encode_i16(const fwn_mulaw *c, int isa, const int16_t *x, size_t n, void *codes)
{
    const fwn_kernels *k = fwn_kernels_of(isa, FWN_FLOAT32);
    if (!c || (n && (!x || !codes))) return FWN_BAD_ARGUMENT;
    if (!k) return FWN_BAD_ISA;
    const fwn_float_mode host = fwn_set_mode();
    k->encode_i16(c, x, n, codes);
    fwn_restore_mode(host);
    return FWN_OK;
}

#define FWN_CHECKED \
    8192 /* codes checked at once: they stay in the L1 cache until they are decoded */

/* The index of the first of n codes that is not below `levels`, or n. */
static size_t first_bad(const fwn_mulaw *c, const void *codes, size_t n)
{
    const uint8_t *narrow = codes;
    const uint16_t *wide = codes;
    uint32_t most = 0;
    size_t i = 0;
    if (c->levels == 256 || c->levels == 65536) return n;
    if (c->levels < 256)
        for (; i < n; i++) most = narrow[i] > most ? narrow[i] : most;
    else
        for (; i < n; i++) most = wide[i] > most ? wide[i] : most;
    if (most < c->levels) return n;
    for (i = 0; (c->levels < 256 ? narrow[i] : wide[i]) < c->levels;) i++;
    return i;
}

static void decode_i16(const fwn_mulaw *c, const void *codes, size_t n, int16_t *x)
{
    const uint8_t *narrow = codes;
    const uint16_t *wide = codes;
    if (c->levels <= 256)
        for (size_t i = 0; i < n; i++) x[i] = c->sample[narrow[i]];
    else
        for (size_t i = 0; i < n; i++) x[i] = c->sample[wide[i]];
}

/* To floats or, if that is NULL, to samples. */
static int decode(const fwn_mulaw *c, int isa, const void *codes, size_t n, float *floats,
                  int16_t *samples, size_t *bad)
{
    const fwn_kernels *k = fwn_kernels_of(isa, FWN_FLOAT32);
    if (!c || (n && (!codes || !(floats || samples)))) return FWN_BAD_ARGUMENT;
    if (!k) return FWN_BAD_ISA;
    const size_t width = c->levels <= 256 ? 1 : 2;
    for (size_t at = 0; at < n; at += FWN_CHECKED) {
        const size_t count = n - at < FWN_CHECKED ? n - at : FWN_CHECKED;
        const char *part = (const char *)codes + at * width;
        const size_t good = first_bad(c, part, count);
        if (bad) *bad = at + good;
        if (good < count) return FWN_BAD_CODE;
        if (floats) k->decode_f32(c, part, count, floats + at);
        else decode_i16(c, part, count, samples + at);
    }
    return FWN_OK;
}

int fwn_mulaw_decode_f32(const fwn_mulaw *c, int isa, const void *codes, size_t n, float *x,
                         size_t *bad)
{
    return decode(c, isa, codes, n, x, NULL, bad);
}

int fwn_mulaw_decode_i16(const fwn_mulaw *c, int isa, const void *codes, size_t n, int16_t *x,
                         size_t *bad)
{
    return decode(c, isa, codes, n, NULL, x, bad);
}
