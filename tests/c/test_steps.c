/* The same bits for every chunk, batch, reset, instruction set and choice of outputs; draws. */
#include "claims.h"

static void check_chunks(int isa, int precision, size_t which)
{
    static const uint32_t chunks[] = {1, 17, 65};
    const uint32_t levels = NETWORKS[which].sizes[0];
    fwn_model *model = random_model(which, precision);
    fwn_stream *stream = stream_of(model, FWN_SCALAR, 1);
    result whole = run(stream, levels, STEPS, STEPS, NULL);
    fwn_stream_destroy(stream);
    for (size_t i = 0; i < 2 * COUNT(chunks); i++) {
        stream = stream_of(model, isa, 1);
        result parts = run(stream, levels, STEPS, chunks[i / 2], i % 2 ? whole.codes : NULL);
        CHECK(same(&parts, &whole));
        free_result(&parts);
        fwn_stream_destroy(stream);
    }
    free_result(&whole);
    fwn_model_destroy(model);
}

static void chunks_drawn_or_forced_equal_one_shot_on_every_isa(void) { everywhere(check_chunks); }

static void check_rows(int isa, int precision, size_t which)
{
    const uint32_t levels = NETWORKS[which].sizes[0], rows = 5, n = 40;
    fwn_model *model = random_model(which, precision);
    fwn_stream *batch = stream_of(model, isa, rows);
    result all = new_result((size_t)rows * n, levels);
    const fwn_io io = io_of(&all, n);
    CHECK(fwn_run(batch, &io) == FWN_OK);
    for (uint32_t row = 0; row < rows; row++) {
        fwn_stream *single = stream_of(model, isa, 1);
        CHECK(!fwn_stream_reset(single, 0, 7, row));
        result one = run(single, levels, n, n, NULL);
        const size_t at = (size_t)row * n;
        const result part = {
            all.codes + at, all.audio + at, all.logp + at, all.logits + at * levels, n, levels};
        CHECK(same(&one, &part));
        free_result(&one);
        fwn_stream_destroy(single);
    }
    free_result(&all);
    fwn_stream_destroy(batch);
    fwn_model_destroy(model);
}

static void rows_of_a_batch_equal_single_streams(void) { everywhere(check_rows); }

static void check_resets(int isa, int precision, size_t which)
{
    const uint32_t levels = NETWORKS[which].sizes[0];
    fwn_model *model = random_model(which, precision);
    fwn_stream *fresh = stream_of(model, isa, 1), *used = stream_of(model, isa, 2);
    result expected = run(fresh, levels, 30, 30, NULL), both = new_result(60, levels);
    const fwn_io io = io_of(&both, 30), few = {.n = 3, .temperature = 1.0f};
    CHECK(!fwn_run(used, &io) && !fwn_run(used, &few)); /* past taps are now computed ahead */
    CHECK(!fwn_stream_reset(used, 1, 7, 0));
    CHECK(!fwn_run(used, &io));
    CHECK(!memcmp(both.logits + (size_t)30 * levels, expected.logits, sizeof(float) * 30 * levels));
    free_result(&expected);
    free_result(&both);
    fwn_stream_destroy(fresh);
    fwn_stream_destroy(used);
    fwn_model_destroy(model);
}

static void a_row_that_is_reset_alone_starts_afresh(void) { everywhere(check_resets); }

static void any_output_may_be_left_out(void)
{
    fwn_model *model = random_model(0, FWN_FLOAT32);
    fwn_stream *stream = stream_of(model, FWN_SCALAR, 1);
    result all = run(stream, 16, STEPS, STEPS, NULL), r = new_result(STEPS, 16);
    for (int kept = 0; kept < 16; kept++)
        for (int forced = 0; forced < 2; forced++) {
            fwn_io io = io_of(&r, STEPS);
            if (!(kept & 1)) io.codes = NULL;
            if (!(kept & 2)) io.audio = NULL;
            if (!(kept & 4)) io.logp = NULL;
            if (!(kept & 8)) io.logits = NULL;
            if (forced) io.forced = all.codes;
            CHECK(!fwn_stream_reset(stream, 0, 7, 0));
            CHECK(fwn_run(stream, &io) == FWN_OK);
            if (kept == 15) CHECK(same(&r, &all));
            if (io.codes) CHECK(!memcmp(r.codes, all.codes, STEPS * sizeof *r.codes));
            if (io.logp) CHECK(!memcmp(r.logp, all.logp, STEPS * sizeof *r.logp));
        }
    free_result(&all);
    free_result(&r);
    fwn_stream_destroy(stream);
    fwn_model_destroy(model);
}

