/* Saved states: where they continue, and damaged ones. */
#include "claims.h"

static void check_states(int isa, int precision, size_t which)
{
    const uint32_t levels = NETWORKS[which].sizes[0];
    fwn_model *model = random_model(which, precision);
    fwn_stream *here = stream_of(model, isa, 1), *there = stream_of(model, FWN_SCALAR, 3);
    for (uint32_t n = 1; n < 40; n += 16) {
        result before = run(here, levels, n, n, NULL), after = new_result(3 * n, levels);
        const fwn_io io = io_of(&after, n);
        state saved = state_of(here, 0);
        CHECK(!fwn_run(there, &io)); /* elsewhere in its own rings */
        CHECK(!fwn_state_load(there, 1, saved.bytes, saved.size));
        CHECK(!fwn_run(there, &io));
        result expected = run(here, levels, n, n, NULL);
        CHECK(!memcmp(after.logits + (size_t)n * levels, expected.logits,
                      sizeof(float) * n * levels));
        CHECK(!memcmp(after.codes + n, expected.codes, sizeof(uint16_t) * n));
        free(saved.bytes);
        free_result(&before);
        free_result(&after);
        free_result(&expected);
    }
    fwn_stream_destroy(here);
    fwn_stream_destroy(there);
    fwn_model_destroy(model);
}

static void a_state_continues_in_any_row_and_isa(void) { everywhere(check_states); }

static void damaged_states_are_refused_and_change_nothing(void)
{
    for (size_t which = 0; which < COUNT(NETWORKS); which++) {
        fwn_model *model = random_model(which, (int)(which % FWN_PRECISIONS));
        fwn_stream *stream = stream_of(model, FWN_SCALAR, 1);
        result r = run(stream, NETWORKS[which].sizes[0], 30, 30, NULL);
        state saved = state_of(stream, 0), damaged = state_of(stream, 0);
        for (size_t i = 0; i < saved.size; i += 1 + saved.size / 500) {
            damaged.bytes[i] ^= (unsigned char)(1u << below(8));
            CHECK(fwn_state_load(stream, 0, damaged.bytes, damaged.size) == FWN_BAD_STATE);
            CHECK(fwn_state_load(stream, 0, saved.bytes, i) == FWN_BAD_STATE);
            damaged.bytes[i] = saved.bytes[i];
        }
        for (int round = 0; round < 100; round++) {
            for (size_t i = 0; i < damaged.size; i++)
                damaged.bytes[i] = (unsigned char)random_word();
            CHECK(fwn_state_load(stream, 0, damaged.bytes, damaged.size) == FWN_BAD_STATE);
        }
        CHECK(in_state(stream, &saved));
        CHECK(!fwn_state_load(stream, 0, saved.bytes, saved.size));
        CHECK(in_state(stream, &saved));
        free(saved.bytes);
        free(damaged.bytes);
        free_result(&r);
        fwn_stream_destroy(stream);
        fwn_model_destroy(model);
    }
}

static void check_forked(int isa, int precision, size_t which)
{
    const uint32_t levels = NETWORKS[which].sizes[0], n = 30;
    fwn_model *model = random_model(which, precision);
    fwn_stream *alone = stream_of(model, FWN_SCALAR, 1), *torn = stream_of(model, isa, 2);
    result expected = run(alone, levels, n, n, NULL), found = new_result(2 * n, levels);
    const state saved = state_of(alone, 0);
    const fwn_io io = io_of(&found, n);
    size_t size = saved.size;
    CHECK(fwn_run(torn, &io) == FWN_OK && fwn_stream_forked(torn) == FWN_OK);
    CHECK(fwn_run(torn, &io) == FWN_FORKED && fwn_stream_begin(torn, 1, 0) == FWN_FORKED);
    CHECK(fwn_state_save(torn, 0, saved.bytes, &size) == FWN_FORKED && in_state(alone, &saved));
    CHECK(!fwn_stream_reset(torn, 0, 7, 0) && fwn_run(torn, &io) == FWN_FORKED);
    CHECK(!fwn_state_load(torn, 1, saved.bytes, saved.size) && fwn_run(torn, &io) == FWN_OK);
    CHECK(!memcmp(found.codes, expected.codes, n * sizeof *found.codes));
    CHECK(in_state(torn, &saved));
    free(saved.bytes);
    free_result(&expected);
    free_result(&found);
    fwn_stream_destroy(alone);
    fwn_stream_destroy(torn);
    fwn_model_destroy(model);
}

static void a_stream_torn_by_a_fork_goes_on_when_all_rows_are_reset_or_loaded(void)
{
    everywhere(check_forked);
}

static void a_state_can_be_checked_before_it_is_loaded(void)
{
    fwn_model *model = random_model(0, FWN_FLOAT32);
    fwn_stream *stream = stream_of(model, FWN_SCALAR, 1), *other = stream_of(model, FWN_SCALAR, 1);
    result r = run(stream, 16, 30, 30, NULL);
    state saved = state_of(stream, 0), before = state_of(other, 0);
    fwn_row_info held, loaded;
    CHECK(!fwn_state_check(other, saved.bytes, saved.size, &held) && in_state(other, &before));
    CHECK(!fwn_state_check(other, saved.bytes, saved.size, NULL));
    CHECK(fwn_state_check(other, saved.bytes, saved.size - 1, &held) == FWN_BAD_STATE);
    CHECK(fwn_state_check(NULL, saved.bytes, saved.size, &held) == FWN_BAD_ARGUMENT);
    CHECK(fwn_state_check(other, NULL, saved.size, &held) == FWN_BAD_ARGUMENT);
    CHECK(!fwn_state_load(other, 0, saved.bytes, saved.size) &&
          !fwn_stream_info(other, 0, &loaded));
    CHECK(held.seed == loaded.seed && held.step == 30 && loaded.step == 30 && held.id == loaded.id);
    CHECK(held.begun == 1 && loaded.begun == 1);
    saved.bytes[8] ^= 1;
    CHECK(fwn_state_check(other, saved.bytes, saved.size, &held) == FWN_BAD_STATE);
    free(saved.bytes);
    free(before.bytes);
    free_result(&r);
    fwn_stream_destroy(stream);
    fwn_stream_destroy(other);
    fwn_model_destroy(model);
}

static void a_state_needs_its_whole_size_and_any_alignment(void)
{
    fwn_model *model = random_model(0, FWN_FLOAT32);
    fwn_stream *stream = stream_of(model, FWN_SCALAR, 1);
    state saved = state_of(stream, 0);
    size_t size = saved.size - 1;
    CHECK(fwn_state_save(stream, 0, saved.bytes, &size) == FWN_BAD_ARGUMENT && size == saved.size);
    unsigned char *odd = malloc(saved.size + 1);
    CHECK(!fwn_state_save(stream, 0, odd + 1, &size) && !memcmp(odd + 1, saved.bytes, size));
    CHECK(!fwn_state_load(stream, 0, odd + 1, size));
    free(odd);
    free(saved.bytes);
    fwn_stream_destroy(stream);
    fwn_model_destroy(model);
}

const claim STATES[] = {
    TEST(a_state_continues_in_any_row_and_isa),
    TEST(damaged_states_are_refused_and_change_nothing),
    TEST(a_stream_torn_by_a_fork_goes_on_when_all_rows_are_reset_or_loaded),
    TEST(a_state_can_be_checked_before_it_is_loaded),
    TEST(a_state_needs_its_whole_size_and_any_alignment),
    {NULL, NULL},
};
