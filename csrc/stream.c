/* Streams: creating, running and resetting them. */
#include <stdlib.h>
#include <string.h>
#include "float_mode.h"
#include "stream.h"

/* ---- create ------------------------------------------------------------------------------------ */

/* Rows of k inputs (fwn_act).  Bytes after k in a row's last cache line stay 0: AMX multiplies them. */
static fwn_act alloc_rows(const fwn_stream *s, fwn_arena *arena, size_t rows, uint32_t k)
{
    const int int8 = s->model->precision == FWN_INT8;
    fwn_act a = {.stride = int8 ? 2 * fwn_lines(k) : k * sizeof(float), .batch = s->batch};
    a.at = fwn_arena_take(arena, rows, a.stride);
    if (int8) a.scale = fwn_arena_take(arena, rows, sizeof(float));
    return a;
}

/* Rows of k outputs of gates (fwn_act). */
static fwn_act alloc_gated(const fwn_stream *s, fwn_arena *arena, size_t rows, uint32_t k)
{
    const int int8 = s->model->precision == FWN_INT8;
    fwn_act a = {.stride = int8 ? fwn_lines(k) : k * sizeof(float), .batch = s->batch};
    a.at = fwn_arena_take(arena, rows, a.stride);
    if (int8) a.check = fwn_arena_take(arena, rows * 16, sizeof(float));
    return a;
}

/* Samples for which a layer's past taps are known, at most as many as make FWN_AHEAD rows. */
static uint32_t ahead(const fwn_stream *s, const fwn_layer *layer)
{
    const uint32_t most = s->batch < FWN_AHEAD ? FWN_AHEAD / s->batch : 1;
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
    lay_out_share(s, arena, &s->whole);
    if (s->threads > 1) {
        lay_out_share(s, arena, &s->share[0]);
        lay_out_share(s, arena, &s->share[1]);
        if (m->skip.k <= FWN_EXACT_GATED) s->skip_sums = fwn_arena_take(arena, 4 * m->Sp, sizeof(float));
    }
    fwn_arena_take(arena, FWN_TILED_ROWS, s->whole.wide[1].stride + s->z.stride); /* tiles read whole, past the last row */
}

/* A stream without memory. */
static fwn_stream planned(const fwn_model *model, uint32_t batch, uint32_t threads)
{
    return (fwn_stream){.model = model, .batch = batch, .threads = threads,
                        .block = batch < FWN_BLOCK_ROWS ? FWN_BLOCK_ROWS / batch : 1};
}

size_t fwn_stream_bytes(const fwn_model *model, uint32_t batch)
{
    if (!model || batch < 1 || batch > 65536) return 0;
    fwn_stream s = planned(model, batch, 1);
    fwn_arena arena = {NULL, 0};
    lay_out(&s, &arena);
    return sizeof s + arena.used;
}

