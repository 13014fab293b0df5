/* Conditioning: how long a frame lasts, runs that begin within one, interpolation, speakers, and
 * temperature and min_p of frames. */
#include "claims.h"

enum { CHANNELS = 3, HOP = 4, STEPPED = 20, FRAMES = 3 }; /* too few frames: the last one holds */

static network *conditioned(size_t which, conditioning cond)
{
    shape of = NETWORKS[which];
    of.cond = cond;
    random_step = 1000 * which; /* equal weights, whatever the conditioning */
    return network_of(&of);
}

static fwn_model *conditioned_model(size_t which, int precision, conditioning cond)
{
    network *net = conditioned(which, cond);
    fwn_model *model = model_of(net, precision);
    free_network(net);
    return model;
}

/* The results of STEPPED steps of `rows` rows, at temperature 1 unless the call has another one. */
static result results_of(const fwn_model *model, int isa, uint32_t rows, size_t which, fwn_io io)
{
    result r = new_result((size_t)rows * STEPPED, NETWORKS[which].sizes[0]);
    fwn_stream *stream = stream_of(model, isa, rows);
    io.n = STEPPED;
    if (io.temperature == 0.0f) io.temperature = 1.0f;
    io.codes = r.codes, io.audio = r.audio, io.logp = r.logp, io.logits = r.logits;
    CHECK(fwn_run(stream, &io) == FWN_OK);
    fwn_stream_destroy(stream);
    return r;
}

/* Both models give the same results, and are destroyed. */
static void compare(int isa, uint32_t rows, size_t which, fwn_model *a, const fwn_io *io_a,
                    fwn_model *b, const fwn_io *io_b)
{
    result of_a = results_of(a, isa, rows, which, *io_a),
           of_b = results_of(b, isa, rows, which, *io_b);
    CHECK(same(&of_a, &of_b));
    free_result(&of_a);
    free_result(&of_b);
    fwn_model_destroy(a);
    fwn_model_destroy(b);
}

/* Each frame of `width` numbers as often as it lasts, the last one up to STEPPED. */
static float *for_each_step(const float *frames, size_t width)
{
    float *rows = malloc(STEPPED * width * sizeof *rows);
    for (size_t i = 0; i < STEPPED; i++) {
        const size_t frame = i / HOP < FRAMES ? i / HOP : FRAMES - 1;
        memcpy(rows + i * width, frames + frame * width, width * sizeof *rows);
    }
    return rows;
}

static void check_hop(int isa, int precision, size_t which)
{
    const uint32_t rows = 3;
    const size_t width = (size_t)rows * CHANNELS;
    float *frames = random_frames(FRAMES * width), *steps = for_each_step(frames, width);
    fwn_model *held = conditioned_model(which, precision, (conditioning){CHANNELS, HOP, 0, 0, 0});
    fwn_model *each = conditioned_model(which, precision, (conditioning){CHANNELS, 1, 0, 0, 0});
    compare(isa, rows, which, held, &(fwn_io){.frames = frames, .n_frames = FRAMES}, each,
            &(fwn_io){.frames = steps, .n_frames = STEPPED});
    free(frames);
    free(steps);
}

static void a_frame_holds_for_hop_samples_and_the_last_for_ever(void) { everywhere(check_hop); }

static void check_pieces(int isa, int precision, size_t which)
{
    const conditioning cond = {CHANNELS, 7, which % 2, 0, 0};
    fwn_model *model = conditioned_model(which, precision, cond);
    float *frames = random_frames(FRAMES * CHANNELS);
    fwn_stream *whole = stream_of(model, isa, 1), *pieces = stream_of(model, isa, 1);
    fwn_io io = {.n = STEPPED, .temperature = 1.0f, .frames = frames, .n_frames = FRAMES};
    CHECK(fwn_run(whole, &io) == FWN_OK);
    for (io.n = 3; io.frame_at < STEPPED; io.frame_at += io.n) {
        if (STEPPED - io.frame_at < io.n) io.n = (uint32_t)(STEPPED - io.frame_at);
        CHECK(fwn_run(pieces, &io) == FWN_OK);
    }
    state expected = state_of(whole, 0);
    CHECK(in_state(pieces, &expected));
    free(expected.bytes);
    fwn_stream_destroy(whole);
    fwn_stream_destroy(pieces);
    fwn_model_destroy(model);
    free(frames);
}

static void a_run_may_begin_anywhere_in_a_frame(void) { everywhere(check_pieces); }

