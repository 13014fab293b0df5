/* Any calls of csrc/fastwavenet.h, in any order, for tests/engine/test_fuzz.py to build with clang's
 * libFuzzer and sanitizers: the first bytes of an input choose a network and two streams of it
 * (fuzz_input.h), the others the calls.  A slow twin of the stream gets the same calls and must
 * give the same bits (fuzz_twin.h). */
#include "fuzz_coding.h"
#include "fuzz_flaws.h"
#include "fuzz_mulaw.h"
#include "fuzz_upsampling.h"
#include "model.h" /* fwn_hash, fwn_mat_part */

/* Bounds of an execution.  Work is weights x rows x steps: MOST for one execution in 16, LITTLE for
 * the others. */
enum { MOST_CALLS = 24, MOST_WORK = 200000, LITTLE_WORK = 8000 };

#ifdef PLANTED
/* A planted fault: the second thread has the weights of the first thread's outputs. */
fwn_mat __real_fwn_mat_part(const fwn_model *, const fwn_mat *, uint32_t first, uint32_t n);
fwn_mat __wrap_fwn_mat_part(const fwn_model *, const fwn_mat *, uint32_t first, uint32_t n);
fwn_mat __wrap_fwn_mat_part(const fwn_model *model, const fwn_mat *whole, uint32_t first,
                            uint32_t n)
{
    fwn_mat part = __real_fwn_mat_part(model, whole, first, n);
    part.w = whole->w;
    return part;
}
#endif

/* ---- streams --------------------------------------------------------------------------------- */

static fwn_stream *new_stream(const pair *p, int isa)
{
    fwn_stream *stream = NULL;
    CHECK(!fwn_stream_create(p->of->model, isa, p->rows, p->threads, &stream));
    if (p->threads > 1)
        CHECK(!fwn_stream_set_threads(stream, 2) && fwn_stream_threads(stream) == 2);
    return stream;
}

static pair pair_of(const uint8_t *choice)
{
    pair p = {.of = model_from(choice)};
    const size_t weights = p.of->net->used + 2000,
                 work = choice[ROWS] % 16 ? LITTLE_WORK : MOST_WORK;
    const shape of = shape_of(choice);
    const uint32_t few = choice[ROWS] % 2 ? 1 : 1 + choice[ROWS] / 16 % 4,
                   many = 1 + choice[ROWS] % 66;
    p.spec = &p.of->net->spec;
    p.rows = choice[ROWS] < 224 || many * past_of(&of) > 2 * MOST_PAST ? few : many;
    p.steps = 3 + (uint32_t)(work / (weights * p.rows));
    if (choice[THREADS] == 2 && p.steps > 40)
        p.steps = 40; /* on busy cores each may wait for a time slice */
    p.threads = choice[THREADS] == 2 ? 2 : 1;
    p.stream = new_stream(&p, isa_of(choice[ISA]));
    CHECK(!fwn_stream_create(p.of->model, isa_of(choice[TWIN_ISA]), p.rows, 1, &p.twin));
    return p;
}

/* ---- runs ------------------------------------------------------------------------------------ */

/* In one of eight runs the start code alone, as before a sound. */
static uint16_t *random_codes(const pair *p, size_t count, uint32_t *seed, int bad)
{
    uint16_t *codes = exactly(count, sizeof *codes);
    const uint32_t levels = p->spec->levels, start = scramble(seed) >> 29 == 0;
    for (size_t i = 0; i < count; i++)
        codes[i] = (uint16_t)(start ? p->spec->start_code : scramble(seed) % levels);
    if (bad && count) codes[scramble(seed) % count] = (uint16_t)p->spec->levels;
    return codes;
}

/* 0 to 5 frames, of which 0 are refused where the network has channels for them; in one of four runs
 * they are huge or denormal. */
static void give_frames(const pair *p, input *in, fwn_io *io, uint32_t *seed)
{
    static const float scales[] = {1, 1, 1, 1, 1, 1, 3e38f, 1e-40f};
    static const uint64_t starts[] = {0, 1, 7, 1000, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX - 70};
    io->n_frames = next_below(in, 6);
    io->frame_at = starts[next_below(in, COUNT(starts))];
    const size_t count = (size_t)io->n_frames * p->rows * p->spec->frame_channels;
    float *frames = exactly(count, sizeof *frames);
    const float scale = scales[scramble(seed) >> 29];
    for (size_t i = 0; i < count; i++)
        frames[i] = (float)(int32_t)scramble(seed) * 0x1p-31f * scale;
    io->frames = frames;
}

/* Temperature, min_p, both or neither of each frame; in one of 64 runs one of each may be out of
 * bounds, which is refused if the run has samples of its frame. */
