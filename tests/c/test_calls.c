/* Arguments, order of calls, overflow, and texts. */
#include "claims.h"

static void check_bad_models(const network *net)
{
    fwn_model *none = NULL;
    CHECK(fwn_model_create(NULL, net->tensors, net->count, FWN_FLOAT32, &none) == FWN_BAD_ARGUMENT);
    CHECK(fwn_model_create(&net->spec, NULL, net->count, FWN_FLOAT32, &none) == FWN_BAD_ARGUMENT);
    for (int unknown = -1; unknown <= FWN_PRECISIONS; unknown += FWN_PRECISIONS + 1)
        CHECK(fwn_model_create(&net->spec, net->tensors, net->count, unknown, &none) ==
              FWN_BAD_ARGUMENT);
    CHECK(fwn_model_create(&net->spec, net->tensors, net->count, FWN_FLOAT32, NULL) ==
          FWN_BAD_ARGUMENT);
    CHECK(!none);
}

static void check_bad_streams(const fwn_model *model)
{
    fwn_stream *none = NULL;
    CHECK(fwn_stream_create(NULL, FWN_SCALAR, 1, 1, &none) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_create(model, FWN_SCALAR, 0, 1, &none) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_create(model, FWN_SCALAR, 65537, 1, &none) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_create(model, FWN_SCALAR, 1, 0, &none) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_create(model, FWN_SCALAR, 1, 3, &none) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_create(model, FWN_SCALAR, 1, 1, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_create(model, -1, 1, 1, &none) == FWN_BAD_ISA);
    CHECK(fwn_stream_create(model, FWN_ISAS, 1, 1, &none) == FWN_BAD_ISA);
    if (sizeof(size_t) == 4) { /* more bytes than it counts */
        CHECK(fwn_stream_create(model, FWN_SCALAR, 65536, 1, &none) == FWN_NO_MEMORY);
        CHECK(!fwn_stream_bytes(model, 65536) && fwn_stream_bytes(model, 64));
    }
    CHECK(!none);
}

/* The stream has two rows. */
static void check_bad_calls(fwn_stream *stream)
{
    fwn_row_info row;
    const fwn_io io = {.n = 1, .temperature = 1.0f};
    CHECK(fwn_stream_set_threads(NULL, 1) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_set_threads(stream, 0) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_set_threads(stream, 2) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_threads(NULL) == 1 && fwn_stream_threads(stream) == 1);
    CHECK(fwn_stream_reset(NULL, 0, 1, 1) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_reset(stream, 2, 1, 1) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_begin(NULL, 0, 1) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_begin(stream, 2, 1) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_begin(stream, 0, 16) == FWN_BAD_CODE);
    CHECK(fwn_stream_info(NULL, 0, &row) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_info(stream, 2, &row) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_info(stream, 0, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_run(NULL, &io) == FWN_BAD_ARGUMENT);
    CHECK(fwn_run(stream, NULL) == FWN_BAD_ARGUMENT);
}

/* The stream has two rows. */
static void check_bad_states(fwn_stream *stream)
{
    size_t size = 0;
    char bytes[4] = {0};
    CHECK(fwn_state_save(NULL, 0, NULL, &size) == FWN_BAD_ARGUMENT);
    CHECK(fwn_state_save(stream, 2, NULL, &size) == FWN_BAD_ARGUMENT);
    CHECK(fwn_state_save(stream, 0, NULL, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_state_load(NULL, 0, bytes, 4) == FWN_BAD_ARGUMENT);
    CHECK(fwn_state_load(stream, 2, bytes, 4) == FWN_BAD_ARGUMENT);
    CHECK(fwn_state_load(stream, 0, NULL, 4) == FWN_BAD_ARGUMENT);
    CHECK(fwn_state_load(stream, 0, bytes, 0) == FWN_BAD_STATE);
    CHECK(fwn_state_load(stream, 0, bytes, 4) == FWN_BAD_STATE);
}

static void bad_arguments_are_refused(void)
{
    network *net = random_network(0);
    fwn_model *model = model_of(net, FWN_FLOAT32);
    fwn_stream *stream = stream_of(model, FWN_SCALAR, 2);
    fwn_info info;
    check_bad_models(net);
    CHECK(fwn_model_info(NULL, &info) == FWN_BAD_ARGUMENT);
    CHECK(fwn_model_info(model, NULL) == FWN_BAD_ARGUMENT);
    check_bad_streams(model);
    check_bad_calls(stream);
    check_bad_states(stream);
    fwn_stream_destroy(NULL);
    fwn_model_destroy(NULL);
    fwn_mulaw_destroy(NULL);
    fwn_stream_destroy(stream);
    fwn_model_destroy(model);
    free_network(net);
}

static void bad_runs_are_refused_and_change_nothing(void)
{
    fwn_model *model = random_model(0, FWN_FLOAT32);
    fwn_stream *stream = stream_of(model, FWN_SCALAR, 1);
    result r = run(stream, 16, 30, 30, NULL);
    state before = state_of(stream, 0);
    const float frames[3] = {0};
    const uint32_t speakers[1] = {0};
    const uint16_t bad_code[3] = {1, 16, 2};
    const float temperatures[] = {-1.0f, 1e-4f, 1001.0f, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < COUNT(temperatures); i++) {
        const fwn_io io = {.n = 1, .temperature = temperatures[i]};
        CHECK(fwn_run(stream, &io) == FWN_BAD_ARGUMENT);
    }
    const fwn_io ios[] = {
        {.n = 1, .temperature = 1.0f, .frames = frames, .n_frames = 1},
        {.n = 1, .temperature = 1.0f, .speakers = speakers},
        {.n = 2, .temperature = 1.0f, .frame_at = UINT64_MAX - 1},
        {.n = 3, .temperature = 1.0f, .forced = bad_code},
        {.n = 0, .temperature = 1.0f},
    };
    const int expected[] = {FWN_BAD_ARGUMENT, FWN_BAD_ARGUMENT, FWN_BAD_ARGUMENT, FWN_BAD_CODE,
                            FWN_OK};
    for (size_t i = 0; i < COUNT(ios); i++) CHECK(fwn_run(stream, &ios[i]) == expected[i]);
    CHECK(in_state(stream, &before));
    free(before.bytes);
    free_result(&r);
    fwn_stream_destroy(stream);
    fwn_model_destroy(model);
}

static void the_first_sample_is_given_once_and_before_the_first_step(void)
{
    fwn_model *model = random_model(0, FWN_FLOAT32);
    fwn_stream *stream = stream_of(model, FWN_SCALAR, 1);
    const fwn_io io = {.n = 2, .temperature = 1.0f};
    fwn_row_info info;
    CHECK(!fwn_stream_info(stream, 0, &info));
    CHECK(info.seed == 7 && info.id == 0 && info.step == 0 && !info.begun);
    CHECK(!fwn_stream_begin(stream, 0, 3) && fwn_stream_begin(stream, 0, 4) == FWN_STARTED);
    CHECK(!fwn_stream_info(stream, 0, &info) && info.begun && info.step == 0);
    CHECK(!fwn_stream_reset(stream, 0, 8, 9) && !fwn_run(stream, &io));
    CHECK(fwn_stream_begin(stream, 0, 3) == FWN_STARTED);
    CHECK(!fwn_stream_info(stream, 0, &info));
    CHECK(info.seed == 8 && info.id == 9 && info.step == 2 && info.begun);
    fwn_stream_destroy(stream);
    fwn_model_destroy(model);
}

static void check_overflow(int isa, int precision, size_t which)
{
    network *net = random_network(which);
    float *weight = values_of(net, "head.output.weight");
    for (uint32_t i = 0; i < net->spec.levels * net->spec.head; i++) weight[i] *= 1e38f;
    float *hidden = values_of(net, which == 2 ? "head.hidden.weight" : "head.hidden.bias");
    for (uint32_t i = 0; i < net->spec.head; i++) hidden[i] = 1e6f;
    fwn_model *model = model_of(net, precision);
    fwn_stream *stream = stream_of(model, isa, 2);
    result r = new_result(2 * STEPS, net->spec.levels);
    const fwn_io io = io_of(&r, STEPS);
    const int error = fwn_run(stream, &io);
    CHECK(error == FWN_NOT_FINITE || which == 2); /* its only hidden channel may stay closed */
    CHECK(!fwn_stream_reset(stream, 0, 7, 0) && !fwn_stream_reset(stream, 1, 7, 1));
    CHECK(fwn_run(stream, &io) == error);
    free_result(&r);
    fwn_stream_destroy(stream);
    fwn_model_destroy(model);
    free_network(net);
}

static void overflowing_outputs_are_an_error(void) { everywhere(check_overflow); }

static void every_error_isa_and_precision_has_a_text(void)
{
    int isas[FWN_ISAS], count = fwn_isa_list(isas, FWN_ISAS);
    for (int error = FWN_FORKED; error <= FWN_OK; error++)
        for (int other = FWN_FORKED - 1; other < error; other++)
            CHECK(strcmp(fwn_strerror(error), fwn_strerror(other)));
    CHECK(!strcmp(fwn_strerror(1), fwn_strerror(-1000)));
    CHECK(count >= 1 && isas[0] == FWN_SCALAR && fwn_isa_list(NULL, 0) == count);
    for (int i = 0; i < count; i++) CHECK(fwn_isa_name(isas[i]));
    for (int i = 0; i < count; i++)
        for (int other = 0; other < i; other++) CHECK(isas[i] != isas[other]);
    CHECK(!fwn_isa_name(-1) && !fwn_isa_name(FWN_ISAS));
    CHECK(!strcmp(fwn_precision_name(FWN_FLOAT32), "float32"));
    CHECK(!strcmp(fwn_precision_name(FWN_BFLOAT16), "bfloat16"));
    CHECK(!strcmp(fwn_precision_name(FWN_INT8), "int8"));
    CHECK(!strcmp(fwn_precision_name(FWN_BFLOAT16X16), "bfloat16x16"));
    CHECK(!strcmp(fwn_precision_name(FWN_INT8X8), "int8x8"));
    CHECK(!fwn_precision_name(-1) && !fwn_precision_name(FWN_PRECISIONS));
}

static void probes_read_whole_vectors_and_count_products(void)
{
    static const char memory[640];
    int isas[FWN_ISAS];
    const int count = fwn_isa_list(isas, FWN_ISAS);
    for (int i = 0; i < count; i++) {
        for (size_t size = 0; size <= sizeof memory; size += 64)
            CHECK(!fwn_probe_reading(isas[i], memory, size, 2));
        for (int precision = 0; precision < FWN_PRECISIONS; precision++) {
            uint64_t none, one, three;
            CHECK(!fwn_probe_products(isas[i], precision, 0, &none) && none == 0);
            CHECK(!fwn_probe_products(isas[i], precision, 1, &one) && one > 0);
            CHECK(!fwn_probe_products(isas[i], precision, 3, &three) && three == 3 * one);
        }
    }
    uint64_t products;
    CHECK(fwn_probe_reading(FWN_SCALAR, memory, 63, 1) == FWN_BAD_ARGUMENT);
    CHECK(fwn_probe_reading(FWN_SCALAR, NULL, 64, 1) == FWN_BAD_ARGUMENT);
    CHECK(fwn_probe_reading(FWN_ISAS, memory, 64, 1) == FWN_BAD_ISA);
    CHECK(fwn_probe_products(FWN_SCALAR, FWN_INT8, 1, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_probe_products(FWN_SCALAR, FWN_PRECISIONS, 1, &products) == FWN_BAD_ISA);
    CHECK(fwn_probe_products(-1, FWN_INT8, 1, &products) == FWN_BAD_ISA);
}

const claim CALLS[] = {
    TEST(bad_arguments_are_refused),
    TEST(bad_runs_are_refused_and_change_nothing),
    TEST(the_first_sample_is_given_once_and_before_the_first_step),
    TEST(overflowing_outputs_are_an_error),
    TEST(every_error_isa_and_precision_has_a_text),
    TEST(probes_read_whole_vectors_and_count_products),
    {NULL, NULL},
};