/* Between equal frames there is nothing to interpolate, between others there is. */
static void check_interpolation(int isa, int precision, size_t which)
{
    const conditioning held = {CHANNELS, HOP, 0, 0, 0}, linear = {CHANNELS, HOP, 1, 0, 0};
    float *frames = random_frames(FRAMES * CHANNELS);
    const fwn_io io = {.frames = frames, .n_frames = FRAMES};
    fwn_model *a = conditioned_model(which, precision, held),
              *b = conditioned_model(which, precision, linear);
    result of_a = results_of(a, isa, 1, which, io), of_b = results_of(b, isa, 1, which, io),
           of_scalar = results_of(b, FWN_SCALAR, 1, which, io);
    CHECK(same(&of_b, &of_scalar));
    if (which == 0)
        CHECK(
            !same(&of_a, &of_b)); /* the smallest networks may have outputs that no frame changes */
    for (size_t i = 1; i < FRAMES; i++)
        memcpy(frames + i * CHANNELS, frames, CHANNELS * sizeof *frames);
    compare(isa, 1, which, a, &io, b, &io);
    free_result(&of_a);
    free_result(&of_b);
    free_result(&of_scalar);
    free(frames);
}

static void frames_are_interpolated_on_every_isa(void) { everywhere(check_interpolation); }

static void check_speakers(int isa, int precision, size_t which)
{
    enum { SPEAKERS = 5, ROWS = 2 };
    const uint32_t speakers[ROWS] = {4, 1};
    float embeddings[ROWS * CHANNELS];
    network *net = conditioned(which, (conditioning){0, 1, 0, SPEAKERS, CHANNELS});
    const float *table = values_of(net, "conditioning.speakers.weight");
    for (size_t b = 0; b < ROWS; b++)
        memcpy(embeddings + b * CHANNELS, table + speakers[b] * CHANNELS, CHANNELS * sizeof *table);
    fwn_model *by_speaker = model_of(net, precision);
    fwn_model *by_frame = conditioned_model(which, precision, (conditioning){CHANNELS, 1, 0, 0, 0});
    compare(isa, ROWS, which, by_speaker, &(fwn_io){.speakers = speakers}, by_frame,
            &(fwn_io){.frames = embeddings, .n_frames = 1});
    free_network(net);
}

static void a_speaker_sounds_like_a_frame_of_its_embedding(void) { everywhere(check_speakers); }

static void check_equal_numbers(int isa, int precision, size_t which)
{
    const conditioning cond = {CHANNELS, HOP, which % 2, 0, 0};
    float *frames = random_frames(FRAMES * 2 * CHANNELS), temperature[FRAMES * 2],
          min_p[FRAMES * 2];
    for (size_t i = 0; i < FRAMES * 2; i++) temperature[i] = 0.7f, min_p[i] = 0.1f;
    const fwn_io all = {.frames = frames, .n_frames = FRAMES, .temperature = 0.7f, .min_p = 0.1f};
    fwn_io each = all;
    each.temperature = 1000.0f, each.min_p = 1.0f; /* of no effect */
    each.frame_temperature = temperature, each.frame_min_p = min_p;
    compare(isa, 2, which, conditioned_model(which, precision, cond), &all,
            conditioned_model(which, precision, cond), &each);
    free(frames);
}

static void equal_numbers_of_all_frames_are_those_of_the_call(void)
{
    everywhere(check_equal_numbers);
}

/* A run with numbers of frames is the calls of single steps that have their frame's numbers. */
static void check_numbers_of_frames(int isa, int precision, size_t which)
{
    const float temperature[FRAMES] = {1.0f, 0.0f, 1000.0f}, min_p[FRAMES] = {0.1f, 0.0f, 0.5f};
    fwn_model *model = conditioned_model(which, precision, (conditioning){CHANNELS, HOP, 1, 0, 0});
    float *frames = random_frames(FRAMES * CHANNELS);
    fwn_stream *whole = stream_of(model, isa, 1), *steps = stream_of(model, isa, 1);
    fwn_io io = {.n = STEPPED, .frames = frames, .n_frames = FRAMES};
    io.frame_temperature = temperature, io.frame_min_p = min_p;
    CHECK(fwn_run(whole, &io) == FWN_OK);
    io.frame_temperature = io.frame_min_p = NULL;
    for (io.n = 1; io.frame_at < STEPPED; io.frame_at++) {
        const size_t frame = io.frame_at / HOP < FRAMES ? io.frame_at / HOP : FRAMES - 1;
        io.temperature = temperature[frame], io.min_p = min_p[frame];
        CHECK(fwn_run(steps, &io) == FWN_OK);
    }
    state expected = state_of(steps, 0);
    CHECK(in_state(whole, &expected));
    free(expected.bytes);
    fwn_stream_destroy(whole);
    fwn_stream_destroy(steps);
    fwn_model_destroy(model);
    free(frames);
}

static void numbers_of_a_frame_hold_for_its_samples(void) { everywhere(check_numbers_of_frames); }

