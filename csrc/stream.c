/* Streams: creating, running, and moving the state of their rows. */
#include <stdlib.h>
#include <string.h>
#include "float_mode.h"
#include "model.h"

/* ---- one call at a time ------------------------------------------------------------------------ */

static int enter(fwn_stream *s) { return atomic_flag_test_and_set(&s->busy) ? FWN_BUSY : FWN_OK; }
static int leave(fwn_stream *s, int result)
{
    atomic_flag_clear(&s->busy);
    return result;
}

/* ---- create ------------------------------------------------------------------------------------ */

/* Whole cache lines: what stands behind k bytes of a row stays 0, so that it may be multiplied. */
static size_t lines(size_t bytes) { return (bytes + FWN_ALIGN - 1) / FWN_ALIGN * FWN_ALIGN; }

/* Rows of k inputs (fwn_act). */
static fwn_act take_rows(fwn_arena *arena, const fwn_model *m, size_t rows, uint32_t k,
                         uint32_t batch)
{
    const int int8 = m->precision == FWN_INT8;
    fwn_act a = {NULL, int8 ? 2 * lines(k) : k * sizeof(float), NULL, batch};
    a.at = fwn_take(arena, rows, a.stride);
    if (int8) a.scale = fwn_take(arena, rows, sizeof(float));
    return a;
}

/* Rows of k outputs of gates (fwn_act). */
static fwn_act take_gated(fwn_arena *arena, const fwn_model *m, size_t rows, uint32_t k,
                         uint32_t batch)
{
    const int int8 = m->precision == FWN_INT8;
    fwn_act a = {NULL, int8 ? lines(k) : k * sizeof(float), NULL, batch};
    a.at = fwn_take(arena, rows, a.stride);
    if (int8) a.scale = fwn_take(arena, rows * 16, sizeof(float));
    return a;
}

/* Samples for which a layer's past taps are known, at most as many as make FWN_AHEAD rows. */
static uint32_t ahead(const fwn_stream *s, const fwn_layer *layer)
{
    const uint32_t most = s->rows < FWN_AHEAD ? FWN_AHEAD / s->rows : 1;
    return layer->dilation < most ? layer->dilation : most;
}

static void lay_out_share(const fwn_stream *s, fwn_arena *arena, fwn_share *share)
{
    const fwn_model *m = s->model;
    const size_t rows = (size_t)s->block * s->rows;
    share->wide[0] = take_rows(arena, m, rows, m->Sp, s->rows);
    share->wide[1] = take_rows(arena, m, rows, m->Hp, s->rows);
    share->row = fwn_take(arena, m->Sp > m->Hp ? m->Sp : m->Hp, sizeof(float));
}

static void lay_out(fwn_stream *s, fwn_arena *arena)
{
    const fwn_model *m = s->model;
    const size_t rows = (size_t)s->block * s->rows, before = m->spec.first_kernel - 1;
    s->row = fwn_take(arena, s->rows, sizeof *s->row);
    s->past = fwn_take(arena, m->spec.layers, sizeof *s->past);
    uint32_t *history = fwn_take(arena, s->rows * before, sizeof *history);
    for (uint32_t b = 0; arena->base && b < s->rows; b++) s->row[b].history = history + b * before;
    for (uint32_t l = 0; l < m->spec.layers; l++) {
        const fwn_layer *layer = &m->layers[l];
        fwn_past past = {.slots = layer->past + s->block, .ahead = ahead(s, layer)};
        past.ring = take_rows(arena, m, (size_t)past.slots * s->rows, m->Rp, s->rows);
        past.part = fwn_take(arena, (size_t)past.ahead * s->rows * 2 * m->Dp, sizeof(float));
        if (arena->base) s->past[l] = past;
    }
    s->in = fwn_take(arena, s->rows * (before + s->block), sizeof *s->in);
    s->x = fwn_take(arena, rows * m->Rp, sizeof(float));
    s->h = fwn_take(arena, rows * 2 * m->Dp, sizeof(float));
    s->z = take_gated(arena, m, rows, m->skip.k, s->rows);
    s->skip = fwn_take(arena, rows * m->Sp, sizeof(float));
    s->hidden = fwn_take(arena, rows * m->Hp, sizeof(float));
    s->logits = fwn_take(arena, rows * m->Qp, sizeof(float));
    s->weight = fwn_take(arena, m->Qp, sizeof(float));
    lay_out_share(s, arena, &s->whole);
    if (s->threads > 1) {
        lay_out_share(s, arena, &s->part[0]);
        lay_out_share(s, arena, &s->part[1]);
        if (m->skip.k <= FWN_EXACT_GATED) s->sums = fwn_take(arena, 4 * m->Sp, sizeof(float));
    }
    fwn_take(arena, FWN_TILE, s->whole.wide[1].stride + s->z.stride); /* tiles read whole, past the last row */
}

