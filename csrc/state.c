/* States: one row of a stream as bytes, the same on every machine and instruction set.
 *
 * Little-endian, 4-byte words: this header, first_kernel - 1 history codes, then per layer
 * [past][R] floats, oldest first, then the hash of everything before it. */
#include <math.h>
#include <string.h>
#include "stream.h"

#define FWN_STATE_VERSION 1u
static const uint32_t state_magic = 0x534E5746u; /* "FWNS" */

typedef struct {
    uint32_t magic, version;
    uint64_t model, seed, step;
    uint32_t id, next, begun;
    float last; /* 0 without pre-emphasis */
} state_header;

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "saved states are little-endian"
#endif

static size_t state_size(const fwn_model *m)
{
    size_t size =
        sizeof(state_header) + (m->spec.first_kernel - 1) * sizeof(uint32_t) + sizeof(uint64_t);
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
            const fwn_act x = fwn_past_row(s, l, row, i);
            if (save) s->kernels->load(s->x, x, m->Rp);
            if (save) memcpy(at, s->x, width);
            else memcpy(s->x, at, width);
            if (!save) s->kernels->store(x, s->x, m->Rp);
        }
}

int fwn_state_save(fwn_stream *s, uint32_t row, void *bytes, size_t *size)
{
    if (!s || !size || row >= s->batch) return FWN_BAD_ARGUMENT;
    const fwn_model *m = s->model;
    const size_t needed = state_size(m), history = (m->spec.first_kernel - 1) * sizeof(uint32_t);
    const size_t given = *size;
    *size = needed;
    if (!bytes) return FWN_OK;
    if (given < needed) return FWN_BAD_ARGUMENT;
    if (fwn_enter(s)) return FWN_BUSY;
    const fwn_row *r = &s->row[row];
    if (r->torn) return fwn_leave(s, FWN_FORKED);
    const state_header head = {state_magic, FWN_STATE_VERSION, m->fingerprint, r->seed, r->step,
                               r->id,       r->next,           r->begun,       r->last};
    char *at = bytes;
    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, r->history, history);
    copy_past(s, row, at + sizeof head + history, 1);
    const uint64_t hash = fwn_hash(FWN_STATE_VERSION, at, (needed - sizeof hash) / 4);
    memcpy(at + needed - sizeof hash, &hash, sizeof hash);
    return fwn_leave(s, FWN_OK);
}

/* Whether a row of the model can have this last audio sample. */
static int is_last(const fwn_model *m, float last)
{
    return m->codec.pre_emphasis > 0.0 ? isfinite(last) : last == 0.0f && !signbit(last);
}

/* Checks everything that indexes memory or identifies the model.  The floats may have any value:
 * they are only added and multiplied. */
static int check_state(const fwn_stream *s, const char *at, size_t size, state_header *head)
{
    const fwn_model *m = s->model;
    const size_t before = m->spec.first_kernel - 1;
    uint64_t hash;
    if (size != state_size(m)) return 0;
    memcpy(head, at, sizeof *head);
    memcpy(&hash, at + size - sizeof hash, sizeof hash);
    if (head->magic != state_magic || head->version != FWN_STATE_VERSION ||
        head->model != m->fingerprint || head->next >= m->spec.levels || head->begun > 1 ||
        (head->step && !head->begun) || !is_last(m, head->last) ||
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
    state_header head;
    if (!s || !bytes) return FWN_BAD_ARGUMENT;
    if (!check_state(s, bytes, size, &head)) return FWN_BAD_STATE;
    if (out) *out = (fwn_row_info){head.seed, head.step, head.id, head.begun, head.last};
    return FWN_OK;
}

int fwn_state_load(fwn_stream *s, uint32_t row, const void *bytes, size_t size)
{
    state_header head;
    if (!s || !bytes || row >= s->batch) return FWN_BAD_ARGUMENT;
    if (fwn_enter(s)) return FWN_BUSY;
    if (!check_state(s, bytes, size, &head)) return fwn_leave(s, FWN_BAD_STATE);
    const size_t history = (s->model->spec.first_kernel - 1) * sizeof(uint32_t);
    fwn_row *r = &s->row[row];
    r->seed = head.seed;
    r->step = head.step;
    r->id = head.id;
    r->next = head.next;
    r->begun = head.begun;
    r->last = head.last;
    r->torn = 0;
    memcpy(r->history, (const char *)bytes + sizeof head, history);
    copy_past(s, row, (char *)bytes + sizeof head + history, 0);
    fwn_discard_ahead(s);
    return fwn_leave(s, FWN_OK);
}
