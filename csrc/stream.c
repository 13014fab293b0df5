/* Streams: memory, creation, and reset of their rows.  run.c runs them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "mulaw_tables.h"
#include "stream.h"

/* ---- create ---------------------------------------------------------------------------------- */

/* Rows of k inputs as bytes (fwn_act).  Bytes after k in a row's last cache line stay 0: AMX
 * multiplies them. */
static fwn_act alloc_bytes(const fwn_stream *s, fwn_arena *arena, size_t rows, uint32_t k)
{
    fwn_act a = {.stride = fwn_lines(k), .batch = s->batch};
    a.at = fwn_arena_take(arena, rows, a.stride);
    a.unit = fwn_arena_take(arena, rows * 16, sizeof(float));
    return a;
}

/* Rows of k inputs as floats, or as int8's integers of 16 bits. */
static fwn_act alloc_wide(const fwn_stream *s, fwn_arena *arena, size_t rows, uint32_t k)
{
    const int int8 = s->model->precision == FWN_INT8 || s->model->precision == FWN_INT8X8;
    fwn_act a = {.stride = int8 ? 2 * fwn_lines(k) : k * sizeof(float), .batch = s->batch};
    a.at = fwn_arena_take(arena, rows, a.stride);
    if (int8) a.scale = fwn_arena_take(arena, rows, sizeof(float));
    return a;
}

/* Rows of k inputs from the residual stream or of the head. */
static fwn_act alloc_rows(const fwn_stream *s, fwn_arena *arena, size_t rows, uint32_t k)
{
    const int bytes = s->model->precision == FWN_INT8X8;
    return bytes ? alloc_bytes(s, arena, rows, k) : alloc_wide(s, arena, rows, k);
}

/* Rows of k outputs of gates. */
static fwn_act alloc_gated(const fwn_stream *s, fwn_arena *arena, size_t rows, uint32_t k)
{
    const int int8 = s->model->precision == FWN_INT8;
    return int8 ? alloc_bytes(s, arena, rows, k) : alloc_rows(s, arena, rows, k);
}

/* Samples for which a layer's past taps are computed at once. */
static uint32_t ahead(const fwn_stream *s, const fwn_layer *layer)
{
    const uint32_t most = fwn_most_ahead(s);
    return layer->dilation < most ? layer->dilation : most;
}

static void lay_out_share(const fwn_stream *s, fwn_arena *arena, fwn_share *share)
{
    const fwn_model *m = s->model;
    const size_t rows = (size_t)s->block * s->batch;
    share->wide[0] = alloc_rows(s, arena, rows, m->Sp);
    share->wide[1] = alloc_rows(s, arena, rows, m->Hp);
    share->row = fwn_arena_take(arena, m->Sp > m->Hp ? m->Sp : m->Hp, sizeof(float));
}

static void lay_out_cond(fwn_stream *s, fwn_arena *arena)
{
    const fwn_model *m = s->model;
    const size_t rows = (size_t)s->cond_most * s->batch;
    s->cond = fwn_arena_take(arena, m->spec.layers * rows * 2 * m->Dp, sizeof(float));
    s->u = alloc_wide(s, arena, rows, m->Up);
    s->cond_row = fwn_arena_take(arena, m->Up, sizeof(float));
    fwn_arena_take(arena, FWN_TILED_ROWS, s->u.stride); /* AMX reads whole tiles */
}