/* A stream without memory. */
static fwn_stream planned(const fwn_model *model, uint32_t rows, uint32_t threads)
{
    return (fwn_stream){.model = model, .rows = rows, .threads = threads,
                        .block = rows < FWN_BLOCK_ROWS ? FWN_BLOCK_ROWS / rows : 1};
}

size_t fwn_stream_bytes(const fwn_model *model, uint32_t rows)
{
    if (!model || rows < 1 || rows > 65536) return 0;
    fwn_stream s = planned(model, rows, 1);
    fwn_arena arena = {NULL, 0};
    lay_out(&s, &arena);
    return sizeof s + arena.used;
}

int fwn_stream_create(const fwn_model *model, int isa, uint32_t rows, uint32_t threads, fwn_stream **out)
{
    if (!model || !out || rows < 1 || rows > 65536 || threads < 1 || threads > 2) return FWN_BAD_ARGUMENT;
    if (!fwn_kernels_of(isa, model->precision)) return FWN_BAD_ISA;
    fwn_stream *s = calloc(1, sizeof *s);
    if (!s) return FWN_NO_MEMORY;
    *s = planned(model, rows, threads);
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
    for (uint32_t b = 0; b < rows; b++) fwn_stream_reset(s, b, 0, b);
    s->whole.skip = model->skip;
    s->whole.hidden = model->hidden;
    s->whole.output = model->output;
    s->threads = 1;
    if (threads > 1) {
        fwn_threads_create(s);
        for (uint32_t b = 0; b < rows; b++) fwn_stream_reset(s, b, 0, b);
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
    for (uint32_t b = 0; b < s->rows; b++)
        if (s->row[b].torn) return FWN_FORKED;
    if (!(io->temperature == 0.0f || (io->temperature >= 1e-3f && io->temperature <= 1e3f)))
        return FWN_BAD_ARGUMENT;
    if (io->cond && (!io->cond_rows || !io->hop || io->cond_step > UINT64_MAX - io->n)) return FWN_BAD_ARGUMENT;
    for (size_t i = 0; io->forced && i < (size_t)io->n * s->rows; i++)
        if (io->forced[i] >= levels) return FWN_BAD_CODE;
    return FWN_OK;
}

int fwn_run(fwn_stream *s, const fwn_io *io)
{
    if (!s || !io) return FWN_BAD_ARGUMENT;
    if (enter(s)) return FWN_BUSY;
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
    return leave(s, error);
}

/* ---- threads ----------------------------------------------------------------------------------- */

uint32_t fwn_stream_threads(const fwn_stream *s)
{
    return s && s->threads > 1 && fwn_pool_here(s->pool) ? 2 : 1;
}

int fwn_stream_set_threads(fwn_stream *s, uint32_t threads)
{
    if (!s || threads < 1 || threads > (fwn_pool_here(s->pool) ? 2 : 1)) return FWN_BAD_ARGUMENT;
    if (enter(s)) return FWN_BUSY;
    s->threads = threads;
    s->insists = threads > 1;
    return leave(s, FWN_OK);
}

/* ---- rows -------------------------------------------------------------------------------------- */

/* The i-th oldest of the samples that layer l remembers of a row. */
static fwn_act remembered(const fwn_stream *s, uint32_t l, uint32_t row, uint32_t i)
{
    const fwn_past *past = &s->past[l];
    const uint32_t ago = s->model->layers[l].past - i;
    const uint32_t slot = past->head + (past->head < ago ? past->slots : 0) - ago;
    const fwn_act ring = past->ring;
    const size_t at = (size_t)slot * s->rows + row;
    return (fwn_act){ring.at + at * ring.stride, ring.stride, ring.scale ? ring.scale + at : NULL, s->rows};
}

/* What was computed ahead does not fit a row whose past has changed. */
static void forget_ahead(fwn_stream *s)
{
    for (uint32_t l = 0; l < s->model->spec.layers; l++) s->past[l].ready = 0;
}

int fwn_stream_reset(fwn_stream *s, uint32_t row, uint64_t seed, uint32_t id)
{
    if (!s || row >= s->rows) return FWN_BAD_ARGUMENT;
    if (enter(s)) return FWN_BUSY;
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
            s->kernels->store(remembered(s, l, row, i), s->x, m->Rp);
    forget_ahead(s);
    return leave(s, FWN_OK);
}

int fwn_stream_begin(fwn_stream *s, uint32_t row, uint32_t code)
{
    if (!s || row >= s->rows) return FWN_BAD_ARGUMENT;
    if (code >= s->model->spec.levels) return FWN_BAD_CODE;
    if (enter(s)) return FWN_BUSY;
    if (s->row[row].torn) return leave(s, FWN_FORKED);
    if (s->row[row].begun) return leave(s, FWN_STARTED);
    s->row[row].next = code;
    s->row[row].begun = 1;
    return leave(s, FWN_OK);
}

/* A write position may have been caught between two values: any will do, since all of the past is to be
 * written again.  The call that the helper had answered is dismissed: the helper is not in this process. */
int fwn_stream_forked(fwn_stream *s)
{
    if (!s) return FWN_BAD_ARGUMENT;
    for (uint32_t l = 0; l < s->model->spec.layers; l++) s->past[l].head = 0;
    forget_ahead(s);
    for (uint32_t b = 0; b < s->rows; b++) s->row[b].torn = 1;
    s->threads = 1;
    if (s->pool) fwn_pool_dismiss(s->pool);
    return leave(s, FWN_OK);
}

int fwn_stream_info(const fwn_stream *s, uint32_t row, fwn_row_info *out)
{
    if (!s || !out || row >= s->rows) return FWN_BAD_ARGUMENT;
    const fwn_row *r = &s->row[row];
    *out = (fwn_row_info){r->seed, r->step, r->id, r->begun};
    return FWN_OK;
}

/* ---- state ------------------------------------------------------------------------------------- */

/* Little-endian, 4-byte words: this head, first_kernel - 1 history codes, then per layer
 * [past][R] floats, oldest first, then the hash of all before it. */
#define FWN_STATE_VERSION 1u
static const uint32_t state_magic = 0x534E5746u; /* "FWNS" */

typedef struct {
    uint32_t magic, version;
    uint64_t model, seed, step;
    uint32_t id, next, begun, reserved;
} state_head;

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "saved states are little-endian"
#endif

static size_t state_size(const fwn_model *m)
{
    size_t size = sizeof(state_head) + (m->spec.first_kernel - 1) * sizeof(uint32_t) + sizeof(uint64_t);
    for (uint32_t l = 0; l < m->spec.layers; l++)
        size += (size_t)m->layers[l].past * m->spec.residual * sizeof(float);
    return size;
}

/* Copies the layers' past between the rings and a state. */
static void copy_past(const fwn_stream *s, uint32_t row, char *at, int save)
{
    const fwn_model *m = s->model;
    const size_t width = m->spec.residual * sizeof(float);
    memset(s->x, 0, m->Rp * sizeof *s->x);
    for (uint32_t l = 0; l < m->spec.layers; l++)
        for (uint32_t i = 0; i < m->layers[l].past; i++, at += width) {
            const fwn_act x = remembered(s, l, row, i);
            if (save) s->kernels->load(s->x, x, m->Rp);
            if (save) memcpy(at, s->x, width);
            else memcpy(s->x, at, width);
            if (!save) s->kernels->store(x, s->x, m->Rp);
        }
}

int fwn_state_save(fwn_stream *s, uint32_t row, void *bytes, size_t *size)
{
    if (!s || !size || row >= s->rows) return FWN_BAD_ARGUMENT;
    const fwn_model *m = s->model;
    const size_t needed = state_size(m), history = (m->spec.first_kernel - 1) * sizeof(uint32_t);
    const size_t given = *size;
    *size = needed;
    if (!bytes) return FWN_OK;
    if (given < needed) return FWN_BAD_ARGUMENT;
    if (enter(s)) return FWN_BUSY;
    const fwn_row *r = &s->row[row];
    if (r->torn) return leave(s, FWN_FORKED);
    const state_head head = {state_magic, FWN_STATE_VERSION, m->fingerprint, r->seed, r->step,
                             r->id,       r->next,           r->begun,       0};
    char *at = bytes;
    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, r->history, history);
    copy_past(s, row, at + sizeof head + history, 1);
    const uint64_t hash = fwn_hash(FWN_STATE_VERSION, at, (needed - sizeof hash) / 4);
    memcpy(at + needed - sizeof hash, &hash, sizeof hash);
    return leave(s, FWN_OK);
}

