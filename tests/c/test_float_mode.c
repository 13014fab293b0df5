/* The host's floating-point mode changes no result and is restored. */
#include "claims.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
enum { ROUND_DOWN = 0x2000, ROUND_UP = 0x4000, ROUND_TO_ZERO = 0x6000, NO_DENORMALS = 0x8040 };
static uint64_t mode_register(void) { return _mm_getcsr(); }
static void set_mode_register(uint64_t bits) { _mm_setcsr((unsigned)bits); }
#elif defined(__aarch64__)
enum { ROUND_DOWN = 2 << 22, ROUND_UP = 1 << 22, ROUND_TO_ZERO = 3 << 22, NO_DENORMALS = 1 << 24 };
static uint64_t mode_register(void)
{
    uint64_t bits;
    __asm__ volatile("mrs %0, fpcr" : "=r"(bits));
    return bits;
}
static void set_mode_register(uint64_t bits) { __asm__ volatile("msr fpcr, %0" : : "r"(bits)); }
#endif
enum { ALL_MODES = ROUND_TO_ZERO | NO_DENORMALS };
static const uint64_t MODES[] = {ROUND_DOWN, ROUND_UP, ROUND_TO_ZERO, NO_DENORMALS,
                                 ROUND_UP | NO_DENORMALS};

static uint64_t host_mode(void) { return mode_register() & ALL_MODES; }
static void set_host_mode(uint64_t mode)
{
    set_mode_register((mode_register() & ~(uint64_t)ALL_MODES) | mode);
}

static void the_modes_of_these_tests_change_what_the_host_computes(void)
{
    volatile float one = 1.0f, three = 3.0f, tiny = 1e-39f, third = one / three;
    for (size_t i = 0; i < COUNT(MODES); i++) {
        set_host_mode(MODES[i]);
        volatile float up = one / three, down = -one / three, kept = tiny * one;
        set_host_mode(0);
        const int rounded = up != third || down != -third, flushed = kept != tiny;
        CHECK(rounded == ((MODES[i] & ROUND_TO_ZERO) != 0));
        CHECK(flushed == ((MODES[i] & NO_DENORMALS) != 0));
    }
}

/* A model made, and steps drawn and forced, in this mode of the host. */
static result run_in_mode(const network *net, int isa, int precision, uint64_t mode,
                          const uint16_t *forced)
{
    set_host_mode(mode);
    fwn_model *model = model_of(net, precision);
    CHECK(host_mode() == mode);
    fwn_stream *stream = stream_of(model, isa, 1);
    result r = run(stream, net->spec.levels, FEWER, FEWER, forced);
    CHECK(host_mode() == mode);
    set_host_mode(0);
    fwn_stream_destroy(stream);
    fwn_model_destroy(model);
    return r;
}

static void check_modes(int isa, int precision, size_t which)
{
    network *net = random_network(which);
    result expected = run_in_mode(net, isa, precision, 0, NULL);
    for (size_t i = 0; i < 2 * COUNT(MODES); i++) {
        result r = run_in_mode(net, isa, precision, MODES[i / 2], i % 2 ? expected.codes : NULL);
        CHECK(same(&r, &expected));
        free_result(&r);
    }
    free_result(&expected);
    free_network(net);
}

static void the_hosts_float_mode_changes_no_step_and_is_given_back(void)
{
    everywhere(check_modes);
}

enum { MODE_SAMPLES = 1000 };

static void encode_in_mode(int isa, uint64_t mode, const float *x, uint16_t *codes, float *back)
{
    fwn_mulaw *codec;
    set_host_mode(mode);
    CHECK(!fwn_mulaw_create(1000, NULL, &codec) && host_mode() == mode);
    CHECK(!fwn_mulaw_encode_f32(codec, isa, x, MODE_SAMPLES, codes, NULL) && host_mode() == mode);
    CHECK(!fwn_mulaw_decode_f32(codec, isa, codes, MODE_SAMPLES, back, NULL) &&
          host_mode() == mode);
    set_host_mode(0);
    fwn_mulaw_destroy(codec);
}

static void the_hosts_float_mode_changes_no_code_and_is_given_back(void)
{
    static float x[MODE_SAMPLES], back[2][MODE_SAMPLES];
    static uint16_t codes[2][MODE_SAMPLES];
    int isas[FWN_ISAS];
    const int count = fwn_isa_list(isas, FWN_ISAS);
    for (size_t i = 0; i < MODE_SAMPLES; i++) x[i] = i < 10 ? 1e-39f * (float)i : random_float();
    encode_in_mode(FWN_SCALAR, 0, x, codes[0], back[0]);
    for (int i = 0; i < count; i++)
        for (size_t j = 0; j < COUNT(MODES); j++) {
            encode_in_mode(isas[i], MODES[j], x, codes[1], back[1]);
            CHECK(!memcmp(codes[0], codes[1], sizeof codes[0]));
            CHECK(!memcmp(back[0], back[1], sizeof back[0]));
        }
}

static void the_hosts_float_mode_is_given_back_after_an_error(void)
{
    fwn_model *model = random_model(0, FWN_FLOAT32);
    fwn_stream *stream = stream_of(model, FWN_SCALAR, 1);
    const fwn_io bad = {.n = 1, .temperature = -1.0f};
    const float nan = NAN;
    uint8_t code;
    fwn_mulaw *codec;
    CHECK(!fwn_mulaw_create(256, NULL, &codec));
    for (size_t i = 0; i < COUNT(MODES); i++) {
        set_host_mode(MODES[i]);
        CHECK(fwn_run(stream, &bad) == FWN_BAD_ARGUMENT && host_mode() == MODES[i]);
        CHECK(fwn_mulaw_encode_f32(codec, FWN_SCALAR, &nan, 1, &code, NULL) == FWN_BAD_AUDIO);
        CHECK(host_mode() == MODES[i]);
    }
    set_host_mode(0);
    fwn_mulaw_destroy(codec);
    fwn_stream_destroy(stream);
    fwn_model_destroy(model);
}

const claim FLOAT_MODE[] = {
    TEST(the_modes_of_these_tests_change_what_the_host_computes),
    TEST(the_hosts_float_mode_changes_no_step_and_is_given_back),
    TEST(the_hosts_float_mode_changes_no_code_and_is_given_back),
    TEST(the_hosts_float_mode_is_given_back_after_an_error),
    {NULL, NULL},
};
