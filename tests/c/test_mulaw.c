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
        CHECK(!fwn_mulaw_create(levels[i], NULL, &codec));
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
    CHECK(fwn_mulaw_create(0, NULL, &codec) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_create(1, NULL, &codec) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_create(65537, NULL, &codec) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_create(256, NULL, NULL) == FWN_BAD_ARGUMENT);
    CHECK(!codec && !fwn_mulaw_create(255, NULL, &codec));
    CHECK(fwn_mulaw_decode_f32(codec, FWN_SCALAR, codes, 3, x, &bad) == FWN_BAD_CODE && bad == 2);
    CHECK(fwn_mulaw_decode_i16(codec, FWN_SCALAR, codes, 3, samples, &bad) == FWN_BAD_CODE &&
          bad == 2);
    CHECK(fwn_mulaw_encode_f32(codec, FWN_ISAS, x, 3, codes, &bad) == FWN_BAD_ISA);
    CHECK(fwn_mulaw_encode_i16(codec, -1, samples, 3, codes) == FWN_BAD_ISA);
    CHECK(fwn_mulaw_decode_f32(codec, -1, codes, 3, x, &bad) == FWN_BAD_ISA);
    CHECK(fwn_mulaw_decode_i16(codec, -1, codes, 3, samples, &bad) == FWN_BAD_ISA);
    fwn_mulaw_destroy(codec);
}

static void codecs_out_of_bounds_are_refused_by_models_and_tables(void)
{
    static const fwn_codec good = {255, 256, 0.5, 0, 256, 0.85};
    static const double wrong[6][4] = {{0.5, 65537, NAN, INFINITY},    {0.5, 65537, NAN, -1},
                                       {-65537, 65537, NAN, INFINITY}, {-65537, 65537, NAN, 100},
                                       {0.5, 131073, NAN, 100},        {-0.1, 1, NAN, INFINITY}};
    network *net = random_network(1);
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < 4; j++) {
            fwn_mulaw *tables = NULL;
            fwn_codec bad = good;
            memcpy((char *)&bad + i * sizeof(double), &wrong[i][j], sizeof(double));
            CHECK(fwn_mulaw_create(256, &bad, &tables) == FWN_BAD_ARGUMENT && !tables);
            net->spec.codec = &bad;
            CHECK(created(&net->spec, net, net->count) == FWN_BAD_SPEC);
        }
    }
    net->spec.codec = &good;
    CHECK(created(&net->spec, net, net->count) == FWN_OK);
    free_network(net);
}

static void the_usual_codec_is_that_of_null(void)
{
    static const uint32_t levels[] = {2, 3, 256, 300, 65536};
    for (size_t i = 0; i < COUNT(levels); i++) {
        const double mu = levels[i] - 1;
        const fwn_codec usual = {mu, mu, 0.5, 0, mu, 0};
        fwn_mulaw *tables[2];
        float x[2] = {0};
        uint16_t codes[2][16] = {{0}};
        const float audio[16] = {0,    -0.0f, 1,     -1,     2,      -2,
                                 0.1f, -0.1f, 1e-3f, -1e-3f, 1e-45f, -1e-45f};
        CHECK(!fwn_mulaw_create(levels[i], NULL, &tables[0]));
        CHECK(!fwn_mulaw_create(levels[i], &usual, &tables[1]));
        for (int t = 0; t < 2; t++) {
            CHECK(!fwn_mulaw_encode_f32(tables[t], FWN_SCALAR, audio, 16, codes[t], NULL));
            CHECK(!fwn_mulaw_decode_f32(tables[t], FWN_SCALAR, codes[t], 1, &x[t], NULL));
        }
        CHECK(!memcmp(codes[0], codes[1], sizeof codes[0]) && x[0] == x[1]);
        for (int t = 0; t < 2; t++) fwn_mulaw_destroy(tables[t]);
    }
}

const claim MULAW[] = {
    TEST(codecs_out_of_bounds_are_refused_by_models_and_tables),
    TEST(the_usual_codec_is_that_of_null),
    TEST(mulaw_codes_any_length_in_place_and_no_further),
    TEST(mulaw_refuses_bad_levels_codes_and_isas),
    {NULL, NULL},
};
