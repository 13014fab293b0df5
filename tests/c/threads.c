/* Operations that threads may do at the same time, for tests/engine/test_c_engine.py to build with the
 * thread sanitizer: share a model and mu-law tables, have streams of two threads, meet on one
 * stream, and read its info.  -DSAMPLES=n: of each generated sound. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fastwavenet.h"

#define CHECK(claim)                                                 \
    do {                                                             \
        if (claim) break;                                            \
        printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #claim); \
        exit(1);                                                     \
    } while (0)

enum { THREADS = 4, ROUNDS = 8, LEVELS = 256, SIZE = LEVELS * 16 };

static const fwn_tensor TENSORS[] = {
    {"first.weight", NULL, 3, {2, LEVELS, 8}},
    {"layers.0.dilated.weight", NULL, 3, {16, 8, 2}},
    {"layers.0.skip.weight", NULL, 3, {8, 8, 1}},
    {"head.hidden.weight", NULL, 3, {8, 8, 1}},
    {"head.output.weight", NULL, 3, {LEVELS, 8, 1}},
};
enum { COUNT = sizeof TENSORS / sizeof *TENSORS };

static fwn_model *models[FWN_PRECISIONS];
static fwn_mulaw *codec;
static fwn_stream *met;
static float sounds[FWN_PRECISIONS][SAMPLES]; /* of seed 7, made before there are threads */
static atomic_int runs;                       /* of the stream where all meet */

static fwn_model *make_model(int precision)
{
    static float weights[SIZE];
    const uint32_t two = 2;
    const fwn_spec spec = {.levels = LEVELS,
                           .residual = 8,
                           .dilation_channels = 8,
                           .skip = 8,
                           .head = 8,
                           .first_kernel = 2,
                           .layers = 1,
                           .kernels = &two,
                           .dilations = &two,
                           .start_code = LEVELS / 2};
    fwn_tensor tensors[COUNT];
    memcpy(tensors, TENSORS, sizeof tensors);
    for (int i = 0; i < COUNT; i++) tensors[i].data = weights;
    for (int i = 0; i < SIZE; i++) weights[i] = (float)(i * 7919 % 257) / 257.0f - 0.5f;
    fwn_model *made;
    CHECK(!fwn_model_create(&spec, tensors, COUNT, precision, &made));
    return made;
}

static fwn_stream *new_stream(int precision, int isa, uint64_t seed, uint32_t threads)
{
    fwn_stream *stream;
    CHECK(!fwn_stream_create(models[precision], isa, 1, threads, &stream));
    CHECK(!fwn_stream_set_threads(stream, threads) && fwn_stream_threads(stream) == threads);
    CHECK(!fwn_stream_reset(stream, 0, seed, 0));
    return stream;
}

static void generate(int precision, int isa, uint32_t threads, float *audio)
{
    const fwn_io io = {.n = SAMPLES, .temperature = 1.0f, .audio = audio};
    fwn_stream *own = new_stream(precision, isa, 7, threads);
    CHECK(!fwn_run(own, &io));
    fwn_stream_destroy(own);
}

static void meet(void)
{
    const fwn_io io = {.n = SAMPLES, .temperature = 1.0f};
    fwn_row_info info;
    const int error = fwn_run(met, &io);
    CHECK(!error || error == FWN_BUSY);
    runs += !error;
    CHECK(!fwn_stream_info(met, 0, &info) && info.seed == 9 && fwn_stream_threads(met) == 2);
    CHECK(info.step <= THREADS * ROUNDS * SAMPLES);
}

static void *work(void *unused)
{
    int isas[FWN_ISAS], count = fwn_isa_list(isas, FWN_ISAS);
    float audio[SAMPLES];
    uint8_t codes[SAMPLES];
    size_t bad;
    for (int round = 0; round < ROUNDS; round++) {
        const int isa = isas[round % count];
        const float *sound = sounds[round % FWN_PRECISIONS];
        generate(round % FWN_PRECISIONS, isa, 1 + round % 2, audio);
        CHECK(!memcmp(audio, sound, sizeof audio));
        CHECK(!fwn_mulaw_encode_f32(codec, isa, audio, SAMPLES, codes, &bad));
        CHECK(!fwn_mulaw_decode_f32(codec, isa, codes, SAMPLES, audio, &bad));
        CHECK(!memcmp(audio, sound, sizeof audio));
        meet();
    }
    return unused;
}

int main(void)
{
    pthread_t threads[THREADS];
    fwn_row_info info;
    for (int p = 0; p < FWN_PRECISIONS; p++) {
        models[p] = make_model(p);
        generate(p, FWN_SCALAR, 1, sounds[p]);
    }
    CHECK(!fwn_mulaw_create(LEVELS, NULL, &codec));
    met = new_stream(FWN_INT8, FWN_SCALAR, 9, 2);
    for (int i = 0; i < THREADS; i++) CHECK(!pthread_create(&threads[i], NULL, work, NULL));
    for (int i = 0; i < THREADS; i++) CHECK(!pthread_join(threads[i], NULL));
    CHECK(!fwn_stream_info(met, 0, &info) && runs && info.step == (uint64_t)runs * SAMPLES);
    fwn_stream_destroy(met);
    fwn_mulaw_destroy(codec);
    for (int p = 0; p < FWN_PRECISIONS; p++) fwn_model_destroy(models[p]);
    return 0;
}