static void give_numbers(const pair *p, input *in, fwn_io *io, uint32_t *seed)
{
    static const float temperatures[] = {0, 1e-3f, 0.5f, 1, 1e3f, 0, 1, 2};
    const size_t count = (size_t)io->n_frames * p->rows;
    const uint32_t which = next_byte(in);
    float *temperature = which % 4 & 1 ? exactly(count, sizeof *temperature) : NULL;
    float *min_p = which % 4 & 2 ? exactly(count, sizeof *min_p) : NULL;
    for (size_t i = 0; i < count; i++) {
        const uint32_t word = scramble(seed);
        if (temperature) temperature[i] = temperatures[word % COUNT(temperatures)];
        if (min_p) min_p[i] = (float)(word >> 8 & 255) / 255.0f;
    }
    if (which > 251 && count && temperature) temperature[scramble(seed) % count] = -1.0f;
    if (which > 251 && count && min_p) min_p[scramble(seed) % count] = 1.5f;
    io->frame_temperature = temperature;
    io->frame_min_p = min_p;
}

/* A speaker for each row; one in 256 may be beyond the last. */
static void give_speakers(const pair *p, input *in, fwn_io *io, uint32_t *seed)
{
    const uint32_t most = p->spec->speakers + (next_byte(in) == 1);
    uint32_t *speakers = exactly(p->rows, sizeof *speakers);
    for (uint32_t b = 0; b < p->rows; b++) speakers[b] = scramble(seed) % most;
    io->speakers = speakers;
}

/* wrong: frames are given exactly where the network has no channels for them. */
static void condition(const pair *p, input *in, fwn_io *io, uint32_t *seed, int wrong)
{
    if ((p->spec->frame_channels > 0) != wrong) give_frames(p, in, io, seed);
    if (p->spec->speakers) give_speakers(p, in, io, seed);
}

enum {
    FORCED = 1,
    MISFRAMED = 2,
    CODES = 4,
    AUDIO = 8,
    LOGP = 16,
    LOGITS = 32,
    BAD = 64,
    WARM = 128
};

static int is_conditioned(const pair *p, const fwn_io *io)
{
    const fwn_spec *spec = p->spec;
    for (uint32_t b = 0; io->speakers && b < p->rows; b++)
        if (io->speakers[b] >= spec->speakers) return 0;
    return (spec->frame_channels ? io->n_frames > 0 : !io->frames) &&
           io->frame_at <= UINT64_MAX - io->n;
}

static int has_bad_number(const pair *p, const fwn_io *io)
{
    for (uint32_t i = 0; i < io->n; i++) {
        const uint64_t frame = (io->frame_at + i) / p->spec->frame_hop, last = io->n_frames - 1;
        const size_t at = (frame < last ? frame : last) * p->rows;
        for (uint32_t b = 0; b < p->rows; b++) {
            if (io->frame_temperature && io->frame_temperature[at + b] < 0.0f) return 1;
            if (io->frame_min_p && io->frame_min_p[at + b] > 1.0f) return 1;
        }
    }
    return 0;
}

static int expected_of(const pair *p, const fwn_io *io, uint32_t how)
{
    if (!is_conditioned(p, io)) return FWN_BAD_ARGUMENT;
    if ((io->frame_temperature || io->frame_min_p) && has_bad_number(p, io))
        return FWN_BAD_ARGUMENT;
    return how & FORCED && how & BAD && io->n ? FWN_BAD_CODE : FWN_OK;
}

