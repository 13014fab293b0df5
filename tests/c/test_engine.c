/* Tests of csrc/fastwavenet.h from C, with no Python between; run by tests/test_c_engine.py, which
 * builds this with sanitizers and --wrap for each function of the allocator and pthread_create.  The names of tests
 * are claims.  Every buffer has exactly the size of the contract, so that one element too many is
 * seen by the sanitizer. */
#include <errno.h>
#include <pthread.h>
#include "stream.h"
#include "networks.h"
#ifdef __x86_64__
#include <xmmintrin.h>
#endif

/* ---- the allocator, counted, and made to fail -------------------------------------------------- */

static long allocations, live, fail_at; /* fail_at: the allocation that fails; 0: none */
static int no_threads;                   /* pthread_create fails */

void *__real_malloc(size_t), *__real_calloc(size_t, size_t), *__real_realloc(void *, size_t);
void *__real_aligned_alloc(size_t, size_t);
void __real_free(void *);
void *__wrap_malloc(size_t), *__wrap_calloc(size_t, size_t), *__wrap_realloc(void *, size_t);
void *__wrap_aligned_alloc(size_t, size_t);
void __wrap_free(void *);

static int refused(void) { return ++allocations == fail_at; }
int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*work)(void *), void *on)
{
    return no_threads ? EAGAIN : __real_pthread_create(thread, how, work, on);
}
static void *counted(void *p)
{
    live += p != NULL;
    return p;
}
void *__wrap_malloc(size_t n) { return refused() ? NULL : counted(__real_malloc(n)); }
void *__wrap_calloc(size_t n, size_t m) { return refused() ? NULL : counted(__real_calloc(n, m)); }
void *__wrap_realloc(void *p, size_t n)
{
    live -= p != NULL;
    return refused() ? NULL : counted(__real_realloc(p, n));
}
void *__wrap_aligned_alloc(size_t a, size_t n)
{
    return refused() ? NULL : counted(__real_aligned_alloc(a, n));
}
void __wrap_free(void *p)
{
    live -= p != NULL;
    __real_free(p);
}

/* ---- networks ---------------------------------------------------------------------------------- */

static float *values_of(network *net, const char *name)
{
    for (size_t i = 0; i < net->count; i++)
        if (!strcmp(net->names[i], name)) return (float *)net->tensors[i].data;
    CHECK(!"a tensor of that name");
    return NULL;
}

/* ---- steps ------------------------------------------------------------------------------------- */

static int same(const result *a, const result *b)
{
    return !memcmp(a->codes, b->codes, a->steps * sizeof(uint16_t)) &&
           !memcmp(a->audio, b->audio, a->steps * sizeof(float)) &&
           !memcmp(a->logp, b->logp, a->steps * sizeof(float)) &&
           !memcmp(a->logits, b->logits, a->steps * a->levels * sizeof(float));
}

/* n steps of one row in calls of `chunk`, drawn or forced. */
static result run(fwn_stream *s, uint32_t levels, uint32_t n, uint32_t chunk, const uint16_t *forced)
{
    result r = new_result(n, levels);
    for (uint32_t done = 0; done < n; done += chunk) {
        const uint32_t m = n - done < chunk ? n - done : chunk;
        const fwn_io io = {.n = m, .temperature = 1.0f, .codes = r.codes + done, .audio = r.audio + done,
                           .logp = r.logp + done, .logits = r.logits + (size_t)done * levels,
                           .forced = forced ? forced + done : NULL};
        CHECK(fwn_run(s, &io) == FWN_OK);
    }
    return r;
}

/* Calls test(isa, precision, which) often enough for each two of them to meet. */
static void everywhere(void (*test)(int isa, int precision, size_t which))
{
    int isas[FWN_ISAS];
    const int count = fwn_isa_list(isas, FWN_ISAS);
    for (int i = 0; i < count; i++)
        for (int precision = 0; precision < FWN_PRECISIONS; precision++)
            for (size_t which = 0; which < COUNT(NETWORKS); which++)
                if (count < 3 || ((size_t)i + (size_t)precision + which) % 3 == 0)
                    test(isas[i], precision, which);
}