/* Everything about the bytes that can be wrong is found here.  The floats may be any: they are
 * only ever added and multiplied. */
static int check_state(const fwn_stream *s, const char *at, size_t size, state_head *head)
{
    const fwn_model *m = s->model;
    const size_t before = m->spec.first_kernel - 1;
    uint64_t hash;
    if (size != state_size(m)) return 0;
    memcpy(head, at, sizeof *head);
    memcpy(&hash, at + size - sizeof hash, sizeof hash);
    if (head->magic != state_magic || head->version != FWN_STATE_VERSION ||
        head->model != m->fingerprint || head->next >= m->spec.levels || head->begun > 1 ||
        head->reserved || (head->step && !head->begun) ||
        hash != fwn_hash(FWN_STATE_VERSION, at, (size - sizeof hash) / 4))
        return 0;
    for (size_t i = 0; i < before; i++) {
        uint32_t code;
        memcpy(&code, at + sizeof *head + i * sizeof code, sizeof code);
        if (code > m->spec.levels) return 0;
    }
    return 1;
}

int fwn_state_check(const fwn_stream *s, const void *bytes, size_t size, fwn_row_info *out)
{
    state_head head;
    if (!s || !bytes) return FWN_BAD_ARGUMENT;
    if (!check_state(s, bytes, size, &head)) return FWN_BAD_STATE;
    if (out) *out = (fwn_row_info){head.seed, head.step, head.id, head.begun};
    return FWN_OK;
}

int fwn_state_load(fwn_stream *s, uint32_t row, const void *bytes, size_t size)
{
    state_head head;
    if (!s || !bytes || row >= s->rows) return FWN_BAD_ARGUMENT;
    if (enter(s)) return FWN_BUSY;
    if (!check_state(s, bytes, size, &head)) return leave(s, FWN_BAD_STATE);
    const size_t history = (s->model->spec.first_kernel - 1) * sizeof(uint32_t);
    fwn_row *r = &s->row[row];
    r->seed = head.seed;
    r->step = head.step;
    r->id = head.id;
    r->next = head.next;
    r->begun = head.begun;
    r->torn = 0;
    memcpy(r->history, (const char *)bytes + sizeof head, history);
    copy_past(s, row, (char *)bytes + sizeof head + history, 0);
    forget_ahead(s);
    return leave(s, FWN_OK);
}