static void run(pair *p, input *in)
{
    static const float temperatures[] = {0, 1e-3f, 0.5f, 1.5f, 1e3f};
    const uint32_t how = next_byte(in), n = next_byte(in) % (p->steps + 1);
    const size_t steps = (size_t)p->rows * n;
    uint32_t seed = next_word(in) | 1;
    fwn_io io = {.n = n,
                 .temperature =
                     how & WARM ? temperatures[next_below(in, COUNT(temperatures))] : 1.0f};
    p->steps -= n;
    if (how & WARM) io.top_k = next_byte(in);
    if (how & WARM) io.min_p = (float)next_byte(in) / 255.0f;
    if (how & FORCED) io.forced = random_codes(p, steps, &seed, how & BAD);
    condition(p, in, &io, &seed, how & MISFRAMED && next_byte(in) == 1);
    if (how & WARM && io.frames) give_numbers(p, in, &io, &seed);
    if (how & CODES) io.codes = exactly(steps, sizeof *io.codes);
    if (how & AUDIO) io.audio = exactly(steps, sizeof *io.audio);
    if (how & LOGP) io.logp = exactly(steps, sizeof *io.logp);
    if (how & LOGITS) io.logits = exactly(steps * p->spec->levels, sizeof *io.logits);
    const int error = run_both(p, &io, 1 + next_below(in, 70));
    const int expected = expected_of(p, &io, how);
    CHECK(error == expected || (error == FWN_NOT_FINITE && !expected));
    free((void *)io.forced);
    free((void *)io.frames);
    free((void *)io.speakers);
    free((void *)io.frame_temperature);
    free((void *)io.frame_min_p);
    free(io.codes);
    free(io.audio);
    free(io.logp);
    free(io.logits);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void begin(const pair *p, input *in)
{
    const uint32_t row = next_below(in, p->rows), code = next_byte(in) << 1 | next_below(in, 2);
    fwn_row_info info;
    CHECK(!fwn_stream_info(p->twin, row, &info));
    const int error = fwn_stream_begin(p->stream, row, code);
    CHECK(error == (code >= p->spec->levels ? FWN_BAD_CODE : info.begun ? FWN_STARTED : FWN_OK));
    CHECK(fwn_stream_begin(p->twin, row, code) == error);
}

/* Any float: only a finite one is taken, and with pre-emphasis kept. */
static void set_last(const pair *p, input *in)
{
    const uint32_t row = next_below(in, p->rows), bits = wild(in);
    float last;
    fwn_row_info info;
    memcpy(&last, &bits, sizeof last);
    const int error = fwn_stream_set_last(p->stream, row, last);
    CHECK(error == (isfinite(last) ? FWN_OK : FWN_BAD_AUDIO));
    CHECK(fwn_stream_set_last(p->twin, row, last) == error);
    CHECK(!fwn_stream_info(p->stream, row, &info) && isfinite(info.last));
    CHECK(p->spec->codec && p->spec->codec->pre_emphasis > 0 ? error || info.last == last
                                                             : info.last == 0);
    same_info(p, row);
}

static void reset(const pair *p, input *in)
{
    const uint32_t row = next_below(in, p->rows), id = next_word(in);
    const uint64_t seed = next_word(in) * 0x100000001ull;
    fwn_row_info info;
    CHECK(!fwn_stream_reset(p->stream, row, seed, id) && !fwn_stream_reset(p->twin, row, seed, id));
    CHECK(!fwn_stream_info(p->stream, row, &info));
    CHECK(info.seed == seed && info.id == id && !info.step && !info.begun && info.last == 0);
}

static void set_threads(const pair *p, input *in)
{
    const uint32_t threads = next_below(in, 4), before = fwn_stream_threads(p->stream);
    const int allowed = threads >= 1 && threads <= p->threads;
    CHECK(fwn_stream_set_threads(p->stream, threads) == (allowed ? FWN_OK : FWN_BAD_ARGUMENT));
    CHECK(fwn_stream_threads(p->stream) == (allowed ? threads : before));
}

/* ---- states ---------------------------------------------------------------------------------- */

/* Loads the bytes into a row of both, if they are a state. */
static int load_both(const pair *p, uint32_t row, const uint8_t *bytes, size_t size)
{
    fwn_row_info held, loaded;
    const int error = fwn_state_check(p->stream, bytes, size, &held);
    CHECK(fwn_state_load(p->stream, row, bytes, size) == error);
    CHECK(fwn_state_load(p->twin, row, bytes, size) == error);
    CHECK(!fwn_stream_info(p->stream, row, &loaded));
    CHECK(error || (held.seed == loaded.seed && held.step == loaded.step && held.id == loaded.id &&
                    held.begun == loaded.begun));
    same_info(p, row);
    return error;
}

/* A state with one changed word and a matching hash. */
static void load_forged(const pair *p, input *in, uint32_t row, uint8_t *bytes, size_t size)
{
    const size_t words = size / 4, head = words < 16 ? words : 16;
    const uint32_t anywhere = next_below(in, 2), word = wild(in);
    const uint64_t at = next_word(in) % (anywhere ? words : head);
    memcpy(bytes + 4 * at, &word, 4);
    const uint64_t hash = fwn_hash(1, bytes, (size - sizeof hash) / 4);
    memcpy(bytes + size - sizeof hash, &hash, sizeof hash);
    const int error = load_both(p, row, bytes, size);
    CHECK(!error || error == FWN_BAD_STATE);
}

static void load_damaged(const pair *p, input *in, uint32_t row, uint8_t *bytes, size_t size)
{
    const uint32_t shorter = next_below(in, 2);
    uint8_t *copy = exactly(size - shorter, 1);
    memcpy(copy, bytes, size - shorter);
    copy[next_word(in) % (size - shorter)] ^= (uint8_t)(1u << next_below(in, 8));
    CHECK(load_both(p, row, copy, size - shorter) == FWN_BAD_STATE);
    free(copy);
}

static void move_state(const pair *p, input *in)
{
    const uint32_t from = next_below(in, p->rows), to = next_below(in, p->rows);
    size_t size, small;
    uint8_t *bytes = save(next_below(in, 2) ? p->twin : p->stream, from, &size);
    same_state(p, from);
    switch (next_below(in, 4)) {
    case 0: load_forged(p, in, to, bytes, size); break;
    case 1: load_damaged(p, in, to, bytes, size); break;
    case 2: CHECK(!load_both(p, to, bytes, size)); break;
    case 3:
        small = next_word(in) % size;
        CHECK(fwn_state_save(p->stream, from, bytes, &small) == FWN_BAD_ARGUMENT && small == size);
        break;
    }
    free(bytes);
}

/* ---- a new or torn stream continues from its twin's state ------------------------------------ */

static void load_from_twin(const pair *p)
{
    for (uint32_t row = 0; row < p->rows; row++) {
        size_t size;
        uint8_t *bytes = save(p->twin, row, &size);
        CHECK(!fwn_state_load(p->stream, row, bytes, size));
        free(bytes);
    }
}

static void create_again(pair *p, input *in)
{
    fwn_stream_destroy(p->stream);
    p->stream = new_stream(p, isa_of(next_byte(in)));
    load_from_twin(p);
}

/* As if the process had forked during a call: the stream runs again when all rows are reset or
 * loaded. */
static void tear(const pair *p, input *in)
{
    const uint32_t row = next_below(in, p->rows);
    size_t size = SIZE_MAX;
    CHECK(!fwn_stream_forked(p->stream) && fwn_stream_threads(p->stream) == 1);
    CHECK(fwn_run(p->stream, &(fwn_io){.n = next_below(in, 2), .temperature = 1.0f}) == FWN_FORKED);
    CHECK(fwn_stream_begin(p->stream, row, 0) == FWN_FORKED);
    CHECK(fwn_stream_set_last(p->stream, row, 0) == FWN_FORKED);
    CHECK(fwn_state_save(p->stream, row, &size, &size) == FWN_FORKED);
    if (next_below(in, 2)) reset_both(p, next_byte(in));
    else load_from_twin(p);
}

/* ---- an execution ---------------------------------------------------------------------------- */

static void call(pair *p, input *in, const uint8_t *choice)
{
    switch (next_below(in, 16)) {
    case 7: try_coding(p, in); break;
    case 8: begin(p, in); break;
    case 9: next_below(in, 2) ? set_last(p, in) : reset(p, in); break;
    case 10: next_below(in, 2) ? upsample(p, in, choice) : set_threads(p, in); break;
    case 11: move_state(p, in); break;
    case 12: tear(p, in); break;
    case 13: try_mulaw(in, isa_of(choice[ISA]), isa_of(choice[TWIN_ISA])); break;
    case 14: next_below(in, 4) == 1 ? try_flawed_model(p, in) : refuse_all(p, in); break;
    case 15: next_below(in, 4) ? move_state(p, in) : create_again(p, in); break;
    default: run(p, in);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < CHOICES) return -1;
    input in = {data + CHOICES, data + size};
    pair p = pair_of(data);
    for (int calls = 0; calls < MOST_CALLS && in.at < in.end; calls++) call(&p, &in, data);
    for (uint32_t row = 0; row < p.rows; row++) same_state(&p, row);
    fwn_stream_destroy(p.stream);
    fwn_stream_destroy(p.twin);
    return 0;
}

/* ---- inputs ---------------------------------------------------------------------------------- */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

/* Changes of network and second threads are rare, because both are slow. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    uint32_t random = seed | 1;
    const int fresh = size < CHOICES || scramble(&random) % 256 == 0;
    for (int i = 0; fresh && i < CHOICES; i++) data[i] = (uint8_t)(scramble(&random) >> 24);
    if (size < CHOICES) size = CHOICES;
    for (int i = 0; i < NETWORK; i++)
        if (scramble(&random) % 8 == 0) data[i] = (uint8_t)(scramble(&random) >> 24);
    if (scramble(&random) % 32 == 0)
        data[NETWORK + scramble(&random) % (CHOICES - NETWORK)] = (uint8_t)(random >> 24);
    data[THREADS] = scramble(&random) % 512 == 0 ? 2 : 1;
    return CHOICES + LLVMFuzzerMutate(data + CHOICES, size - CHOICES, most - CHOICES);
}
