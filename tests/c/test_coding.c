/* The range coder and runs that encode or decode. */
#include "claims.h"
#include "range_coder.h"

/* ---- the coder ------------------------------------------------------------------------------- */

enum { PARTS = 400, ROOM = 8 * PARTS + 2 };

typedef struct {
    uint64_t start, size, total;
} part;

static part random_part(uint32_t kind)
{
    static const uint64_t totals[] = {1, 2, 255, 256, 65536, (uint64_t)1 << 30, FWN_CODER_MOST};
    part p = {.total = totals[random_word() % COUNT(totals)]};
    const uint64_t word = (uint64_t)random_word() << 32 | random_word();
    p.start = kind == 0 ? 0 : kind == 1 ? p.total - 1 : word % p.total;
    p.size = kind == 1 ? 1 : 1 + (kind == 2 ? 0 : word / 3 % (p.total - p.start));
    return p;
}

static size_t encode(const part *parts, size_t count, uint8_t *bytes)
{
    fwn_coder c;
    CHECK(!fwn_encoder_begin(&c, bytes, ROOM, 0));
    for (size_t i = 0; i < count; i++) coder_put(&c, parts[i].start, parts[i].size, parts[i].total);
    CHECK(c.used + 1 <= FWN_CODED_BYTES(count) && !fwn_encoder_end(&c) && c.size == c.used);
    return c.size;
}

/* Whether a decoder finds the parts in exactly these bytes. */
static int decodes(const part *parts, size_t count, const uint8_t *bytes, size_t size)
{
    fwn_coder c;
    CHECK(!fwn_decoder_begin(&c, bytes, size, 0));
    for (size_t i = 0; i < count && !c.damaged; i++) {
        const uint64_t target = coder_target(&c, parts[i].total);
        if (target < parts[i].start || target - parts[i].start >= parts[i].size) return 0;
        coder_take(&c, parts[i].start, parts[i].size, parts[i].total);
    }
    return fwn_decoder_end(&c) == FWN_OK;
}

static void a_decoder_finds_the_parts_of_an_encoder(void)
{
    static part parts[PARTS];
    for (uint32_t run = 0; run < 200; run++) {
        const size_t count = random_word() % (PARTS + 1);
        uint8_t *bytes = malloc(ROOM);
        for (size_t i = 0; i < count; i++)
            parts[i] = random_part(run % 5 ? run % 4 : (uint32_t)((run + i) % 4));
        const size_t size = encode(parts, count, bytes);
        uint8_t *exact = malloc(size + 1);
        memcpy(exact, bytes, size);
        CHECK(decodes(parts, count, exact, size));
        exact[size] = 0;
        CHECK(!decodes(parts, count, exact, size + 1));
        exact[size - 1] ^= (uint8_t)(1u << run % 8);
        CHECK(!decodes(parts, count, exact, size));
        free(bytes), free(exact);
    }
}

/* After bytes of 255 without end, a part that adds 1 to all of them. */
static void a_carry_runs_through_all_bytes_but_the_first(void)
{
    uint8_t bytes[40] = {0};
    fwn_coder c;
    CHECK(!fwn_encoder_begin(&c, bytes, sizeof bytes, 0));
    bytes[c.used++] = 6;
    for (int i = 0; i < 20; i++) bytes[c.used++] = 255;
    c.low = UINT64_MAX - 10, c.range = FWN_CODER_LEAST;
    coder_put(&c, 1, 1, 2);
    CHECK(bytes[0] == 7);
    for (int i = 1; i <= 20; i++) CHECK(bytes[i] == 0);
    CHECK(c.used == 22 && bytes[21] == 0);
    c.low = UINT64_MAX, c.range = FWN_CODER_LEAST;
    bytes[21] = 255, bytes[20] = 1;
    CHECK(!fwn_encoder_end(&c) && bytes[20] == 2 && bytes[21] == 0 && bytes[22] == 0);
}

static void any_bytes_are_decoded_or_refused(void)
{
    for (uint32_t run = 0; run < 500; run++) {
        const size_t size = 1 + random_word() % 60;
        uint8_t *bytes = malloc(size);
        for (size_t i = 0; i < size; i++)
            bytes[i] = run % 3 ? (uint8_t)random_word() : run % 2 ? 255 : 0;
        fwn_coder c;
        CHECK(!fwn_decoder_begin(&c, bytes, size, 0));
        for (int i = 0; i < PARTS; i++) {
            part p = random_part(i % 4);
            const uint64_t target = coder_target(&c, p.total);
            CHECK(target < p.total);
            coder_take(&c, target, 1, p.total);
            CHECK(c.range >= FWN_CODER_LEAST);
        }
        CHECK(fwn_decoder_end(&c) == FWN_BAD_BYTES);
        free(bytes);
    }
}