enum { STEPS = 140, FEWER = 70 }; /* more than two blocks, more than one */

/* ---- the same bits ----------------------------------------------------------------------------- */

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
        const result part = {all.codes + at, all.audio + at, all.logp + at, all.logits + at * levels,
                             n, levels};
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
    CHECK(!fwn_run(used, &io) && !fwn_run(used, &few)); /* past taps are now known ahead */
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

/* ---- conditioning ------------------------------------------------------------------------------ */

static void check_cond(int isa, int precision, size_t which)
{
    const uint32_t *sizes = NETWORKS[which].sizes, levels = sizes[0], rows = 3, n = 20, hop = 4;
    const size_t width = (size_t)rows * sizes[6] * 2 * sizes[2], frames = 3; /* too few: the last one stays */
    float *frame = malloc(frames * width * sizeof(float)), *step = malloc(n * width * sizeof(float));
    for (size_t i = 0; i < frames * width; i++) frame[i] = random_float();
    for (size_t i = 0; i < n; i++) {
        const size_t at = i / hop < frames ? i / hop : frames - 1;
        memcpy(step + i * width, frame + at * width, width * sizeof(float));
    }
    fwn_model *model = random_model(which, precision);
    fwn_stream *by_frame = stream_of(model, isa, rows), *by_step = stream_of(model, isa, rows);
    result a = new_result((size_t)rows * n, levels), b = new_result((size_t)rows * n, levels);
    fwn_io io = io_of(&a, n);
    io.cond = frame, io.cond_rows = (uint32_t)frames, io.hop = hop;
    CHECK(fwn_run(by_frame, &io) == FWN_OK);
    io = io_of(&b, n);
    io.cond = step, io.cond_rows = n, io.hop = 1;
    CHECK(fwn_run(by_step, &io) == FWN_OK);
    CHECK(same(&a, &b));
    free_result(&a);
    free_result(&b);
    fwn_stream_destroy(by_frame);
    fwn_stream_destroy(by_step);
    fwn_model_destroy(model);
    free(frame);
    free(step);
}

static void a_row_of_cond_holds_for_hop_steps_and_the_last_for_ever(void) { everywhere(check_cond); }

/* ---- draws ------------------------------------------------------------------------------------- */

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
    memset(values_of(net, "head.output.weight"), 0, sizeof(float) * net->spec.levels * net->spec.head);
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

/* ---- states ------------------------------------------------------------------------------------ */

typedef struct {
    unsigned char *bytes;
    size_t size;
} state;

static state state_of(fwn_stream *stream, uint32_t row)
{
    state s = {NULL, 0};
    CHECK(fwn_state_save(stream, row, NULL, &s.size) == FWN_OK);
    s.bytes = malloc(s.size);
    CHECK(fwn_state_save(stream, row, s.bytes, &s.size) == FWN_OK);
    return s;
}

static int in_state(fwn_stream *stream, const state *expected)
{
    state now = state_of(stream, 0);
    const int equal = now.size == expected->size && !memcmp(now.bytes, expected->bytes, now.size);
    free(now.bytes);
    return equal;
}

