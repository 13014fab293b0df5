/* mu-law coding for fuzz.c: bytes of the input as audio and as codes, on two instruction sets. */
#ifndef FUZZ_MULAW_H
#define FUZZ_MULAW_H

#include "fuzz_twin.h"

static inline const fwn_mulaw *codec_from(input *in, uint32_t *levels)
{
    static const uint32_t some[] = {2,   3,   4,   17,   64,   100,   255,
                                    256, 257, 300, 1024, 4097, 65535, 65536};
    static fwn_mulaw *all[COUNT(some)];
    fwn_mulaw *none = NULL;
    const uint32_t which = next_below(in, COUNT(some)), outside = 65537 + next_byte(in);
    *levels = some[which];
    CHECK(fwn_mulaw_create(outside, &none) == FWN_BAD_SPEC ||
          fwn_mulaw_create(outside, &none) == FWN_BAD_ARGUMENT);
    CHECK(!none && (all[which] || !fwn_mulaw_create(*levels, &all[which])));
    return all[which];
}

/* n items of `size` bytes: from the input while it lasts, then from a generator. */
static inline void *items(input *in, size_t n, size_t size)
{
    uint8_t *bytes = exactly(n, size);
    uint32_t seed = next_word(in) | 1;
    const uint32_t given = next_below(in, 32);
    for (size_t i = 0; i < n * size; i++)
        bytes[i] = (uint8_t)(i < given ? next_byte(in) : scramble(&seed) >> 24);
    return bytes;
}

static inline void encode_both(const fwn_mulaw *codec, const int isa[2], input *in, size_t n,
                               size_t width)
{
    float *x = items(in, n, sizeof *x);
    int16_t *samples = items(in, n, sizeof *samples);
    uint8_t *codes[2] = {exactly(n, width), exactly(n, width)};
    size_t bad[2] = {0, 0};
    int error[2];
    if (next_below(in, 2)) /* no NaN, no infinity */
        for (size_t i = 0; i < n; i++) x[i] = (float)samples[i] * 0x1p-14f;
    for (int i = 0; i < 2; i++)
        error[i] = fwn_mulaw_encode_f32(codec, isa[i], x, n, codes[i], &bad[i]);
    CHECK(error[0] == error[1] && bad[0] == bad[1]);
    CHECK(!error[0] || (error[0] == FWN_BAD_AUDIO && bad[0] < n && !isfinite(x[bad[0]])));
    CHECK(error[0] || !memcmp(codes[0], codes[1], n * width));
    for (int i = 0; i < 2; i++) CHECK(!fwn_mulaw_encode_i16(codec, isa[i], samples, n, codes[i]));
    CHECK(!memcmp(codes[0], codes[1], n * width));
    free(x);
    free(samples);
    free(codes[0]);
    free(codes[1]);
}

static inline void decode_both(const fwn_mulaw *codec, const int isa[2], input *in, size_t n,
                               size_t width)
{
    void *codes = items(in, n, width);
    float *x[2] = {exactly(n, sizeof(float)), exactly(n, sizeof(float))};
    int16_t *samples[2] = {exactly(n, sizeof(int16_t)), exactly(n, sizeof(int16_t))};
    size_t bad[4] = {0, 0, 0, 0};
    int error[4];
    for (int i = 0; i < 2; i++) {
        error[i] = fwn_mulaw_decode_f32(codec, isa[i], codes, n, x[i], &bad[i]);
        error[2 + i] = fwn_mulaw_decode_i16(codec, isa[i], codes, n, samples[i], &bad[2 + i]);
    }
    for (int i = 1; i < 4; i++) CHECK(error[i] == error[0] && bad[i] == bad[0]);
    CHECK(error[0] == FWN_OK || (error[0] == FWN_BAD_CODE && bad[0] < n));
    CHECK(error[0] ||
          (!memcmp(x[0], x[1], n * sizeof(float)) && !memcmp(samples[0], samples[1], n * 2)));
    free(codes);
    for (int i = 0; i < 2; i++) free(x[i]), free(samples[i]);
}

static inline void refuse_mulaw(const fwn_mulaw *codec)
{
    uint8_t code = 0;
    fwn_mulaw *out;
    CHECK(fwn_mulaw_create(2, NULL) == FWN_BAD_ARGUMENT && fwn_mulaw_create(1, &out) != FWN_OK);
    CHECK(fwn_mulaw_encode_f32(NULL, 0, NULL, 0, NULL, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_encode_f32(codec, 0, NULL, 1, &code, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_encode_i16(codec, 0, NULL, 1, &code) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_decode_f32(codec, 0, &code, 1, NULL, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_decode_i16(codec, 0, NULL, 1, NULL, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_encode_i16(codec, FWN_ISAS, NULL, 0, NULL) == FWN_BAD_ISA);
    fwn_mulaw_destroy(NULL);
}

static inline void try_mulaw(input *in, int isa, int twin_isa)
{
    const int isas[2] = {isa, twin_isa};
    uint32_t levels;
    const fwn_mulaw *codec = codec_from(in, &levels);
    const size_t n = next_below(in, 70), width = levels <= 256 ? 1 : 2;
    encode_both(codec, isas, in, n, width);
    decode_both(codec, isas, in, n, width);
    refuse_mulaw(codec);
}

#endif