static void lay_out(fwn_stream *s, fwn_arena *arena)
{
    const fwn_model *m = s->model;
    const size_t rows = (size_t)s->block * s->batch, before = m->spec.first_kernel - 1;
    s->row = fwn_arena_take(arena, s->batch, sizeof *s->row);
    s->past = fwn_arena_take(arena, m->spec.layers, sizeof *s->past);
    uint32_t *history = fwn_arena_take(arena, s->batch * before, sizeof *history);
    for (uint32_t b = 0; arena->base && b < s->batch; b++) s->row[b].history = history + b * before;
    for (uint32_t l = 0; l < m->spec.layers; l++) {
        const fwn_layer *layer = &m->layers[l];
        fwn_past past = {.slots = layer->past + s->block, .ahead = ahead(s, layer)};
        past.ring = alloc_rows(s, arena, (size_t)past.slots * s->batch, m->Rp);
        past.sums = fwn_arena_take(arena, (size_t)past.ahead * s->batch * 2 * m->Dp, sizeof(float));
        if (arena->base) s->past[l] = past;
    }
    s->in = fwn_arena_take(arena, s->batch * (before + s->block), sizeof *s->in);
    s->x = fwn_arena_take(arena, rows * m->Rp, sizeof(float));
    s->h = fwn_arena_take(arena, rows * 2 * m->Dp, sizeof(float));
    s->z = alloc_gated(s, arena, rows, m->skip.k);
    s->skip = fwn_arena_take(arena, rows * m->Sp, sizeof(float));
    s->hidden = fwn_arena_take(arena, rows * m->Hp, sizeof(float));
    s->logits = fwn_arena_take(arena, rows * m->Qp, sizeof(float));
    s->weight = fwn_arena_take(arena, m->Qp, sizeof(float));
    if (m->Up) lay_out_cond(s, arena);
    lay_out_share(s, arena, &s->whole);
    if (s->threads > 1) {
        lay_out_share(s, arena, &s->share[0]);
        lay_out_share(s, arena, &s->share[1]);
        if (m->skip.k <= FWN_EXACT_BYTES)
            s->skip_sums = fwn_arena_take(arena, 4 * m->Sp, sizeof(float));
    }
    /* AMX reads whole tiles: rows after the last one. */
    fwn_arena_take(arena, FWN_TILED_ROWS,
                   s->whole.wide[0].stride + s->whole.wide[1].stride + s->z.stride);
}

/* Sizes of a stream, no memory. */
static fwn_stream planned(const fwn_model *model, uint32_t batch, uint32_t threads)
{
    const uint32_t block = batch < FWN_BLOCK_ROWS ? FWN_BLOCK_ROWS / batch : 1;
    return (fwn_stream){.model = model,
                        .batch = batch,
                        .threads = threads,
                        .block = block,
                        .cond_most = block + FWN_MORE_FRAMES};
}

/* Whether the bytes of so many rows can be counted: 32-bit machines have an end. */
static int is_countable(const fwn_model *model, uint32_t batch)
{
    return batch * fwn_most_stream_bytes(&model->spec) <= SIZE_MAX / 2;
}

size_t fwn_stream_bytes(const fwn_model *model, uint32_t batch)
{
    if (!model || batch < 1 || batch > 65536 || !is_countable(model, batch)) return 0;
    fwn_stream s = planned(model, batch, 1);
    fwn_arena arena = {NULL, 0};
    lay_out(&s, &arena);
    return sizeof s + arena.used;
}

static void reset_row(fwn_stream *s, uint32_t row, uint64_t seed, uint32_t id)
{
    const fwn_model *m = s->model;
    fwn_row *r = &s->row[row];
    r->seed = seed;
    r->id = id;
    r->step = 0;
    r->begun = 0;
    r->last = 0.0f;
    r->torn = 0;
    r->next = m->spec.start_code;
    for (uint32_t i = 0; i + 1 < m->spec.first_kernel; i++) r->history[i] = m->spec.levels;
    memset(s->x, 0, m->Rp * sizeof *s->x);
    for (uint32_t l = 0; l < m->spec.layers; l++)
        for (uint32_t i = 0; i < m->layers[l].past; i++)
            s->kernels->store(fwn_past_row(s, l, row, i), s->x, m->Rp);
    fwn_discard_ahead(s);
}

/* Memory of a planned stream, zeroed: every row may run, from code 0. */
static int allocate(fwn_stream *s)
{
    fwn_arena arena = {NULL, 0};
    lay_out(s, &arena);
    s->arena = fwn_arena_memory(arena.used);
    if (!s->arena) return FWN_NO_MEMORY;
    arena = (fwn_arena){s->arena, 0};
    lay_out(s, &arena);
    return FWN_OK;
}