static void check_frames_in_pieces(int isa, int precision, size_t which)
{
    const uint32_t *sizes = NETWORKS[which].sizes, n = 20, frames = 3, hop = 7;
    const size_t width = (size_t)sizes[6] * 2 * sizes[2];
    float *cond = malloc(frames * width * sizeof(float));
    for (size_t i = 0; i < frames * width; i++) cond[i] = random_float();
    fwn_model *model = random_model(which, precision);
    fwn_stream *whole = stream_of(model, isa, 1), *pieces = stream_of(model, isa, 1);
    fwn_io io = {.n = n, .temperature = 1.0f, .cond = cond, .cond_rows = frames, .hop = hop};
    CHECK(fwn_run(whole, &io) == FWN_OK);
    for (io.n = 3; io.cond_step < n; io.cond_step += io.n) {
        if (n - io.cond_step < io.n) io.n = (uint32_t)(n - io.cond_step);
        CHECK(fwn_run(pieces, &io) == FWN_OK);
    }
    state expected = state_of(whole, 0);
    CHECK(in_state(pieces, &expected));
    free(expected.bytes);
    fwn_stream_destroy(whole);
    fwn_stream_destroy(pieces);
    fwn_model_destroy(model);
    free(cond);
}

static void a_run_may_begin_anywhere_in_a_frame(void) { everywhere(check_frames_in_pieces); }

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
        CHECK(!memcmp(after.logits + (size_t)n * levels, expected.logits, sizeof(float) * n * levels));
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
            for (size_t i = 0; i < damaged.size; i++) damaged.bytes[i] = (unsigned char)random_word();
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

static void a_stream_torn_by_a_fork_goes_on_when_all_rows_are_reset_or_loaded(void) { everywhere(check_forked); }

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
    CHECK(!fwn_state_load(other, 0, saved.bytes, saved.size) && !fwn_stream_info(other, 0, &loaded));
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

/* ---- errors ------------------------------------------------------------------------------------ */

static int created_in(int precision, const fwn_spec *spec, const network *net, size_t count)
{
    fwn_model *model = NULL;
    const int error = fwn_model_create(spec, net->tensors, count, precision, &model);
    CHECK(!error == (model != NULL));
    fwn_model_destroy(model);
    return error;
}

static int created(const fwn_spec *spec, const network *net, size_t count)
{
    return created_in(FWN_FLOAT32, spec, net, count);
}

static void specs_out_of_bounds_are_refused(void)
{
    network *net = random_network(0);
    const fwn_spec good = net->spec;
    const struct { size_t at; uint32_t low, high; } bounds[] = {
        {offsetof(fwn_spec, levels), 2, 65536},      {offsetof(fwn_spec, residual), 1, 4096},
        {offsetof(fwn_spec, dilation_channels), 1, 4096}, {offsetof(fwn_spec, skip), 1, 4096},
        {offsetof(fwn_spec, head), 1, 4096},         {offsetof(fwn_spec, first_kernel), 1, 32},
        {offsetof(fwn_spec, layers), 1, 512},        {offsetof(fwn_spec, start_code), 0, 15},
    };
    for (size_t i = 0; i < COUNT(bounds); i++) {
        const uint32_t wrong[] = {bounds[i].low - 1, bounds[i].high + 1, UINT32_MAX};
        for (size_t j = 0; j < COUNT(wrong); j++) {
            fwn_spec bad = good;
            memcpy((char *)&bad + bounds[i].at, &wrong[j], sizeof wrong[j]);
            CHECK(created(&bad, net, net->count) == FWN_BAD_SPEC);
        }
    }
    fwn_spec bad = good;
    bad.kernels = NULL;
    CHECK(created(&bad, net, net->count) == FWN_BAD_SPEC);
    bad = good, bad.dilations = NULL;
    CHECK(created(&bad, net, net->count) == FWN_BAD_SPEC);
    CHECK(created(&good, net, net->count) == FWN_OK);
    free_network(net);
}

