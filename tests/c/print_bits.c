/* Prints "isa precision case digest" for each instruction set that this machine supports:
 * everything that the engine computes for small random networks in every precision, and mu-law.
 * The same on every machine; run by tests/engine/test_other_cpus.py. */
#include "networks.h"

enum { STEPS = 140, ROWS = 3 };

static void print(int isa, const char *of, const char *what, size_t which, uint64_t h)
{
    printf("%s %s %s_%zu %016llx\n", fwn_isa_name(isa), of, what, which, (unsigned long long)h);
}

typedef struct {
    int isa, precision;
    size_t which; /* of NETWORKS */
} setting;

static uint64_t digest_of(const result *r)
{
    uint64_t h = digest(EMPTY, r->codes, r->steps * sizeof *r->codes);
    h = digest(h, r->audio, r->steps * sizeof *r->audio);
    h = digest(h, r->logp, r->steps * sizeof *r->logp);
    return digest(h, r->logits, r->steps * r->levels * sizeof *r->logits);
}

static uint64_t digest_state(uint64_t h, fwn_stream *s, uint32_t row)
{
    size_t size;
    CHECK(!fwn_state_save(s, row, NULL, &size));
    unsigned char *bytes = malloc(size);
    CHECK(!fwn_state_save(s, row, bytes, &size));
    h = digest(h, bytes, size);
    free(bytes);
    return h;
}

/* Runs STEPS steps of all rows with the options of `io`; prints the digest of their results and of
 * the last row's state. */
static void steps(fwn_stream *s, setting at, const char *what, uint32_t rows, fwn_io io)
{
    result r = new_result((size_t)rows * STEPS, NETWORKS[at.which].sizes[0]);
    io.n = STEPS, io.codes = r.codes, io.audio = r.audio, io.logp = r.logp, io.logits = r.logits;
    CHECK(fwn_run(s, &io) == FWN_OK);
    const uint64_t h = digest_state(digest_of(&r), s, rows - 1);
    print(at.isa, fwn_precision_name(at.precision), what, at.which, h);
    free_result(&r);
}

/* The bytes give the codes and places back.  Equal bytes of two machines are so decoded on both. */
static void decoded_again(fwn_stream *s, const fwn_coder *encoder, const fwn_io *coded)
{
    uint16_t codes[STEPS], places[STEPS];
    fwn_coder coder;
    CHECK(!fwn_stream_reset(s, 0, 0, 0));
    CHECK(!fwn_decoder_begin(&coder, encoder->to, encoder->size, STEPS));
    const fwn_io io = {.n = STEPS,
                       .temperature = 1.0f,
                       .coders = &coder,
                       .widths = coded->widths,
                       .places = places,
                       .codes = codes};
    CHECK(!fwn_run(s, &io) && !fwn_decoder_end(&coder));
    CHECK(!memcmp(codes, coded->forced, sizeof codes));
    CHECK(!memcmp(places, coded->places, sizeof places));
}

/* The range coder's bytes of given codes and places, from a fresh row. */
static void encoded(fwn_stream *s, setting at, const uint16_t *forced)
{
    const uint32_t levels = NETWORKS[at.which].sizes[0];
    uint8_t bytes[FWN_CODED_BYTES(STEPS)];
    uint16_t places[STEPS];
    uint32_t *widths = malloc(levels * sizeof *widths);
    for (uint32_t q = 0; q < levels; q++) widths[q] = 1 + (q * 40503u & 0xFFFF);
    for (size_t i = 0; i < STEPS; i++) places[i] = (uint16_t)(i * 40503u % widths[forced[i]]);
    fwn_coder coder;
    CHECK(!fwn_stream_reset(s, 0, 0, 0));
    CHECK(!fwn_encoder_begin(&coder, bytes, sizeof bytes, STEPS));
    const fwn_io io = {.n = STEPS,
                       .temperature = 1.0f,
                       .forced = forced,
                       .coders = &coder,
                       .widths = widths,
                       .places = places};
    CHECK(!fwn_run(s, &io) && !fwn_encoder_end(&coder));
    const uint64_t h = digest(EMPTY, bytes, coder.size);
    print(at.isa, fwn_precision_name(at.precision), "encoded", at.which, h);
    decoded_again(s, &coder, &io);
    free(widths);
}

static void single(const fwn_model *model, setting at)
{
    fwn_stream *s = stream_of(model, at.isa, 1);
    uint16_t forced[STEPS];
    for (size_t i = 0; i < STEPS; i++) forced[i] = (uint16_t)below(NETWORKS[at.which].sizes[0]);
    steps(s, at, "drawn", 1, (fwn_io){.temperature = 1.0f});
    steps(s, at, "primed_and_scored", 1, (fwn_io){.temperature = 1.0f, .forced = forced});
    steps(s, at, "most_probable", 1, (fwn_io){.temperature = 0.0f});
    encoded(s, at, forced);
    fwn_stream_destroy(s);
}

/* A batch, conditioned on frames (held, or interpolated) and speakers, drawn from the 5 most
 * probable; the last frame holds to the end. */
