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

/* The least float above x. */
static float next_above(double x)
{
    const float f = (float)x;
    return (double)f <= x ? nextafterf(f, INFINITY) : f;
}

/* |x| of a companded magnitude v */
static double expand(const fwn_codec *codec, double v)
{
    return v == 1.0 ? 1.0 : (power(v * ln(1.0 + codec->mu)) - 1.0) / codec->mu;
}

/* The magnitudes at which the code changes on one side of zero, ascending from the middle: code = middle +
 * their number at or below |x| for x >= 0, middle - their number for x < 0. */
typedef struct {
    float *at;
    uint32_t count, middle;
} thresholds;

/* Code k begins at the companded value (2 (k - encode_offset) - steps) / steps. */
static void fill_thresholds(thresholds sides[2], const fwn_codec *codec, uint32_t levels)
{
    thresholds *above = &sides[0], *below = &sides[1];
    for (uint32_t k = 1; k < levels; k++) {
        const double c = (2.0 * (k - codec->encode_offset) - codec->steps) / codec->steps;
        above->middle += c <= 0.0;
        below->middle += c < 0.0;
        if (c > 0.0 && c <= 1.0) above->at[above->count++] = round_up(expand(codec, c));
    }
    below->at = above->at + above->count;
    for (uint32_t k = levels - 1; k > 0; k--) {
        const double c = (2.0 * (k - codec->encode_offset) - codec->steps) / codec->steps;
        if (c < 0.0 && c > -1.0) below->at[below->count++] = next_above(expand(codec, -c));
    }
}