static void coders_refuse_what_is_missing(void)
{
    uint8_t bytes[4] = {0};
    fwn_coder c = {0};
    CHECK(fwn_encoder_begin(NULL, bytes, 4, 0) == FWN_BAD_ARGUMENT);
    CHECK(fwn_encoder_begin(&c, NULL, 4, 0) == FWN_BAD_ARGUMENT);
    CHECK(fwn_encoder_begin(&c, bytes, 0, 0) == FWN_BAD_ARGUMENT);
    CHECK(fwn_decoder_begin(NULL, bytes, 4, 0) == FWN_BAD_ARGUMENT);
    CHECK(fwn_decoder_begin(&c, NULL, 4, 0) == FWN_BAD_ARGUMENT);
    CHECK(fwn_decoder_begin(&c, bytes, 0, 0) == FWN_BAD_ARGUMENT);
    CHECK(fwn_encoder_end(NULL) == FWN_BAD_ARGUMENT && fwn_decoder_end(NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_encoder_end(&c) == FWN_BAD_ARGUMENT && fwn_decoder_end(&c) == FWN_BAD_ARGUMENT);
    CHECK(!fwn_encoder_begin(&c, bytes, 4, 1) && fwn_encoder_end(&c) == FWN_BAD_ARGUMENT);
    CHECK(!fwn_encoder_begin(&c, bytes, 1, 0) && !fwn_encoder_end(&c));
    CHECK(fwn_encoder_end(&c) == FWN_BAD_ARGUMENT);
}

/* ---- runs ------------------------------------------------------------------------------------ */

typedef struct {
    uint32_t rows, n;       /* of the run */
    uint64_t left[3];       /* samples of each row that are coded */
    uint16_t *codes;        /* [rows][n] */
    uint16_t *places;       /* [rows][n] or NULL */
    const uint32_t *widths; /* or NULL */
    uint8_t *bytes[3];
    size_t size[3];
} coding;

/* The run in pieces of `chunk`: items [done, done + m) of each row are copied to and fro. */
static void run_coders(fwn_stream *s, const coding *c, fwn_coder *coders, uint32_t chunk,
                       int encodes)
{
    for (uint32_t row = 0; row < c->rows; row++) CHECK(!fwn_stream_reset(s, row, 0, row));
    for (uint32_t done = 0, m; done < c->n; done += m) {
        m = c->n - done < chunk ? c->n - done : chunk;
        uint16_t *codes = malloc(c->rows * m * sizeof *codes), *places = NULL;
        if (c->places) places = malloc(c->rows * m * sizeof *places);
        for (uint32_t b = 0; encodes && b < c->rows; b++) {
            memcpy(codes + b * m, c->codes + b * c->n + done, m * sizeof *codes);
            if (places) memcpy(places + b * m, c->places + b * c->n + done, m * sizeof *places);
        }
        const fwn_io io = {.n = m,
                           .temperature = 1.0f,
                           .forced = encodes ? codes : NULL,
                           .codes = encodes ? NULL : codes,
                           .coders = coders,
                           .widths = c->widths,
                           .places = places};
        CHECK(fwn_run(s, &io) == FWN_OK);
        for (uint32_t b = 0; !encodes && b < c->rows; b++) {
            memcpy(c->codes + b * c->n + done, codes + b * m, m * sizeof *codes);
            if (places) memcpy(c->places + b * c->n + done, places + b * m, m * sizeof *places);
        }
        free(codes), free(places);
    }
}

static coding new_coding(const fwn_spec *spec, uint32_t rows, uint32_t n, const uint32_t *widths)
{
    coding c = {.rows = rows, .n = n, .widths = widths};
    c.codes = malloc((size_t)rows * n * sizeof *c.codes);
    if (widths) c.places = malloc((size_t)rows * n * sizeof *c.places);
    for (uint32_t i = 0; i < rows * n; i++) {
        c.codes[i] = (uint16_t)(random_word() % spec->levels);
        if (widths) c.places[i] = (uint16_t)(random_word() % widths[c.codes[i]]);
    }
    for (uint32_t b = 0; b < rows; b++) c.left[b] = n - (b * 7 < n ? b * 7 : n);
    return c;
}

static void encode_rows(fwn_stream *s, coding *c, uint32_t chunk)
{
    fwn_coder coders[3];
    for (uint32_t b = 0; b < c->rows; b++) {
        const size_t room = FWN_CODED_BYTES(c->left[b]);
        c->bytes[b] = malloc(room);
        CHECK(!fwn_encoder_begin(&coders[b], c->bytes[b], room, c->left[b]));
    }
    run_coders(s, c, coders, chunk, 1);
    for (uint32_t b = 0; b < c->rows; b++) {
        CHECK(!fwn_encoder_end(&coders[b]));
        c->size[b] = coders[b].size;
    }
}

/* Decodes another coding's bytes; samples behind the last are the start code, with place 0. */
static void check_decoded(fwn_stream *s, const fwn_spec *spec, const coding *c, uint32_t chunk)
{
    coding found = new_coding(spec, c->rows, c->n, c->widths);
    fwn_coder coders[3];
    for (uint32_t b = 0; b < c->rows; b++)
        CHECK(!fwn_decoder_begin(&coders[b], c->bytes[b], c->size[b], c->left[b]));
    run_coders(s, &found, coders, chunk, 0);
    for (uint32_t b = 0; b < c->rows; b++) {
        CHECK(!fwn_decoder_end(&coders[b]));
        for (uint32_t i = 0; i < c->n; i++) {
            const uint32_t at = b * c->n + i, is_coded = i < c->left[b];
            CHECK(found.codes[at] == (is_coded ? c->codes[at] : spec->start_code));
            if (c->widths) CHECK(found.places[at] == (is_coded ? c->places[at] : 0));
        }
    }
    free(found.codes), free(found.places);
}

static void code(int isa, int precision, size_t which)
{
    network *net = random_network(which);
    const uint32_t levels = net->spec.levels, rows = 1 + (uint32_t)which % 3;
    uint32_t *widths = malloc(levels * sizeof *widths);
    for (uint32_t q = 0; q < levels; q++) widths[q] = 1 + random_word() % (q % 3 ? 65536 : 2);
    fwn_model *model = model_of(net, precision);
    fwn_stream *s = NULL, *scalar = NULL;
    if (net->spec.frame_channels || net->spec.speakers) goto end; /* test_conditioning.c */
    CHECK(!fwn_stream_create(model, isa, rows, 1, &s));
    CHECK(!fwn_stream_create(model, FWN_SCALAR, rows, 1, &scalar));
    for (int wide = 0; wide < 2; wide++) {
        coding c = new_coding(&net->spec, rows, FEWER, wide ? widths : NULL), twin = c;
        encode_rows(s, &c, FEWER);
        encode_rows(scalar, &twin, 13);
        for (uint32_t b = 0; b < rows; b++)
            CHECK(c.size[b] == twin.size[b] && !memcmp(c.bytes[b], twin.bytes[b], c.size[b]));
        check_decoded(scalar, &net->spec, &c, FEWER);
        check_decoded(s, &net->spec, &c, 9);
        for (uint32_t b = 0; b < rows; b++) free(c.bytes[b]), free(twin.bytes[b]);
        free(c.codes), free(c.places);
    }
end:
    fwn_stream_destroy(s), fwn_stream_destroy(scalar);
    fwn_model_destroy(model);
    free_network(net), free(widths);
}

static void rows_are_decoded_on_any_isa_whatever_encoded_them(void) { everywhere(code); }

static void runs_refuse_wrong_coders_widths_and_places(void)
{
    network *net = random_network(0);
    fwn_model *model = model_of(net, FWN_FLOAT32);
    fwn_stream *s = stream_of(model, FWN_SCALAR, 1);
    const uint32_t levels = net->spec.levels;
    uint32_t *widths = malloc(levels * sizeof *widths);
    for (uint32_t q = 0; q < levels; q++) widths[q] = 3;
    uint16_t forced[2] = {0, 1}, places[2] = {2, 2};
    uint8_t bytes[FWN_CODED_BYTES(2)];
    fwn_coder encoder, decoder, none = {0};
    CHECK(!fwn_encoder_begin(&encoder, bytes, sizeof bytes, 2));
    CHECK(!fwn_decoder_begin(&decoder, bytes, sizeof bytes, 2));
    const fwn_io good = {.n = 2,
                         .temperature = 1.0f,
                         .forced = forced,
                         .coders = &encoder,
                         .widths = widths,
                         .places = places};
    fwn_io wrong[7] = {good, good, good, good, good, good, good};
    wrong[0].coders = &decoder;
    wrong[1].forced = NULL;
    wrong[2].coders = NULL;
    wrong[3].widths = NULL;
    wrong[4].places = NULL;
    wrong[5].coders = &none;
    fwn_coder small = encoder;
    small.size--;
    wrong[6].coders = &small;
    for (size_t i = 0; i < COUNT(wrong); i++) CHECK(fwn_run(s, &wrong[i]) == FWN_BAD_ARGUMENT);
    places[1] = 3;
    CHECK(fwn_run(s, &good) == FWN_BAD_ARGUMENT);
    places[1] = 2, widths[levels - 1] = 65537;
    CHECK(fwn_run(s, &good) == FWN_BAD_ARGUMENT);
    widths[levels - 1] = 0;
    CHECK(encoder.used == 0 && encoder.left == 2 && fwn_run(s, &good) == FWN_OK);
    CHECK(!encoder.left && !fwn_encoder_end(&encoder));
    fwn_stream_destroy(s), fwn_model_destroy(model);
    free_network(net), free(widths);
}

const claim CODING[] = {
    TEST(a_decoder_finds_the_parts_of_an_encoder),
    TEST(a_carry_runs_through_all_bytes_but_the_first),
    TEST(any_bytes_are_decoded_or_refused),
    TEST(coders_refuse_what_is_missing),
    TEST(rows_are_decoded_on_any_isa_whatever_encoded_them),
    TEST(runs_refuse_wrong_coders_widths_and_places),
    {NULL, NULL},
};