/* ---- draws ----------------------------------------------------------------------------------- */

/* Seeds whose first random number u is 0, 1/2 and the largest below 1. */
enum { LEAST, HALF, MOST, EXTREMES };
static const uint64_t SEEDS[EXTREMES] = {12121362, 515707, 16390493};

static void the_seeds_of_these_tests_have_the_extreme_random_numbers(void)
{
    static const uint32_t words[EXTREMES] = {0, 0x800000, 0xFFFFFF};
    for (int i = 0; i < EXTREMES; i++) CHECK(fwn_philox(SEEDS[i], 0, 0) >> 8 == words[i]);
}

/* The first code drawn with a seed from a distribution that depends on nothing before. */
static uint16_t first_code(const network *net, uint64_t seed, uint32_t top_k)
{
    uint16_t code;
    const fwn_io io = {.n = 1, .temperature = 1.0f, .top_k = top_k, .codes = &code};
    fwn_model *model = model_of(net, FWN_FLOAT32);
    fwn_stream *stream = stream_of(model, FWN_SCALAR, 1);
    CHECK(!fwn_stream_reset(stream, 0, seed, 0) && !fwn_run(stream, &io));
    fwn_stream_destroy(stream);
    fwn_model_destroy(model);
    return code;
}

/* A network whose logits are those that are returned, to be filled. */
static float *dice(network *net)
{
    memset(values_of(net, "head.output.weight"), 0,
           sizeof(float) * net->spec.levels * net->spec.head);
    float *logits = values_of(net, "head.output.bias");
    for (uint32_t c = 0; c < net->spec.levels; c++) logits[c] = -1e4f;
    return logits;
}

static void the_extreme_random_numbers_draw_possible_codes(void)
{
    for (int round = 0; round < 30; round++) {
        network *net = random_network(round % 2);
        float *logits = dice(net);
        for (uint32_t c = 0; c < net->spec.levels; c++)
            if (!below(8)) logits[c] = (float)below(20);
        logits[below(net->spec.levels)] = 1.0f;
        for (int i = 0; i < EXTREMES; i++)
            for (uint32_t k = 0; k < 3; k++) CHECK(logits[first_code(net, SEEDS[i], k)] > -1e4f);
        free_network(net);
    }
}

/* Codes stand lane by lane (code % 16); a code's share of [0, 1) contains its lower end only. */
static void a_random_number_on_an_edge_draws_the_code_above_it(void)
{
    static const uint16_t pairs[][2] = {{0, 1}, {3, 15}, {16, 1}, {240, 1}, {5, 21}, {15, 31}};
    for (size_t i = 0; i < COUNT(pairs); i++) {
        network *net = random_network(1);
        float *logits = dice(net);
        logits[pairs[i][0]] = logits[pairs[i][1]] = 0.0f;
        CHECK(first_code(net, SEEDS[LEAST], 0) == pairs[i][0]);
        CHECK(first_code(net, SEEDS[HALF], 0) == pairs[i][1]);
        CHECK(first_code(net, SEEDS[MOST], 0) == pairs[i][1]);
        free_network(net);
    }
}

const claim STEPPING[] = {
    TEST(chunks_drawn_or_forced_equal_one_shot_on_every_isa),
    TEST(rows_of_a_batch_equal_single_streams),
    TEST(a_row_that_is_reset_alone_starts_afresh),
    TEST(any_output_may_be_left_out),
    TEST(the_seeds_of_these_tests_have_the_extreme_random_numbers),
    TEST(the_extreme_random_numbers_draw_possible_codes),
    TEST(a_random_number_on_an_edge_draws_the_code_above_it),
    {NULL, NULL},
};
