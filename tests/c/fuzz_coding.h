/* Decoding of any bytes and encoding of any codes for fuzz.c: both streams give the same, and what
 * one encodes the other decodes. */
#ifndef FUZZ_CODING_H
#define FUZZ_CODING_H

#include "fuzz_twin.h"

/* A coder for each row, and its bytes. */
typedef struct {
    fwn_coder *coders;
    uint8_t **bytes; /* [rows] */
} coder_rows;

static inline coder_rows new_coder_rows(const pair *p)
{
    return (coder_rows){exactly(p->rows, sizeof(fwn_coder)), exactly(p->rows, sizeof(uint8_t *))};
}

static inline void free_coder_rows(const pair *p, coder_rows *c)
{
    for (uint32_t b = 0; b < p->rows; b++) free(c->bytes[b]);
    free(c->bytes);
    free(c->coders);
}

static inline void begin_decoders(const pair *p, coder_rows *c, const coder_rows *of,
                                  const uint64_t *left)
{
    for (uint32_t b = 0; b < p->rows; b++) {
        const size_t size = of->coders[b].size;
        c->bytes[b] = exactly(size, 1);
        memcpy(c->bytes[b], of->bytes[b], size);
        CHECK(!fwn_decoder_begin(&c->coders[b], c->bytes[b], size, left[b]));
    }
}

/* n steps in calls of `piece`.  codes and places: read if the coders encode, else written. */
static inline int run_coder_rows(const pair *p, fwn_stream *s, coder_rows *c, uint32_t n,
                                 uint32_t piece, const uint32_t *widths, uint16_t *codes,
                                 uint16_t *places)
{
    const int encodes = c->coders[0].to != NULL;
    int error = FWN_OK;
    for (uint32_t done = 0, count; done < n && !error; done += count) {
        count = n - done < piece ? n - done : piece;
        uint16_t *part = cut(codes, p->rows, n, done, count, sizeof *part);
        uint16_t *place = widths ? cut(places, p->rows, n, done, count, sizeof *place) : NULL;
        const fwn_io io = {.n = count,
                           .temperature = 1.0f,
                           .forced = encodes ? part : NULL,
                           .codes = encodes ? NULL : part,
                           .coders = c->coders,
                           .widths = widths,
                           .places = place};
        error = fwn_run(s, &io);
        for (uint32_t b = 0; b < p->rows && !error && !encodes; b++) {
            memcpy(codes + (size_t)b * n + done, part + (size_t)b * count, count * sizeof *part);
            if (widths)
                memcpy(places + (size_t)b * n + done, place + (size_t)b * count,
                       count * sizeof *place);
        }
        free(part);
        free(place);
    }
    return error;
}

/* Bytes that no encoder wrote, decoded by both in different pieces. */
static inline int decode_anything(const pair *p, input *in, uint32_t n, const uint64_t *left,
                                  const uint32_t *widths, uint16_t *codes, uint16_t *places)
{
    const size_t items = (size_t)p->rows * n * sizeof *codes;
    uint32_t seed = next_word(in) | 1;
    coder_rows given = new_coder_rows(p), one = new_coder_rows(p), two = new_coder_rows(p);
    for (uint32_t b = 0; b < p->rows; b++) {
        given.coders[b].size = 1 + scramble(&seed) % 50;
        given.bytes[b] = exactly(given.coders[b].size, 1);
        for (size_t i = 0; i < given.coders[b].size; i++)
            given.bytes[b][i] = seed % 8 ? (uint8_t)(scramble(&seed) >> 24) : 255;
    }
    begin_decoders(p, &one, &given, left);
    begin_decoders(p, &two, &given, left);
    uint16_t *twin = exactly(items, 1), *twin_places = exactly(items, 1);
    memset(codes, 0, items), memset(places, 0, items);
    memset(twin, 0, items), memset(twin_places, 0, items);
    const int error = run_coder_rows(p, p->stream, &one, n, n + 1, widths, codes, places);
    CHECK(error ==
          run_coder_rows(p, p->twin, &two, n, 1 + next_below(in, 70), widths, twin, twin_places));
    CHECK(error || (!memcmp(codes, twin, items) && !memcmp(places, twin_places, items)));
    for (uint32_t b = 0; b < p->rows && !error; b++) {
        const fwn_coder *x = &one.coders[b], *y = &two.coders[b];
        CHECK(x->low == y->low && x->range == y->range && x->used == y->used);
        CHECK(x->left == y->left && x->damaged == y->damaged);
    }
    free(twin), free(twin_places);
    free_coder_rows(p, &given), free_coder_rows(p, &one), free_coder_rows(p, &two);
    return error;
}