static void conditioned_batch(setting at)
{
    const uint32_t speakers[ROWS] = {0, 4, 2}, frames = 20, channels = 19;
    shape of = NETWORKS[at.which];
    of.cond = (conditioning){channels, 4, at.which % 2, 5, 6};
    network *net = network_of(&of);
    fwn_model *model = model_of(net, at.precision);
    float *rows = random_frames((size_t)frames * ROWS * channels);
    fwn_stream *s = stream_of(model, at.isa, ROWS);
    const fwn_io io = {
        .temperature = 0.7f, .top_k = 5, .frames = rows, .n_frames = frames, .speakers = speakers};
    steps(s, at, "conditioned_batch", ROWS, io);
    fwn_stream_destroy(s);
    fwn_model_destroy(model);
    free_network(net);
    free(rows);
}

static void network_bits(setting at)
{
    random_step = 1000000 * at.which; /* each network has its own numbers, whatever ran before */
    fwn_model *model = random_model(at.which, at.precision);
    single(model, at);
    fwn_model_destroy(model);
    conditioned_batch(at);
}

enum { SAMPLES = 65536 };
static float x[SAMPLES], amplitudes[SAMPLES];
static int16_t samples[SAMPLES], decoded[SAMPLES];
static uint16_t codes[SAMPLES]; /* or bytes, up to 256 levels */

/* `n` codes, and their decoded samples. */
static uint64_t coded(uint64_t h, const fwn_mulaw *codec, int isa, uint32_t levels, size_t n)
{
    h = digest(h, codes, n * (levels <= 256 ? 1 : 2));
    CHECK(!fwn_mulaw_decode_f32(codec, isa, codes, n, amplitudes, NULL));
    CHECK(!fwn_mulaw_decode_i16(codec, isa, codes, n, decoded, NULL));
    return digest(digest(h, amplitudes, n * sizeof *amplitudes), decoded, n * sizeof *decoded);
}

static void mulaw_bits(int isa, uint32_t levels)
{
    static const float edges[] = {0.0f, -0.0f, 1e-45f, -1e-45f, 1.0f, -1.0f, 3e38f, -3e38f, 1e-39f};
    const size_t n = SAMPLES - 5; /* no multiple of 16 */
    fwn_mulaw *codec;
    random_step = levels;
    for (size_t i = 0; i < n; i++) {
        x[i] = i < COUNT(edges) ? edges[i] : random_float() * (i % 2 ? 1.1f : 0.01f);
        samples[i] = (int16_t)(i - 32768);
    }
    CHECK(!fwn_mulaw_create(levels, NULL, &codec));
    CHECK(!fwn_mulaw_encode_f32(codec, isa, x, n, codes, NULL));
    uint64_t h = coded(EMPTY, codec, isa, levels, n);
    CHECK(!fwn_mulaw_encode_i16(codec, isa, samples, n, codes));
    print(isa, "mulaw", "levels", levels, coded(h, codec, isa, levels, n));
    fwn_mulaw_destroy(codec);
}

/* A stage of upsampling, of INPUTS inputs of each row. */
static void stage_bits(int isa, size_t number)
{
    enum { INPUTS = 23 };
    static const fwn_upsampling stages[] = {
        {19, 33, 5, 1, 2, 1}, {3, 17, 24, 8, 8, 0}, {40, 3, 11, 3, 0, 1}};
    const fwn_upsampling *stage = &stages[number];
    shape of = NETWORKS[0];
    of.cond = (conditioning){stage->outputs, 1, 0, 0, 0};
    random_step = 500 + number;
    network *net = network_of(&of);
    add_upsampling(net, stage, 1);
    fwn_model *model = model_of(net, FWN_INT8); /* any precision */
    uint32_t before, after;
    fwn_upsampling_reach(stage, &before, &after);
    const size_t count = (size_t)ROWS * (INPUTS - before - after) * stage->stride * stage->outputs;
    float *inputs = random_frames((size_t)ROWS * INPUTS * stage->inputs),
          *outputs = malloc(count * sizeof *outputs);
    CHECK(!fwn_upsample(model, isa, 0, ROWS, INPUTS, inputs, outputs));
    print(isa, "upsampling", "stage", number, digest(EMPTY, outputs, count * sizeof *outputs));
    free(inputs);
    free(outputs);
    fwn_model_destroy(model);
    free_network(net);
}

int main(void)
{
    static const uint32_t levels[] = {2, 3, 255, 256, 257, 1000, 65536};
    int isas[FWN_ISAS];
    const int count = fwn_isa_list(isas, FWN_ISAS);
    for (int i = 0; i < count; i++) {
        for (int precision = 0; precision < FWN_PRECISIONS; precision++)
            for (size_t which = 0; which < COUNT(NETWORKS); which++)
                network_bits((setting){isas[i], precision, which});
        for (size_t l = 0; l < COUNT(levels); l++) mulaw_bits(isas[i], levels[l]);
        for (size_t number = 0; number < 3; number++) stage_bits(isas[i], number);
    }
    return 0;
}
