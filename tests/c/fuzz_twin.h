/* A stream and its slow twin for fuzz.c: of another instruction set, run in pieces on one thread.
 * Every call goes to both and must give the same bits. */
#ifndef FUZZ_TWIN_H
#define FUZZ_TWIN_H

#include "fuzz_input.h"

typedef struct {
    const kept *of;
    const fwn_spec *spec;
    uint32_t rows, threads; /* requested */
    uint32_t steps;         /* that may still be run in this execution */
    fwn_stream *stream, *twin;
} pair;

/* An instruction set of this CPU, rarely scalar, which is the slowest. */
static inline int isa_of(uint32_t choice)
{
    static int isas[FWN_ISAS], count;
    if (!count) count = fwn_isa_list(isas, FWN_ISAS);
    return isas[choice % 16 && count > 1 ? 1 + choice / 16 % ((uint32_t)count - 1) : 0];
}

/* Memory of exactly count * size bytes, so that the sanitizer finds an access beyond it. */
static inline void *exactly(size_t count, size_t size)
{
    void *memory = malloc(count * size);
    CHECK(memory || !count || !size);
    return memory;
}

/* ---- comparing both -------------------------------------------------------------------------- */

static inline void same_info(const pair *p, uint32_t row)
{
    fwn_row_info a, b;
    CHECK(!fwn_stream_info(p->stream, row, &a) && !fwn_stream_info(p->twin, row, &b));
    CHECK(a.seed == b.seed && a.step == b.step && a.id == b.id && a.begun == b.begun);
    CHECK(!memcmp(&a.last, &b.last, sizeof a.last));
}

static inline uint8_t *save(fwn_stream *stream, uint32_t row, size_t *size)
{
    CHECK(!fwn_state_save(stream, row, NULL, size));
    uint8_t *bytes = exactly(*size, 1);
    CHECK(!fwn_state_save(stream, row, bytes, size));
    return bytes;
}

static inline void same_state(const pair *p, uint32_t row)
{
    size_t size, twin_size;
    uint8_t *bytes = save(p->stream, row, &size), *twin = save(p->twin, row, &twin_size);
    CHECK(size == twin_size && !memcmp(bytes, twin, size));
    free(bytes);
    free(twin);
}

static inline void reset_both(const pair *p, uint64_t seed)
{
    for (uint32_t row = 0; row < p->rows; row++) {
        CHECK(!fwn_stream_reset(p->stream, row, seed, row) &&
              !fwn_stream_reset(p->twin, row, seed, row));
        same_info(p, row);
    }
}

/* ---- a run in pieces ------------------------------------------------------------------------- */

/* Items [done, done + count) of each of the rows [rows][n], `size` bytes an item. */
static inline void *cut(const void *from, uint32_t rows, uint32_t n, uint32_t done, uint32_t count,
                        size_t size)
{
    char *part = exactly((size_t)rows * count, size);
    for (uint32_t b = 0; b < rows; b++)
        memcpy(part + (size_t)b * count * size, (const char *)from + ((size_t)b * n + done) * size,
               count * size);
    return part;
}

/* The twin's results of a piece equal that part of the whole run's results, if it has them. */
static inline void same_part(const void *found, const void *whole, const pair *p, const fwn_io *io,
                             uint32_t done, uint32_t count, size_t size)
{
    if (!whole) return;
    void *expected = cut(whole, p->rows, io->n, done, count, size);
    CHECK(!memcmp(found, expected, (size_t)p->rows * count * size));
    free(expected);
}

/* `count` steps of the run on the twin, with all outputs except those that would check for overflow
 * where the run itself does not. */
static inline int run_piece(const pair *p, const fwn_io *io, uint32_t done, uint32_t count,
                            int compared)
{
    const size_t steps = (size_t)p->rows * count, row = sizeof(float) * p->spec->levels;
    const int judged = !io->forced || io->logp || io->logits;
    fwn_io piece = *io;
    piece.n = count;
    piece.frame_at = io->frame_at + done;
    piece.forced =
        io->forced ? cut(io->forced, p->rows, io->n, done, count, sizeof *io->forced) : NULL;
    piece.codes = exactly(steps, sizeof *piece.codes);
    piece.audio = exactly(steps, sizeof *piece.audio);
    piece.logp = judged ? exactly(steps, sizeof *piece.logp) : NULL;
    piece.logits = judged ? exactly(steps, row) : NULL;
    const int error = fwn_run(p->twin, &piece);
    if (!error && compared) {
        same_part(piece.codes, io->codes, p, io, done, count, sizeof *io->codes);
        same_part(piece.audio, io->audio, p, io, done, count, sizeof *io->audio);
        same_part(piece.logp, io->logp, p, io, done, count, sizeof *io->logp);
        same_part(piece.logits, io->logits, p, io, done, count, row);
    }
    free((void *)piece.forced);
    free(piece.codes);
    free(piece.audio);
    free(piece.logp);
    free(piece.logits);
    return error;
}

/* The run on both.  A run that is refused changes neither; after an overflow both are reset. */
static inline int run_both(pair *p, const fwn_io *io, uint32_t piece)
{
    const int error = fwn_run(p->stream, io);
    int twin = FWN_OK;
    if (error && error != FWN_NOT_FINITE) twin = fwn_run(p->twin, io);
    for (uint32_t done = 0, count; (!error || error == FWN_NOT_FINITE) && !twin && done < io->n;
         done += count) {
        count = io->n - done < piece ? io->n - done : piece;
        twin = run_piece(p, io, done, count, !error);
    }
    CHECK(error == twin);
    if (error == FWN_NOT_FINITE) reset_both(p, 1);
    for (uint32_t row = 0; row < p->rows; row++) same_info(p, row);
    return error;
}

#endif