static void fill_amplitudes(fwn_mulaw *c, const fwn_codec *codec)
{
    for (uint32_t k = 0; k < c->levels; k++) {
        const double u = 2.0 * (k - codec->decode_offset) / codec->decode_divisor - 1.0;
        const double x = expand(codec, fabs(u));
        c->amplitude[k] = (float)(u < 0 ? -x : x);
        const float scaled = rintf(32768.0f * c->amplitude[k]);
        c->sample[k] = (int16_t)fminf(fmaxf(scaled, -32768.0f), 32767.0f);
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

static int one_in_each(const fwn_mulaw *c, const thresholds *side)
{
    for (uint32_t i = 1; i < side->count; i++)
        if (place(c, side->at[i]) == place(c, side->at[i - 1])) return 0;
    return 1;
}

/* The widest segments that hold one threshold at most. */
static void choose_segments(fwn_mulaw *c, const fwn_codec *codec, const thresholds sides[2])
{
    int exponent;
    frexp(codec->mu, &exponent); /* mu < 2^exponent */
    c->offset = (float)ldexp(1.0, -exponent);
    c->drop = 23;
    while (c->drop && (!one_in_each(c, &sides[0]) || !one_in_each(c, &sides[1]))) c->drop--;
    c->first = place(c, 0.0f);
    c->segments = place(c, 1.0f) - c->first + 1;
}

/* `step` is 1 for x >= 0, and -1 for x < 0 */
static void fill_segments(const fwn_mulaw *c, int32_t (*segment)[2], const thresholds *side,
                          int step)
{
    uint32_t passed = 0; /* thresholds below this segment */
    for (int i = 0; i < c->segments; i++) {
        const int holds_one = passed < side->count && place(c, side->at[passed]) == c->first + i;
        const float next = holds_one ? side->at[passed] : INFINITY;
        memcpy(&segment[i][0], &next, sizeof next);
        segment[i][1] = (int32_t)side->middle + step * (int32_t)passed;
        passed += holds_one;
    }
}

/* ---- positions: codes by a logarithm, where no threshold is near ------------------------------ */

/* log2(m) for m in [1, 2] as a polynomial of m, positive at 1. */
static const double LOG2[6] = {-2.80031816, 5.091566482,  -3.550616301,
                               1.631043987, -0.416533689, 0.04487031762};
/* Its error is 1.27e-5; the rest is for the rounding in codec_mulaw.h, with any mu. */
#define FWN_LOG2_ERROR 2e-5
#define FWN_MOST_DOUBT 0x1p-8 /* beyond that the look-up alone is as fast */
#define FWN_APART 0x1p-6      /* of the thresholds from 0, so that none is near to 0 */

/* Whether all amplitudes have positions of codes, and 0 is a threshold exactly or not nearly. */
static int has_positions(const fwn_codec *codec, uint32_t levels, double part)
{
    const double twice = 2.0 * codec->encode_offset;
    const int exact = twice == floor(twice) && codec->steps == floor(codec->steps);
    return codec->encode_offset >= 0.0 && codec->encode_offset + codec->steps <= levels &&
           (part == 0.0 ? exact : part >= FWN_APART && part <= 1.0 - FWN_APART);
}

static void fill_positions(fwn_mulaw *c, const fwn_codec *codec)
{
    const double zero = codec->encode_offset + codec->steps / 2, below = floor(zero);
    const double scale = codec->steps / 2 * 0.69314718055994530942 / ln(1.0 + codec->mu);
    const double doubt = scale * FWN_LOG2_ERROR;
    c->mu = (float)codec->mu;
    c->scale = (float)scale;
    for (int i = 0; i < 6; i++) c->curve[i] = (float)(scale * LOG2[i]);
    c->part = (float)(zero - below);
    c->below = (int32_t)below;
    if (doubt <= FWN_MOST_DOUBT && has_positions(codec, c->levels, zero - below))
        c->doubt = (float)doubt;
}

static int is_mirrored(const fwn_mulaw *c)
{
    if (c->levels != 256) return 0;
    for (int k = 0; k < 128; k++)
        if (c->amplitude[k] >= 0.0f || c->amplitude[255 - k] != -c->amplitude[k]) return 0;
    return 1;
}

/* ---- the codec ------------------------------------------------------------------------------- */

static fwn_mulaw *lay_out(fwn_arena *a, const fwn_mulaw *shape)
{
    fwn_mulaw *c = fwn_arena_take(a, 1, sizeof *c);
    int32_t (*segment)[2] = fwn_arena_take(a, 2 * (size_t)shape->segments, sizeof *segment);
    float *amplitude = fwn_arena_take(a, shape->levels, sizeof *amplitude);
    int16_t *sample = fwn_arena_take(a, shape->levels, sizeof *sample);
    if (!c) return NULL;
    *c = *shape;
    c->segment = segment;
    c->amplitude = amplitude;
    c->sample = sample;
    return c;
}

FWN_IN_OUR_MODE static fwn_mulaw *create(uint32_t levels, const fwn_codec *codec, float *memory)
{
    thresholds sides[2] = {{memory, 0, 0}, {NULL, 0, 0}};
    fwn_mulaw shape = {.levels = levels};
    fill_thresholds(sides, codec, levels);
    choose_segments(&shape, codec, sides);
    fwn_arena arena = {NULL, 0};
    lay_out(&arena, &shape);
    if (!(arena.base = fwn_arena_memory(arena.used))) return NULL;
    arena.used = 0;
    fwn_mulaw *c = lay_out(&arena, &shape);
    fill_segments(c, c->segment, &sides[0], 1);
    fill_segments(c, c->segment + c->segments, &sides[1], -1);
    fill_positions(c, codec);
    fill_amplitudes(c, codec);
    c->mirrored = is_mirrored(c);
    return c;
}

fwn_codec fwn_codec_symmetric(uint32_t levels)
{
    const double mu = levels - 1.0;
    return (fwn_codec){.mu = mu, .steps = mu, .encode_offset = 0.5, .decode_divisor = mu};
}

static int within(double x, double low, double high)
{
    return low <= x && x <= high;
} /* NaN is not */

/* MuLawCodec in fastwavenet/ends.py has the same bounds. */
int fwn_codec_check(const fwn_codec *c, uint32_t levels)
{
    if (!within(c->mu, 1, 65536) || !within(c->steps, 1, 65536) ||
        !within(c->decode_divisor, 1, 131072) || !within(c->encode_offset, -65536, 65536) ||
        !within(c->decode_offset, -65536, 65536) || !within(c->pre_emphasis, 0, 0.999))
        return 0;
    const double low = 2.0 * -c->decode_offset / c->decode_divisor - 1.0;
    const double high = 2.0 * (levels - 1.0 - c->decode_offset) / c->decode_divisor - 1.0;
    return within(low, -1.25, 1.25) && within(high, -1.25, 1.25);
}

int fwn_mulaw_create(uint32_t levels, const fwn_codec *codec, fwn_mulaw **out)
{
    if (levels < 2 || levels > 65536 || !out) return FWN_BAD_ARGUMENT;
    const fwn_codec chosen = codec ? *codec : fwn_codec_symmetric(levels);
    if (!fwn_codec_check(&chosen, levels)) return FWN_BAD_ARGUMENT;
    float *memory = malloc(levels * sizeof *memory);
    if (!memory) return FWN_NO_MEMORY;
    const fwn_float_mode host = fwn_set_mode();
    fwn_mulaw *c = create(levels, &chosen, memory);
    fwn_restore_mode(host);
    free(memory);
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

/* ---- pre-emphasis: y(t) = x(t) - a x(t - 1), and its inverse --------------------------------------- */

FWN_IN_OUR_MODE static void emphasise(float a, const float *x, size_t n, float *y, float before)
{
    for (size_t i = 0; i < n; i++) {
        const float now = x[i]; /* y may be x */
        y[i] = now - a * before;
        before = now;
    }
}

FWN_IN_OUR_MODE static void undo_emphasis(float a, const float *y, size_t n, float *x, float before)
{
    for (size_t i = 0; i < n; i++) x[i] = before = y[i] + a * before;
}

int fwn_pre_emphasis(const fwn_codec *codec, const float *x, size_t n, float before, float *y)
{
    if (!codec || (n && (!x || !y))) return FWN_BAD_ARGUMENT;
    const fwn_float_mode host = fwn_set_mode();
    emphasise((float)codec->pre_emphasis, x, n, y, before);
    fwn_restore_mode(host);
    return FWN_OK;
}

int fwn_de_emphasis(const fwn_codec *codec, const float *y, size_t n, float before, float *x)
{
    if (!codec || (n && (!x || !y))) return FWN_BAD_ARGUMENT;
    const fwn_float_mode host = fwn_set_mode();
    undo_emphasis((float)codec->pre_emphasis, y, n, x, before);
    fwn_restore_mode(host);
    return FWN_OK;
}