static void kernels_and_dilations_out_of_bounds_are_refused(void)
{
    network *net = random_network(0);
    static const uint32_t kernels[] = {0, 1, 33, UINT32_MAX};
    static const uint32_t dilations[] = {0, (1u << 20) + 1, UINT32_MAX};
    for (size_t i = 0; i < COUNT(kernels); i++) {
        net->kernels[1] = kernels[i];
        CHECK(created(&net->spec, net, net->count) == FWN_BAD_SPEC);
    }
    net->kernels[1] = 2;
    for (size_t i = 0; i < COUNT(dilations); i++) {
        net->dilations[2] = dilations[i];
        CHECK(created(&net->spec, net, net->count) == FWN_BAD_SPEC);
    }
    for (int l = 0; l < 3; l++) net->kernels[l] = 32, net->dilations[l] = 1u << 20;
    CHECK(created(&net->spec, net, net->count) == FWN_BAD_SPEC); /* the field of all layers */
    free_network(net);
}

static void a_tensor_of_another_name_or_shape_is_refused(void)
{
    network *net = random_network(0);
    const fwn_tensor unknown = {"layers.3.skip.bias", net->values, 1, {6}};
    for (size_t i = 0; i < net->count; i++) {
        fwn_tensor *t = &net->tensors[i];
        const fwn_tensor kept = *t;
        fwn_tensor wrong[] = {kept, kept, kept, kept, kept, net->tensors[(i + 1) % net->count], unknown};
        wrong[0].name = NULL;
        wrong[1].data = NULL;
        wrong[2].rank++;
        wrong[3].rank = UINT32_MAX;
        wrong[4].shape[0]++;
        for (size_t j = 0; j < COUNT(wrong); j++) {
            *t = wrong[j];
            CHECK(created(&net->spec, net, net->count) == FWN_BAD_TENSOR);
        }
        *t = kept;
    }
    net->tensors[net->count] = unknown;
    CHECK(created(&net->spec, net, net->count + 1) == FWN_BAD_TENSOR);
    CHECK(created(&net->spec, net, net->count) == FWN_OK);
    free_network(net);
}

static void weights_that_are_not_finite_are_refused_in_every_precision(void)
{
    static const uint32_t wrong[] = {0x7F800000, 0xFF800000, 0x7F800001, 0x7FFFFFFF, 0xFFC00000};
    network *net = random_network(0);
    for (size_t i = 0; i < net->count; i++) {
        const size_t end = i + 1 < net->count ? (size_t)(net->tensors[i + 1].data - net->values) : net->used;
        float *const edges[] = {(float *)net->tensors[i].data, net->values + end - 1};
        for (size_t j = 0; j < 2 * COUNT(wrong); j++) {
            const float kept = *edges[j % 2];
            memcpy(edges[j % 2], &wrong[j / 2], sizeof kept);
            for (int precision = 0; precision < FWN_PRECISIONS; precision++)
                CHECK(created_in(precision, &net->spec, net, net->count) == FWN_BAD_TENSOR);
            *edges[j % 2] = kept;
        }
    }
    CHECK(created(&net->spec, net, net->count) == FWN_OK);
    free_network(net);
}

static void only_biases_may_be_missing(void)
{
    network *net = random_network(0);
    for (size_t i = 0; i < net->count; i++) {
        const fwn_tensor kept = net->tensors[i];
        net->tensors[i] = net->tensors[net->count - 1];
        const int expected = strstr(kept.name, ".bias") ? FWN_OK : FWN_BAD_TENSOR;
        CHECK(created(&net->spec, net, net->count - 1) == expected);
        net->tensors[i] = kept;
    }
    CHECK(created(&net->spec, net, 0) == FWN_BAD_TENSOR);
    free_network(net);
}

static void tensors_may_come_in_any_order(void)
{
    network *net = random_network(1);
    fwn_tensor reversed[COUNT(net->tensors)];
    for (size_t i = 0; i < net->count; i++) reversed[i] = net->tensors[net->count - 1 - i];
    memcpy(net->tensors, reversed, net->count * sizeof *reversed);
    CHECK(created(&net->spec, net, net->count) == FWN_OK);
    free_network(net);
}

