/* mu-law codecs: lengths, levels and refusals. */
#include "claims.h"

/* n samples in buffers of exactly n, on every instruction set. */
static void check_mulaw(const fwn_mulaw *codec, uint32_t levels, size_t n)
{
    const size_t width = levels <= 256 ? 1 : 2;
    int isas[FWN_ISAS];
    const int count = fwn_isa_list(isas, FWN_ISAS);
    float *x = malloc(n * sizeof *x), *back = malloc(n * sizeof *back);
    int16_t *samples = malloc(n * sizeof *samples), *again = malloc(n * sizeof *again);
    unsigned char *codes = malloc(n * width), *expected = malloc(n * width);
    size_t bad = 99;
    for (size_t i = 0; i < n; i++)
        x[i] = random_float() * 1.2f, samples[i] = (int16_t)random_word();
    for (int i = 0; i < count; i++) {
        CHECK(!fwn_mulaw_encode_f32(codec, isas[i], x, n, codes, &bad));
        if (i == 0) memcpy(expected, codes, n * width);
        CHECK(!memcmp(codes, expected, n * width));
        CHECK(!fwn_mulaw_decode_f32(codec, isas[i], codes, n, back, &bad));
        CHECK(!fwn_mulaw_encode_f32(codec, isas[i], back, n, codes, &bad));
        CHECK(!memcmp(codes, expected, n * width));
        CHECK(!fwn_mulaw_encode_i16(codec, isas[i], samples, n, codes));
        CHECK(!fwn_mulaw_decode_i16(codec, isas[i], codes, n, again, &bad));
        if (!n) continue;
        x[n - 1] = NAN;
        CHECK(fwn_mulaw_encode_f32(codec, isas[i], x, n, codes, &bad) == FWN_BAD_AUDIO &&
              bad == n - 1);
        x[n - 1] = 0.0f;
        CHECK(!fwn_mulaw_encode_f32(codec, isas[i], x, n, expected, &bad));
        for (size_t j = 0; j < n; j++) back[j] = 3e38f; /* finite, unlike their sum */
        CHECK(!fwn_mulaw_encode_f32(codec, isas[i], back, n, codes, &bad));
    }
    free(x), free(back), free(samples), free(again), free(codes), free(expected);
}

static void mulaw_codes_any_length_in_place_and_no_further(void)
{
    static const uint32_t levels[] = {2, 3, 255, 256, 257, 65535, 65536};
    for (size_t i = 0; i < COUNT(levels); i++) {
        fwn_mulaw *codec = NULL;
        CHECK(!fwn_mulaw_create(levels[i], &codec));
        for (size_t n = 0; n < 40; n++) check_mulaw(codec, levels[i], n);
        fwn_mulaw_destroy(codec);
    }
}

static void mulaw_refuses_bad_levels_codes_and_isas(void)
{
    fwn_mulaw *codec = NULL;
    uint8_t codes[3] = {0, 254, 255};
    float x[3] = {0};
    int16_t samples[3] = {0};
    size_t bad = 0;
    CHECK(fwn_mulaw_create(0, &codec) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_create(1, &codec) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_create(65537, &codec) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_create(256, NULL) == FWN_BAD_ARGUMENT);
    CHECK(!codec && !fwn_mulaw_create(255, &codec));
    CHECK(fwn_mulaw_decode_f32(codec, FWN_SCALAR, codes, 3, x, &bad) == FWN_BAD_CODE && bad == 2);
    CHECK(fwn_mulaw_decode_i16(codec, FWN_SCALAR, codes, 3, samples, &bad) == FWN_BAD_CODE &&
          bad == 2);
    CHECK(fwn_mulaw_encode_f32(codec, FWN_ISAS, x, 3, codes, &bad) == FWN_BAD_ISA);
    CHECK(fwn_mulaw_encode_i16(codec, -1, samples, 3, codes) == FWN_BAD_ISA);
    CHECK(fwn_mulaw_decode_f32(codec, -1, codes, 3, x, &bad) == FWN_BAD_ISA);
    CHECK(fwn_mulaw_decode_i16(codec, -1, codes, 3, samples, &bad) == FWN_BAD_ISA);
    fwn_mulaw_destroy(codec);
}

const claim MULAW[] = {
    TEST(mulaw_codes_any_length_in_place_and_no_further),
    TEST(mulaw_refuses_bad_levels_codes_and_isas),
    {NULL, NULL},
};