static void numbers_of_frames_out_of_bounds_are_refused(void)
{
    const float wrong[] = {-1.0f, 1001.0f, NAN, INFINITY, -INFINITY}, fine[FRAMES] = {0};
    fwn_model *model = conditioned_model(0, FWN_FLOAT32, (conditioning){CHANNELS, HOP, 0, 0, 0});
    fwn_model *without = random_model(0, FWN_FLOAT32);
    float *frames = random_frames(FRAMES * CHANNELS), numbers[FRAMES] = {0};
    fwn_stream *stream = stream_of(model, FWN_SCALAR, 1), *bare = stream_of(without, FWN_SCALAR, 1);
    state before = state_of(stream, 0);
    fwn_io io = {.n = HOP + 1, .frames = frames, .n_frames = FRAMES};
    for (size_t i = 0; i < COUNT(wrong) * FRAMES;
         i++) { /* the run has no sample of the last frame */
        const int expected = i % FRAMES == FRAMES - 1 ? FWN_OK : FWN_BAD_ARGUMENT;
        numbers[i % FRAMES] = wrong[i / FRAMES];
        io.frame_temperature = numbers, io.frame_min_p = NULL;
        CHECK(fwn_run(stream, &io) == expected);
        io.frame_temperature = fine, io.frame_min_p = numbers;
        CHECK(fwn_run(stream, &io) == expected);
        numbers[i % FRAMES] = 0.0f;
        CHECK(expected == FWN_OK || in_state(stream, &before));
        CHECK(!fwn_stream_reset(stream, 0, 7, 0));
    }
    CHECK(fwn_run(bare, &(fwn_io){.n = 1, .frame_temperature = fine}) == FWN_BAD_ARGUMENT);
    CHECK(fwn_run(bare, &(fwn_io){.n = 1, .frame_min_p = fine}) == FWN_BAD_ARGUMENT);
    free(before.bytes);
    fwn_stream_destroy(stream);
    fwn_stream_destroy(bare);
    fwn_model_destroy(model);
    fwn_model_destroy(without);
    free(frames);
}

static void runs_without_the_frames_and_speakers_of_the_network_are_refused(void)
{
    const float frames[CHANNELS] = {0};
    const uint32_t speaker[1] = {1}, no_speaker[1] = {2};
    fwn_model *model = conditioned_model(0, FWN_FLOAT32, (conditioning){CHANNELS, HOP, 1, 2, 1});
    fwn_stream *stream = stream_of(model, FWN_SCALAR, 1);
    state before = state_of(stream, 0);
    fwn_io good = {
        .n = 2, .temperature = 1.0f, .frames = frames, .n_frames = 1, .speakers = speaker};
    fwn_io bad[] = {good, good, good, good, good};
    bad[0].frames = NULL;
    bad[1].n_frames = 0;
    bad[2].speakers = NULL;
    bad[3].speakers = no_speaker;
    bad[4].frame_at = UINT64_MAX - 1;
    for (size_t i = 0; i < COUNT(bad); i++) CHECK(fwn_run(stream, &bad[i]) == FWN_BAD_ARGUMENT);
    CHECK(in_state(stream, &before));
    good.frame_at = UINT64_MAX - 2;
    CHECK(fwn_run(stream, &good) == FWN_OK);
    free(before.bytes);
    fwn_stream_destroy(stream);
    fwn_model_destroy(model);
}

static void conditioning_out_of_bounds_is_refused(void)
{
    network *net = conditioned(0, (conditioning){CHANNELS, HOP, 1, 2, 1});
    const struct {
        size_t at;
        uint32_t wrong[3];
    } bounds[] = {
        {offsetof(fwn_spec, frame_channels), {4097, UINT32_MAX, 4097}},
        {offsetof(fwn_spec, frame_hop), {0, 65537, UINT32_MAX}},
        {offsetof(fwn_spec, frame_linear), {2, UINT32_MAX, 2}},
        {offsetof(fwn_spec, speakers), {0, 65537, UINT32_MAX}},
        {offsetof(fwn_spec, speaker_channels), {0, 4097, UINT32_MAX}},
    };
    for (size_t i = 0; i < COUNT(bounds); i++)
        for (size_t j = 0; j < 3; j++) {
            fwn_spec bad = net->spec;
            memcpy((char *)&bad + bounds[i].at, &bounds[i].wrong[j], sizeof(uint32_t));
            CHECK(created(&bad, net, net->count) == FWN_BAD_SPEC);
        }
    fwn_spec without = net->spec;
    without.frame_channels = without.speakers = without.speaker_channels = 0;
    CHECK(created(&without, net, net->count) == FWN_BAD_SPEC); /* a hop of no frames */
    CHECK(created(&net->spec, net, net->count) == FWN_OK);
    free_network(net);
}

const claim CONDITIONING[] = {
    TEST(a_frame_holds_for_hop_samples_and_the_last_for_ever),
    TEST(a_run_may_begin_anywhere_in_a_frame),
    TEST(frames_are_interpolated_on_every_isa),
    TEST(a_speaker_sounds_like_a_frame_of_its_embedding),
    TEST(equal_numbers_of_all_frames_are_those_of_the_call),
    TEST(numbers_of_a_frame_hold_for_its_samples),
    TEST(numbers_of_frames_out_of_bounds_are_refused),
    TEST(runs_without_the_frames_and_speakers_of_the_network_are_refused),
    TEST(conditioning_out_of_bounds_is_refused),
    {NULL, NULL},
};