static void bad_arguments_are_refused(void)
{
    network *net = random_network(0);
    fwn_model *model = model_of(net, FWN_FLOAT32), *none = NULL;
    fwn_stream *stream = stream_of(model, FWN_SCALAR, 2), *other = NULL;
    fwn_info info;
    fwn_row_info row;
    size_t size = 0;
    char bytes[4] = {0};
    const fwn_io io = {.n = 1, .temperature = 1.0f};
    CHECK(fwn_model_create(NULL, net->tensors, net->count, FWN_FLOAT32, &none) == FWN_BAD_ARGUMENT);
    CHECK(fwn_model_create(&net->spec, NULL, net->count, FWN_FLOAT32, &none) == FWN_BAD_ARGUMENT);
    for (int unknown = -1; unknown <= FWN_PRECISIONS; unknown += FWN_PRECISIONS + 1)
        CHECK(fwn_model_create(&net->spec, net->tensors, net->count, unknown, &none) == FWN_BAD_ARGUMENT);
    CHECK(fwn_model_create(&net->spec, net->tensors, net->count, FWN_FLOAT32, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_model_info(NULL, &info) == FWN_BAD_ARGUMENT);
    CHECK(fwn_model_info(model, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_create(NULL, FWN_SCALAR, 1, 1, &other) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_create(model, FWN_SCALAR, 0, 1, &other) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_create(model, FWN_SCALAR, 65537, 1, &other) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_create(model, FWN_SCALAR, 1, 0, &other) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_create(model, FWN_SCALAR, 1, 3, &other) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_set_threads(NULL, 1) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_set_threads(stream, 0) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_set_threads(stream, 2) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_threads(NULL) == 1 && fwn_stream_threads(stream) == 1);
    CHECK(fwn_stream_create(model, FWN_SCALAR, 1, 1, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_stream_create(model, -1, 1, 1, &other) == FWN_BAD_ISA);
    CHECK(fwn_stream_create(model, FWN_ISAS, 1, 1, &other) == FWN_BAD_ISA);
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
    CHECK(fwn_state_save(NULL, 0, NULL, &size) == FWN_BAD_ARGUMENT);
    CHECK(fwn_state_save(stream, 2, NULL, &size) == FWN_BAD_ARGUMENT);
    CHECK(fwn_state_save(stream, 0, NULL, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_state_load(NULL, 0, bytes, 4) == FWN_BAD_ARGUMENT);
    CHECK(fwn_state_load(stream, 2, bytes, 4) == FWN_BAD_ARGUMENT);
    CHECK(fwn_state_load(stream, 0, NULL, 4) == FWN_BAD_ARGUMENT);
    CHECK(fwn_state_load(stream, 0, bytes, 0) == FWN_BAD_STATE);
    CHECK(fwn_state_load(stream, 0, bytes, 4) == FWN_BAD_STATE);
    CHECK(!none && !other);
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
    const float cond[3 * 2 * 3] = {0};
    const uint16_t bad_code[3] = {1, 16, 2};
    const float temperatures[] = {-1.0f, 1e-4f, 1001.0f, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < COUNT(temperatures); i++) {
        const fwn_io io = {.n = 1, .temperature = temperatures[i]};
        CHECK(fwn_run(stream, &io) == FWN_BAD_ARGUMENT);
    }
    const fwn_io ios[] = {
        {.n = 1, .temperature = 1.0f, .cond = cond, .cond_rows = 0, .hop = 1},
        {.n = 1, .temperature = 1.0f, .cond = cond, .cond_rows = 1, .hop = 0},
        {.n = 2, .temperature = 1.0f, .cond = cond, .cond_rows = 1, .hop = 1, .cond_step = UINT64_MAX - 1},
        {.n = 3, .temperature = 1.0f, .forced = bad_code},
        {.n = 0, .temperature = 1.0f},
    };
    const int expected[] = {FWN_BAD_ARGUMENT, FWN_BAD_ARGUMENT, FWN_BAD_ARGUMENT, FWN_BAD_CODE, FWN_OK};
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
    for (int round = 0; round < 100 && !busy; round++) {
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

static void every_error_isa_and_precision_has_a_text(void)
{
    int isas[FWN_ISAS], count = fwn_isa_list(isas, FWN_ISAS);
    for (int error = FWN_FORKED; error <= FWN_OK; error++)
        for (int other = FWN_FORKED - 1; other < error; other++)
            CHECK(strcmp(fwn_strerror(error), fwn_strerror(other)));
    CHECK(!strcmp(fwn_strerror(1), fwn_strerror(-1000)));
    CHECK(count >= 1 && isas[0] == FWN_SCALAR && fwn_isa_list(NULL, 0) == count);
    for (int i = 0; i < count; i++) CHECK(fwn_isa_name(isas[i]) && (!i || isas[i] > isas[i - 1]));
    CHECK(!fwn_isa_name(-1) && !fwn_isa_name(FWN_ISAS));
    CHECK(!strcmp(fwn_precision_name(FWN_FLOAT32), "float32"));
    CHECK(!strcmp(fwn_precision_name(FWN_BFLOAT16), "bfloat16"));
    CHECK(!strcmp(fwn_precision_name(FWN_INT8), "int8"));
    CHECK(!fwn_precision_name(-1) && !fwn_precision_name(FWN_PRECISIONS));
}

/* ---- mu-law ------------------------------------------------------------------------------------ */

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
    for (size_t i = 0; i < n; i++) x[i] = random_float() * 1.2f, samples[i] = (int16_t)random_word();
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
        CHECK(fwn_mulaw_encode_f32(codec, isas[i], x, n, codes, &bad) == FWN_BAD_AUDIO && bad == n - 1);
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
    CHECK(fwn_mulaw_decode_i16(codec, FWN_SCALAR, codes, 3, samples, &bad) == FWN_BAD_CODE && bad == 2);
    CHECK(fwn_mulaw_encode_f32(codec, FWN_ISAS, x, 3, codes, &bad) == FWN_BAD_ISA);
    CHECK(fwn_mulaw_encode_i16(codec, -1, samples, 3, codes) == FWN_BAD_ISA);
    CHECK(fwn_mulaw_decode_f32(codec, -1, codes, 3, x, &bad) == FWN_BAD_ISA);
    CHECK(fwn_mulaw_decode_i16(codec, -1, codes, 3, samples, &bad) == FWN_BAD_ISA);
    fwn_mulaw_destroy(codec);
}

/* ---- the host's floating-point mode ------------------------------------------------------------- */

#if defined(__x86_64__)
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
static const uint64_t MODES[] = {ROUND_DOWN, ROUND_UP, ROUND_TO_ZERO, NO_DENORMALS, ROUND_UP | NO_DENORMALS};

static uint64_t host_mode(void) { return mode_register() & ALL_MODES; }
static void set_host_mode(uint64_t mode) { set_mode_register((mode_register() & ~(uint64_t)ALL_MODES) | mode); }

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

static void the_hosts_float_mode_changes_no_step_and_is_given_back(void) { everywhere(check_modes); }

enum { MODE_SAMPLES = 1000 };

static void encode_in_mode(int isa, uint64_t mode, const float *x, uint16_t *codes, float *back)
{
    fwn_mulaw *codec;
    set_host_mode(mode);
    CHECK(!fwn_mulaw_create(1000, &codec) && host_mode() == mode);
    CHECK(!fwn_mulaw_encode_f32(codec, isa, x, MODE_SAMPLES, codes, NULL) && host_mode() == mode);
    CHECK(!fwn_mulaw_decode_f32(codec, isa, codes, MODE_SAMPLES, back, NULL) && host_mode() == mode);
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
    CHECK(!fwn_mulaw_create(256, &codec));
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

/* ---- memory ------------------------------------------------------------------------------------ */

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
    const int error = fwn_mulaw_create(*(const uint32_t *)levels, &codec);
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
    CHECK(fwn_stream_set_threads(both, 2) == FWN_BAD_ARGUMENT && fwn_stream_set_threads(both, 1) == FWN_OK);
    CHECK(!fwn_stream_reset(both, 0, 7, 0));
    result expected = run(alone, levels, STEPS, STEPS, NULL), found = run(both, levels, STEPS, STEPS, NULL);
    CHECK(same(&found, &expected));
    free_result(&expected);
    free_result(&found);
    fwn_stream_destroy(alone);
    fwn_stream_destroy(both);
    fwn_model_destroy(model);
}

static void check_two_threads(int isa, int precision, size_t which)
{
    const uint32_t levels = NETWORKS[which].sizes[0];
    fwn_model *model = random_model(which, precision);
    fwn_stream *alone = stream_of(model, FWN_SCALAR, 1), *both;
    result expected = run(alone, levels, STEPS, STEPS, NULL);
    CHECK(fwn_stream_create(model, isa, 1, 2, &both) == FWN_OK);
    for (int round = 0; round < 4; round++) { /* drawn and forced, as measured and in any case */
        if (round == 2) CHECK(!fwn_stream_set_threads(both, 2) && fwn_stream_threads(both) == 2);
        CHECK(!fwn_stream_reset(both, 0, 7, 0));
        result found = run(both, levels, STEPS, 50, round % 2 ? expected.codes : NULL);
        CHECK(same(&found, &expected));
        free_result(&found);
    }
    free_result(&expected);
    fwn_stream_destroy(alone);
    fwn_stream_destroy(both);
    fwn_model_destroy(model);
}

static void two_threads_compute_the_bits_of_one(void) { everywhere(check_two_threads); }

/* Of the first three the past taps, which are the helper's, outweigh all else: the leader was once given more
 * outputs of the skip product than there are. */
static shape shape_to_share(uint32_t i)
{
    static const shape known[] = {
        {{32, 32, 32, 16, 16, 2, 1}, {3}, {1}, 1},
        {{32, 32, 32, 32, 16, 2, 1}, {3}, {1}, 1},
        {{32, 48, 48, 16, 16, 2, 1}, {5}, {1}, 1},
    };
    if (i < COUNT(known)) return known[i];
    shape s = {{2 + below(40), 1 + below(40), 1 + below(40), 1 + below(40), 1 + below(40), 1, 1 + below(3)},
               {0}, {0}, below(2)};
    for (uint32_t l = 0; l < s.sizes[6]; l++) {
        s.kernels[l] = 2 + below(5);
        s.dilations[l] = 1 + below(20);
    }
    return s;
}

static int covers(const fwn_mat *a, const fwn_mat *b, const fwn_mat *whole)
{
    return a->first == 0 && b->first == a->n && a->n % 16 == 0 && a->n <= whole->n && a->n + b->n == whole->n;
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
    for (uint32_t i = 0; i < 9; i++) {
        const shape of = shape_to_share(i);
        network *net = network_of(&of);
        fwn_model *model = model_of(net, (int)(i % FWN_PRECISIONS));
        check_share(model, 1);
        check_share(model, 2 + below(15));
        fwn_model_destroy(model);
        free_network(net);
    }
}

static void models_tell_their_sizes_and_differ_in_fingerprint(void)
{
    network *net = random_network(0);
    fwn_model *a = model_of(net, FWN_FLOAT32), *b = model_of(net, FWN_FLOAT32), *c;
    fwn_model *smaller[] = {model_of(net, FWN_BFLOAT16), model_of(net, FWN_INT8)};
    fwn_info of_a, of_b, of_c;
    net->values[net->used - 1] += 1.0f;
    c = model_of(net, FWN_FLOAT32);
    CHECK(!fwn_model_info(a, &of_a) && !fwn_model_info(b, &of_b) && !fwn_model_info(c, &of_c));
    CHECK(of_a.fingerprint == of_b.fingerprint && of_a.fingerprint != of_c.fingerprint);
    CHECK(of_a.arena_bytes >= of_a.step_bytes && of_a.step_bytes > 0);
    for (size_t i = 0; i < COUNT(smaller); i++, of_b = of_c) {
        CHECK(!fwn_model_info(smaller[i], &of_c));
        CHECK(of_c.fingerprint != of_a.fingerprint && of_c.fingerprint != of_b.fingerprint);
        CHECK(of_c.step_bytes < of_b.step_bytes && of_c.step_bytes > 0);
        fwn_model_destroy(smaller[i]);
    }
    fwn_model_destroy(a);
    fwn_model_destroy(b);
    fwn_model_destroy(c);
    free_network(net);
}

#define TEST(name) {#name, name}
static const struct {
    const char *name;
    void (*run)(void);
} TESTS[] = {
    TEST(chunks_drawn_or_forced_equal_one_shot_on_every_isa),
    TEST(rows_of_a_batch_equal_single_streams),
    TEST(a_row_that_is_reset_alone_starts_afresh),
    TEST(any_output_may_be_left_out),
    TEST(a_row_of_cond_holds_for_hop_steps_and_the_last_for_ever),
    TEST(a_run_may_begin_anywhere_in_a_frame),
    TEST(the_seeds_of_these_tests_have_the_extreme_random_numbers),
    TEST(the_extreme_random_numbers_draw_possible_codes),
    TEST(a_random_number_on_an_edge_draws_the_code_above_it),
    TEST(a_state_continues_in_any_row_and_isa),
    TEST(damaged_states_are_refused_and_change_nothing),
    TEST(a_stream_torn_by_a_fork_goes_on_when_all_rows_are_reset_or_loaded),
    TEST(a_state_can_be_checked_before_it_is_loaded),
    TEST(a_state_needs_its_whole_size_and_any_alignment),
    TEST(specs_out_of_bounds_are_refused),
    TEST(kernels_and_dilations_out_of_bounds_are_refused),
    TEST(a_tensor_of_another_name_or_shape_is_refused),
    TEST(weights_that_are_not_finite_are_refused_in_every_precision),
    TEST(only_biases_may_be_missing),
    TEST(tensors_may_come_in_any_order),
    TEST(bad_arguments_are_refused),
    TEST(bad_runs_are_refused_and_change_nothing),
    TEST(the_first_sample_is_given_once_and_before_the_first_step),
    TEST(overflowing_outputs_are_an_error),
    TEST(a_stream_in_use_says_busy),
    TEST(every_error_isa_and_precision_has_a_text),
    TEST(mulaw_codes_any_length_in_place_and_no_further),
    TEST(mulaw_refuses_bad_levels_codes_and_isas),
    TEST(the_modes_of_these_tests_change_what_the_host_computes),
    TEST(the_hosts_float_mode_changes_no_step_and_is_given_back),
    TEST(the_hosts_float_mode_changes_no_code_and_is_given_back),
    TEST(the_hosts_float_mode_is_given_back_after_an_error),
    TEST(only_the_create_functions_allocate),
    TEST(out_of_memory_is_an_error_and_leaks_nothing),
    TEST(without_a_second_thread_there_is_one),
    TEST(two_threads_compute_the_bits_of_one),
    TEST(two_threads_share_all_outputs_of_every_product),
    TEST(models_tell_their_sizes_and_differ_in_fingerprint),
};

/* Without an argument the names of all tests are printed; with one that test is run. */
int main(int count, char **arguments)
{
    for (size_t i = 0; i < COUNT(TESTS); i++) {
        if (count < 2) puts(TESTS[i].name);
        else if (!strcmp(arguments[1], TESTS[i].name)) {
            const long before = live;
            TESTS[i].run();
            CHECK(live == before);
            return 0;
        }
    }
    return count >= 2;
}
