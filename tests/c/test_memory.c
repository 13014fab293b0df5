/* Allocations, and failures of the allocator and of pthread_create. */
#include "claims.h"

static void check_allocations(int isa, int precision, size_t which)
{
    const uint32_t levels = NETWORKS[which].sizes[0];
    fwn_model *model = random_model(which, precision);
    long before = allocations;
    fwn_stream *stream = stream_of(model, isa, 3);
    CHECK(allocations > before); /* the counter sees the engine */
    result r = new_result(3 * FEWER, levels);
    state saved = state_of(stream, 0);
    before = allocations;
    const fwn_io io = io_of(&r, FEWER);
    fwn_io forced = io;
    forced.forced = r.codes;
    CHECK(!fwn_run(stream, &io) && !fwn_run(stream, &forced));
    CHECK(!fwn_state_save(stream, 0, saved.bytes, &saved.size));
    CHECK(!fwn_state_load(stream, 1, saved.bytes, saved.size));
    CHECK(!fwn_stream_reset(stream, 2, 1, 1) && !fwn_stream_begin(stream, 2, 1));
    CHECK(allocations == before);
    free(saved.bytes);
    free_result(&r);
    fwn_stream_destroy(stream);
    fwn_model_destroy(model);
}

static void only_the_create_functions_allocate(void) { everywhere(check_allocations); }

/* Runs `create` with its 1st, 2nd, ... allocation failing, until it succeeds. */
static void check_out_of_memory(int (*create)(const void *), const void *from)
{
    int error = FWN_NO_MEMORY, failures = 0;
    for (long k = 1; error; k++) {
        const long before = live;
        fail_at = allocations + k;
        error = create(from);
        fail_at = 0;
        CHECK(live == before);
        CHECK(error == (error ? FWN_NO_MEMORY : FWN_OK));
        failures += error != FWN_OK;
    }
    CHECK(failures >= 1);
}

static int create_model(const void *net)
{
    const network *from = net;
    return created_in(FWN_INT8, &from->spec, from, from->count);
}

static int create_stream(const void *model)
{
    fwn_stream *stream = NULL;
    const int error = fwn_stream_create(model, FWN_SCALAR, 3, 1, &stream);
    CHECK(!error == (stream != NULL));
    fwn_stream_destroy(stream);
    return error;
}

static int create_stream_of_two_threads(const void *model)
{
    fwn_stream *stream = NULL;
    const int error = fwn_stream_create(model, FWN_SCALAR, 3, 2, &stream);
    CHECK(!error == (stream != NULL));
    fwn_stream_destroy(stream);
    return error;
}

static int create_codec(const void *levels)
{
    fwn_mulaw *codec = NULL;
    const int error = fwn_mulaw_create(*(const uint32_t *)levels, NULL, &codec);
    CHECK(!error == (codec != NULL));
    fwn_mulaw_destroy(codec);
    return error;
}

static void out_of_memory_is_an_error_and_leaks_nothing(void)
{
    const uint32_t levels = 300;
    network *net = random_network(1);
    fwn_model *model = model_of(net, FWN_INT8);
    check_out_of_memory(create_model, net);
    check_out_of_memory(create_stream, model);
    check_out_of_memory(create_stream_of_two_threads, model);
    check_out_of_memory(create_codec, &levels);
    fwn_model_destroy(model);
    free_network(net);
}

static void without_a_second_thread_there_is_one(void)
{
    const uint32_t levels = NETWORKS[1].sizes[0];
    fwn_model *model = random_model(1, FWN_INT8);
    fwn_stream *alone = stream_of(model, FWN_SCALAR, 1), *both;
    no_threads = 1;
    CHECK(fwn_stream_create(model, FWN_SCALAR, 1, 2, &both) == FWN_OK);
    no_threads = 0;
    CHECK(fwn_stream_threads(both) == 1);
    CHECK(fwn_stream_set_threads(both, 2) == FWN_BAD_ARGUMENT &&
          fwn_stream_set_threads(both, 1) == FWN_OK);
    CHECK(!fwn_stream_reset(both, 0, 7, 0));
    result expected = run(alone, levels, STEPS, STEPS, NULL),
           found = run(both, levels, STEPS, STEPS, NULL);
    CHECK(same(&found, &expected));
    free_result(&expected);
    free_result(&found);
    fwn_stream_destroy(alone);
    fwn_stream_destroy(both);
    fwn_model_destroy(model);
}

const claim MEMORY[] = {
    TEST(only_the_create_functions_allocate),
    TEST(out_of_memory_is_an_error_and_leaks_nothing),
    TEST(without_a_second_thread_there_is_one),
    {NULL, NULL},
};