int fwn_stream_create(const fwn_model *model, int isa, uint32_t batch, uint32_t threads, fwn_stream **out)
{
    if (!model || !out || batch < 1 || batch > 65536 || threads < 1 || threads > 2) return FWN_BAD_ARGUMENT;
    if (!fwn_kernels_of(isa, model->precision)) return FWN_BAD_ISA;
    fwn_stream *s = calloc(1, sizeof *s);
    if (!s) return FWN_NO_MEMORY;
    *s = planned(model, batch, threads);
    s->kernels = fwn_kernels_of(isa, model->precision);
    fwn_arena arena = {NULL, 0};
    lay_out(s, &arena);
    s->arena = fwn_arena_memory(arena.used);
    if (!s->arena) {
        free(s);
        return FWN_NO_MEMORY;
    }
    arena = (fwn_arena){s->arena, 0};
    lay_out(s, &arena);
    atomic_flag_clear(&s->busy);
    for (uint32_t b = 0; b < batch; b++) fwn_stream_reset(s, b, 0, b);
    s->whole.skip = model->skip;
    s->whole.hidden = model->hidden;
    s->whole.output = model->output;
    s->threads = 1;
    if (threads > 1) {
        fwn_threads_create(s);
        for (uint32_t b = 0; b < batch; b++) fwn_stream_reset(s, b, 0, b);
    }
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

/* ---- running ----------------------------------------------------------------------------------- */

static int check_io(const fwn_stream *s, const fwn_io *io)
{
    const uint32_t levels = s->model->spec.levels;
    for (uint32_t b = 0; b < s->batch; b++)
        if (s->row[b].torn) return FWN_FORKED;
    if (!(io->temperature == 0.0f || (io->temperature >= 1e-3f && io->temperature <= 1e3f)))
        return FWN_BAD_ARGUMENT;
    if (io->cond && (!io->cond_rows || !io->hop || io->cond_step > UINT64_MAX - io->n)) return FWN_BAD_ARGUMENT;
    for (size_t i = 0; io->forced && i < (size_t)io->n * s->batch; i++)
        if (io->forced[i] >= levels) return FWN_BAD_CODE;
    return FWN_OK;
}

int fwn_run(fwn_stream *s, const fwn_io *io)
{
    if (!s || !io) return FWN_BAD_ARGUMENT;
    if (fwn_enter(s)) return FWN_BUSY;
    const fwn_float_mode host = fwn_set_mode();
    int error = check_io(s, io);
    const int helped = !error && s->threads > 1;
    if (s->kernels->begin) s->kernels->begin();
    if (helped) fwn_threads_call(s);
    for (uint32_t done = 0, n; done < io->n && !error; done += n) {
        n = io->forced && io->n - done < s->block ? io->n - done : io->forced ? s->block : 1;
        error = s->kernels->block(s, io, done, n);
    }
    if (s->kernels->end) s->kernels->end();
    if (helped) fwn_threads_dismiss(s);
    fwn_restore_mode(host);
    return fwn_leave(s, error);
}

/* ---- threads ----------------------------------------------------------------------------------- */

uint32_t fwn_stream_threads(const fwn_stream *s)
{
    return s && s->threads > 1 && fwn_pool_here(s->pool) ? 2 : 1;
}

int fwn_stream_set_threads(fwn_stream *s, uint32_t threads)
{
    if (!s || threads < 1 || threads > (fwn_pool_here(s->pool) ? 2 : 1)) return FWN_BAD_ARGUMENT;
    if (fwn_enter(s)) return FWN_BUSY;
    s->threads = threads;
    s->insists = threads > 1;
    return fwn_leave(s, FWN_OK);
}

/* ---- rows -------------------------------------------------------------------------------------- */

int fwn_stream_reset(fwn_stream *s, uint32_t row, uint64_t seed, uint32_t id)
{
    if (!s || row >= s->batch) return FWN_BAD_ARGUMENT;
    if (fwn_enter(s)) return FWN_BUSY;
    const fwn_model *m = s->model;
    fwn_row *r = &s->row[row];
    r->seed = seed;
    r->id = id;
    r->step = 0;
    r->begun = 0;
    r->torn = 0;
    r->next = m->spec.start_code;
    for (uint32_t i = 0; i + 1 < m->spec.first_kernel; i++) r->history[i] = m->spec.levels;
    memset(s->x, 0, m->Rp * sizeof *s->x);
    for (uint32_t l = 0; l < m->spec.layers; l++)
        for (uint32_t i = 0; i < m->layers[l].past; i++)
            s->kernels->store(fwn_past_row(s, l, row, i), s->x, m->Rp);
    fwn_discard_ahead(s);
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
    return fwn_leave(s, FWN_OK);
}

/* A write position may have been caught between two values: any will do, since all of the past is to be
 * written again.  The call that the helper had answered is dismissed: the helper is not in this process. */
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
    *out = (fwn_row_info){r->seed, r->step, r->id, r->begun};
    return FWN_OK;
}