int fwn_stream_create(const fwn_model *model, int isa, uint32_t batch, uint32_t threads,
                      fwn_stream **out)
{
    if (!model || !out || batch < 1 || batch > 65536 || threads < 1 || threads > 2)
        return FWN_BAD_ARGUMENT;
    if (!fwn_kernels_of(isa, model->precision)) return FWN_BAD_ISA;
    if (!is_countable(model, batch)) return FWN_NO_MEMORY;
    fwn_stream *s = calloc(1, sizeof *s);
    if (!s) return FWN_NO_MEMORY;
    *s = planned(model, batch, threads);
    s->kernels = fwn_kernels_of(isa, model->precision);
    if (allocate(s)) {
        free(s);
        return FWN_NO_MEMORY;
    }
    atomic_flag_clear(&s->busy);
    s->whole.skip = model->skip;
    s->whole.hidden = model->hidden;
    s->whole.output = model->output;
    s->threads = 1;
    if (threads > 1) fwn_threads_create(s);
    for (uint32_t b = 0; b < batch; b++) reset_row(s, b, 0, b);
    *out = s;
    return FWN_OK;
}

void fwn_stream_destroy(fwn_stream *s)
{
    if (!s) return;
    fwn_pool_destroy(s->pool);
    free(s->arena);
    free(s);
}

/* ---- threads --------------------------------------------------------------------------------- */

uint32_t fwn_stream_threads(const fwn_stream *s)
{
    return s && s->threads > 1 && fwn_pool_here(s->pool) ? 2 : 1;
}

int fwn_stream_set_threads(fwn_stream *s, uint32_t threads)
{
    if (!s || threads < 1 || threads > (fwn_pool_here(s->pool) ? 2 : 1)) return FWN_BAD_ARGUMENT;
    if (fwn_enter(s)) return FWN_BUSY;
    s->threads = threads;
    s->wait_for_helper = threads > 1;
    return fwn_leave(s, FWN_OK);
}

/* ---- rows ------------------------------------------------------------------------------------ */

int fwn_stream_reset(fwn_stream *s, uint32_t row, uint64_t seed, uint32_t id)
{
    if (!s || row >= s->batch) return FWN_BAD_ARGUMENT;
    if (fwn_enter(s)) return FWN_BUSY;
    reset_row(s, row, seed, id);
    return fwn_leave(s, FWN_OK);
}

int fwn_stream_begin(fwn_stream *s, uint32_t row, uint32_t code)
{
    if (!s || row >= s->batch) return FWN_BAD_ARGUMENT;
    if (code >= s->model->spec.levels) return FWN_BAD_CODE;
    if (fwn_enter(s)) return FWN_BUSY;
    if (s->row[row].torn) return fwn_leave(s, FWN_FORKED);
    if (s->row[row].begun) return fwn_leave(s, FWN_STARTED);
    s->row[row].next = code;
    s->row[row].begun = 1;
    if (s->model->codec.pre_emphasis > 0.0) s->row[row].last = s->model->mulaw->amplitude[code];
    return fwn_leave(s, FWN_OK);
}

int fwn_stream_set_last(fwn_stream *s, uint32_t row, float audio)
{
    if (!s || row >= s->batch) return FWN_BAD_ARGUMENT;
    if (!isfinite(audio)) return FWN_BAD_AUDIO;
    if (fwn_enter(s)) return FWN_BUSY;
    if (s->row[row].torn) return fwn_leave(s, FWN_FORKED);
    if (s->model->codec.pre_emphasis > 0.0) s->row[row].last = audio;
    return fwn_leave(s, FWN_OK);
}

/* The fork may have caught a write position between two values.  Any valid one will do, because all
 * of the past is written again.  The helper is not in this process, so its call is dismissed. */
int fwn_stream_forked(fwn_stream *s)
{
    if (!s) return FWN_BAD_ARGUMENT;
    for (uint32_t l = 0; l < s->model->spec.layers; l++) s->past[l].write_slot = 0;
    fwn_discard_ahead(s);
    for (uint32_t b = 0; b < s->batch; b++) s->row[b].torn = 1;
    s->threads = 1;
    if (s->pool) fwn_pool_dismiss(s->pool);
    return fwn_leave(s, FWN_OK);
}

int fwn_stream_info(const fwn_stream *s, uint32_t row, fwn_row_info *out)
{
    if (!s || !out || row >= s->batch) return FWN_BAD_ARGUMENT;
    const fwn_row *r = &s->row[row];
    *out = (fwn_row_info){r->seed, r->step, r->id, r->begun, r->last};
    return FWN_OK;
}