/* The codes are encoded by the stream and decoded by its twin, both from a reset. */
static inline void there_and_back(const pair *p, input *in, uint32_t n, const uint64_t *left,
                                  const uint32_t *widths, uint16_t *codes, uint16_t *places)
{
    const size_t items = (size_t)p->rows * n;
    coder_rows one = new_coder_rows(p), two = new_coder_rows(p);
    for (size_t i = 0; widths && i < items; i++)
        if (places[i] >= widths[codes[i]]) places[i] = 0; /* no value has a code of width 0 */
    for (uint32_t b = 0; b < p->rows; b++) {
        const size_t room = FWN_CODED_BYTES(left[b]);
        one.bytes[b] = exactly(room, 1);
        CHECK(!fwn_encoder_begin(&one.coders[b], one.bytes[b], room, left[b]));
    }
    reset_both(p, 3);
    const int error =
        run_coder_rows(p, p->stream, &one, n, 1 + next_below(in, 70), widths, codes, places);
    CHECK(!error || error == FWN_NOT_FINITE);
    for (uint32_t b = 0; b < p->rows && !error; b++) CHECK(!fwn_encoder_end(&one.coders[b]));
    if (!error) {
        begin_decoders(p, &two, &one, left);
        uint16_t *found = exactly(items, sizeof *found), *at = exactly(items, sizeof *at);
        CHECK(!run_coder_rows(p, p->twin, &two, n, 1 + next_below(in, 70), widths, found, at));
        for (uint32_t b = 0; b < p->rows; b++) {
            const size_t first = (size_t)b * n, bytes = left[b] * sizeof *found;
            CHECK(!fwn_decoder_end(&two.coders[b]));
            CHECK(!memcmp(found + first, codes + first, bytes));
            CHECK(!widths || !memcmp(at + first, places + first, bytes));
        }
        free(found), free(at);
    }
    if (error)
        for (uint32_t b = 0; b < p->rows; b++) two.bytes[b] = NULL;
    free_coder_rows(p, &one), free_coder_rows(p, &two);
    reset_both(p, 4);
}

/* Networks with conditioning are left out: their frames change nothing in the coders. */
static inline void try_coding(pair *p, input *in)
{
    const uint32_t n = next_byte(in) % (p->steps / 4 + 1), levels = p->spec->levels;
    if (p->spec->frame_channels || p->spec->speakers) return;
    uint32_t seed = next_word(in) | 1, *widths = NULL;
    uint64_t *left = exactly(p->rows, sizeof *left);
    uint16_t *codes = exactly((size_t)p->rows * n, sizeof *codes),
             *places = exactly((size_t)p->rows * n, sizeof *places);
    for (uint32_t b = 0; b < p->rows; b++) left[b] = n - scramble(&seed) % (n + 1) / 2;
    if (next_below(in, 2)) widths = exactly(levels, sizeof *widths);
    for (uint32_t q = 0; widths && q < levels; q++) widths[q] = 1 + scramble(&seed) % 65536;
    p->steps -= 4 * n;
    if (decode_anything(p, in, n, left, widths, codes, places)) reset_both(p, 2);
    else there_and_back(p, in, n, left, widths, codes, places);
    free(widths), free(left), free(codes), free(places);
}

#endif
