/* Two threads for a stream: their bits, and their shares of the products; a stream in use. */
#include <pthread.h>
#include "claims.h"

static void check_two_threads(int isa, int precision, size_t which)
{
    const uint32_t levels = NETWORKS[which].sizes[0];
    fwn_model *model = random_model(which, precision);
    fwn_stream *alone = stream_of(model, FWN_SCALAR, 1), *both;
    result expected = run(alone, levels, FEWER, FEWER, NULL);
    CHECK(fwn_stream_create(model, isa, 1, 2, &both) == FWN_OK);
    for (int round = 0; round < 4; round++) { /* drawn and forced, as measured and in any case */
        if (round == 2) CHECK(!fwn_stream_set_threads(both, 2) && fwn_stream_threads(both) == 2);
        CHECK(!fwn_stream_reset(both, 0, 7, 0));
        result found = run(both, levels, FEWER, 67, round % 2 ? expected.codes : NULL);
        CHECK(same(&found, &expected));
        free_result(&found);
    }
    free_result(&expected);
    fwn_stream_destroy(alone);
    fwn_stream_destroy(both);
    fwn_model_destroy(model);
}

static void two_threads_compute_the_bits_of_one(void) { everywhere(check_two_threads); }

/* Of the first three the past taps, which are the helper's, outweigh all else: the leader was once
 * given more outputs of the skip product than there are. */
static shape shape_to_share(uint32_t i)
{
    static const shape known[] = {
        {{32, 32, 32, 16, 16, 2, 1}, {3}, {1}, 1, {0}},
        {{32, 32, 32, 32, 16, 2, 1}, {3}, {1}, 1, {0}},
        {{32, 48, 48, 16, 16, 2, 1}, {5}, {1}, 1, {0}},
    };
    if (i < COUNT(known)) return known[i];
    shape s = {{2 + below(40), 1 + below(40), 1 + below(40), 1 + below(40), 1 + below(40), 1,
                1 + below(3)},
               {0},
               {0},
               below(2),
               {0}};
    for (uint32_t l = 0; l < s.sizes[6]; l++) {
        s.kernels[l] = 2 + below(5);
        s.dilations[l] = 1 + below(20);
    }
    return s;
}

static int covers(const fwn_mat *a, const fwn_mat *b, const fwn_mat *whole)
{
    return a->first == 0 && b->first == a->n && a->n % 16 == 0 && a->n <= whole->n &&
           a->n + b->n == whole->n;
}

static result run_rows(fwn_stream *s, uint32_t levels, uint32_t rows, uint32_t n)
{
    result r = new_result((size_t)rows * n, levels);
    const fwn_io io = io_of(&r, n);
    for (uint32_t row = 0; row < rows; row++) CHECK(!fwn_stream_reset(s, row, 7, row));
    CHECK(!fwn_run(s, &io));
    return r;
}

static void check_share(const fwn_model *model, uint32_t rows)
{
    const uint32_t levels = model->spec.levels;
    fwn_stream *alone = stream_of(model, FWN_SCALAR, rows), *both;
    CHECK(!fwn_stream_create(model, FWN_SCALAR, rows, 2, &both));
    const fwn_share *lead = &both->share[0], *help = &both->share[1];
    CHECK(covers(&lead->skip, &help->skip, &model->skip));
    CHECK(covers(&lead->hidden, &help->hidden, &model->hidden));
    CHECK(covers(&lead->output, &help->output, &model->output));
    CHECK(!fwn_stream_set_threads(both, 2));
    result expected = run_rows(alone, levels, rows, 5), found = run_rows(both, levels, rows, 5);
    CHECK(same(&found, &expected));
    free_result(&expected);
    free_result(&found);
    fwn_stream_destroy(alone);
    fwn_stream_destroy(both);
}

static void two_threads_share_all_outputs_of_every_product(void)
{
    for (uint32_t i = 0; i < 6; i++) {
        const shape of = shape_to_share(i);
        network *net = network_of(&of);
        fwn_model *model = model_of(net, (int)(i % FWN_PRECISIONS));
        check_share(model, 1);
        check_share(model, 2 + below(15));
        fwn_model_destroy(model);
        free_network(net);
    }
}

static void *run_for_long(void *stream)
{
    const fwn_io io = {.n = 2000, .temperature = 1.0f};
    fwn_run(stream, &io);
    return NULL;
}

static void a_stream_in_use_says_busy(void)
{
    fwn_model *model = random_model(0, FWN_FLOAT32);
    fwn_stream *stream = stream_of(model, FWN_SCALAR, 1);
    const fwn_io nothing = {.n = 0, .temperature = 1.0f};
    int busy = 0;
    for (int round = 0; round < 5000 && !busy; round++) {
        pthread_t thread;
        CHECK(!pthread_create(&thread, NULL, run_for_long, stream));
        for (int i = 0; i < 100000 && !busy; i++) busy = fwn_run(stream, &nothing) == FWN_BUSY;
        if (busy) {
            size_t size = 1 << 20;
            char *bytes = malloc(size);
            CHECK(fwn_stream_reset(stream, 0, 1, 1) == FWN_BUSY);
            CHECK(fwn_stream_begin(stream, 0, 1) == FWN_BUSY);
            CHECK(fwn_stream_set_threads(stream, 1) == FWN_BUSY);
            CHECK(fwn_state_save(stream, 0, bytes, &size) == FWN_BUSY);
            CHECK(fwn_state_load(stream, 0, bytes, size) == FWN_BUSY);
            free(bytes);
        }
        CHECK(!pthread_join(thread, NULL));
    }
    CHECK(busy && fwn_run(stream, &nothing) == FWN_OK);
    fwn_stream_destroy(stream);
    fwn_model_destroy(model);
}

const claim THREADS[] = {
    TEST(two_threads_compute_the_bits_of_one),
    TEST(two_threads_share_all_outputs_of_every_product),
    TEST(a_stream_in_use_says_busy),
    {NULL, NULL},
};
