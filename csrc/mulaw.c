/* mu-law codecs of any number of levels: their tables, and the calls.  The tables are made with
 * our own exp and log in double precision, so that every machine has the same ones. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "float_mode.h"
#include "model.h"
#include "mulaw_tables.h"

/* ln x by the series of 2 artanh((m - 1) / (m + 1)), x = m 2^e */
static double ln(double x)
{
    int e;
    double m = frexp(x, &e), sum = 0.0;
    if (m < 0.70710678118654752) { m *= 2.0; e--; }
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
    for (int i = 18; i > 0; i--) sum = 1.0 + sum * r / i;
    return ldexp(sum, (int)n);
}

static float round_up(double x)
{
    const float f = (float)x;
    return (double)f < x ? nextafterf(f, INFINITY) : f;
}

/* Levels lie at m = 0, 1, ... or, where their number is even, halfway between those. */
FWN_IN_OUR_MODE static void fill_tables(fwn_mulaw *c, uint32_t steps)
{
    const uint32_t levels = c->levels;
    const double mu = levels - 1.0, log_range = ln(1.0 + mu), centre = mu / 2.0;
    const int odd = levels % 2;
    c->mu = (float)mu;
    c->scale = (float)(centre / log_range);
    c->offset = (odd ? 0.5f : 0.0f) - 0.02f; /* the guess must not be too high */
    c->up = (int32_t)(levels / 2);
    c->down = odd ? c->up : c->up - 1;
    for (uint32_t i = 0; i < steps; i++) {
        const double v = i + (odd ? 0.5 : 1.0);
        c->threshold[i] = round_up((power(v / centre * log_range) - 1.0) / mu);
    }
    c->threshold[steps] = INFINITY;
    for (uint32_t k = 0; k < levels; k++) {
        const double u = 2.0 * k / mu - 1.0;
        const double x = (power(fabs(u) * log_range) - 1.0) / mu;
        c->amplitude[k] = (float)(u < 0 ? -x : x);
        const float scaled = rintf(32768.0f * c->amplitude[k]);
        c->sample[k] = (int16_t)(scaled > 32767.0f ? 32767.0f : scaled);
    }
}

int fwn_mulaw_create(uint32_t levels, fwn_mulaw **out)
{
    if (levels < 2 || levels > 65536 || !out) return FWN_BAD_ARGUMENT;
    const uint32_t steps = (levels - 1) / 2; /* thresholds on each side */
    fwn_arena count = {NULL, 0}, arena = {NULL, 0};
    for (int pass = 0; pass < 2; pass++) {
        fwn_arena *a = pass ? &arena : &count;
        if (pass && !(arena.base = fwn_arena_memory(count.used))) return FWN_NO_MEMORY;
        fwn_mulaw *c = fwn_take(a, 1, sizeof *c);
        float *threshold = fwn_take(a, steps + 1, sizeof *threshold);
        float *amplitude = fwn_take(a, levels, sizeof *amplitude);
        int16_t *sample = fwn_take(a, levels, sizeof *sample);
        if (!pass) continue;
        *c = (fwn_mulaw){.levels = levels, .threshold = threshold, .amplitude = amplitude, .sample = sample};
        const fwn_float_mode host = fwn_set_mode();
        fill_tables(c, steps);
        fwn_restore_mode(host);
        *out = c;
    }
    return FWN_OK;
}

void fwn_mulaw_destroy(fwn_mulaw *codec) { free(codec); }

int fwn_mulaw_encode_f32(const fwn_mulaw *c, int isa, const float *x, size_t n, void *codes, size_t *bad)
{
    const fwn_kernels *k = fwn_kernels_of(isa);
    if (!c || (n && (!x || !codes))) return FWN_BAD_ARGUMENT;
    if (!k) return FWN_BAD_ISA;
    const fwn_float_mode host = fwn_set_mode();
    const int finite = k->encode_f32(c, x, n, codes);
    fwn_restore_mode(host);
    if (finite) return FWN_OK;
    size_t first = 0;
    while (x[first] - x[first] == 0.0f) first++;
    if (bad) *bad = first;
    return FWN_BAD_AUDIO;
}

int fwn_mulaw_encode_i16(const fwn_mulaw *c, int isa, const int16_t *x, size_t n, void *codes)
{
    const fwn_kernels *k = fwn_kernels_of(isa);
    if (!c || (n && (!x || !codes))) return FWN_BAD_ARGUMENT;
    if (!k) return FWN_BAD_ISA;
    const fwn_float_mode host = fwn_set_mode();
    k->encode_i16(c, x, n, codes);
    fwn_restore_mode(host);
    return FWN_OK;
}

/* The index of the first code that is not below `levels`, or n. */
static size_t first_bad(const fwn_mulaw *c, const void *codes, size_t n)
{
    const uint8_t *narrow = codes;
    const uint16_t *wide = codes;
    uint32_t most = 0;
    size_t i = 0;
    if (c->levels == 256 || c->levels == 65536) return n;
    for (i = 0; i < n; i++) {
        const uint32_t code = c->levels <= 256 ? narrow[i] : wide[i];
        most = code > most ? code : most;
    }
    if (most < c->levels) return n;
    for (i = 0; (c->levels <= 256 ? narrow[i] : wide[i]) < c->levels;) i++;
    return i;
}

/* Decoding is a look-up; tables of this size live in the first cache on every CPU. */
#define FWN_LOOK_UP(table)                                                     \
    do {                                                                       \
        const uint8_t *narrow = codes;                                         \
        const uint16_t *wide = codes;                                          \
        if (c->levels <= 256) for (size_t i = 0; i < n; i++) x[i] = table[narrow[i]]; \
        else for (size_t i = 0; i < n; i++) x[i] = table[wide[i]];             \
    } while (0)

int fwn_mulaw_decode_f32(const fwn_mulaw *c, int isa, const void *codes, size_t n, float *x, size_t *bad)
{
    if (!c || (n && (!x || !codes))) return FWN_BAD_ARGUMENT;
    if (!fwn_kernels_of(isa)) return FWN_BAD_ISA;
    const size_t first = first_bad(c, codes, n);
    if (bad) *bad = first;
    if (first < n) return FWN_BAD_CODE;
    FWN_LOOK_UP(c->amplitude);
    return FWN_OK;
}

int fwn_mulaw_decode_i16(const fwn_mulaw *c, int isa, const void *codes, size_t n, int16_t *x, size_t *bad)
{
    if (!c || (n && (!x || !codes))) return FWN_BAD_ARGUMENT;
    if (!fwn_kernels_of(isa)) return FWN_BAD_ISA;
    const size_t first = first_bad(c, codes, n);
    if (bad) *bad = first;
    if (first < n) return FWN_BAD_CODE;
    FWN_LOOK_UP(c->sample);
    return FWN_OK;
}
