/* The past of each layer: a ring of its inputs, and products of past taps.  Inputs of past taps
 * exist `dilation` samples before they are used, so these products are computed for up to 16
 * samples at once, which costs little more than one. */
#ifndef FWN_PAST_TAPS_H
#define FWN_PAST_TAPS_H

#include "cond.h"

/* The inputs of layer l in a slot of its ring. */
static fwn_act ring_slot(const fwn_stream *s, uint32_t l, uint32_t slot)
{
    return act_from(s->past[l].ring, (size_t)slot * s->batch);
}

/* Stores the layer's inputs x of n samples in its ring, from the write position on. */
static void push_input(fwn_stream *s, uint32_t l, uint32_t n)
{
    const fwn_past *past = &s->past[l];
    const float *x = s->x;
    for (uint32_t i = 0, slot = past->write_slot; i < n; i++, slot++) {
        if (slot == past->slots) slot = 0;
        fwn_act row = ring_slot(s, l, slot);
        for (uint32_t b = 0; b < s->batch; b++, x += s->model->Rp, row = act_from(row, 1))
            act_store(row, x, s->model->Rp);
    }
}

/* Moves the write position past those n samples. */
static void advance_ring(fwn_stream *s, uint32_t l, uint32_t n)
{
    fwn_past *past = &s->past[l];
    past->write_slot += n;
    if (past->write_slot >= past->slots) past->write_slot -= past->slots;
}

/* y = start + W times the layer's inputs of n samples, the first of them `ago` samples before the
 * write position. */
static void mul_ring(float *y, const fwn_stream *s, uint32_t l, const fwn_mat *tap, uint32_t ago,
                     uint32_t n, fwn_rows start)
{
    const fwn_past *past = &s->past[l];
    const uint32_t slot = past->write_slot + (past->write_slot < ago ? past->slots : 0) - ago;
    const uint32_t first = n < past->slots - slot ? n : past->slots - slot;
    const size_t rows = (size_t)first * s->batch;
    mat_mul(y, tap, ring_slot(s, l, slot), rows, start);
    if (first < n)
        mat_mul(y + rows * tap->n, tap, past->ring, (size_t)(n - first) * s->batch,
                rows_from(start, rows));
}

/* y = bias + past taps of the coming n samples, oldest tap first. */
static void mul_past(float *y, const fwn_stream *s, uint32_t l, uint32_t n)
{
    const fwn_layer *layer = &s->model->layers[l];
    const fwn_rows sum = {y, 2 * s->model->Dp};
    for (uint32_t j = 0; j + 1 < layer->taps; j++)
        mul_ring(y, s, l, &layer->tap[j], (layer->taps - 1 - j) * layer->dilation, n,
                 j ? sum : FWN_NO_START);
}

/* Makes the past taps of at least n samples from `clock` on ready.  All layers compute theirs at
 * the same samples, because idle AMX tiles take time to power up. */
static void compute_ahead(fwn_stream *s, uint32_t l, uint64_t clock, uint32_t n)
{
    fwn_past *past = &s->past[l];
    if (past->ready >= n) return;
    const uint32_t until = past->ahead - (uint32_t)(clock % past->ahead);
    past->ready = until < n ? past->ahead : until;
    past->used = past->conditioned = 0;
    mul_past(past->sums, s, l, past->ready);
}

/* bias + past taps + V_l u of n samples, `done` samples into the run: computed ahead, or in s->h if
 * the block is longer than that.  Frames are known for the samples of this run only. */
static fwn_rows past_taps(fwn_stream *s, const fwn_io *io, uint32_t l, uint32_t done, uint32_t n)
{
    fwn_past *past = &s->past[l];
    const size_t width = 2 * s->model->Dp;
    if (past->ready < n && past->ahead <= n) {
        past->ready = 0;
        mul_past(s->h, s, l, n);
        if (s->model->Up) add_cond(s->h, s, l, done, n);
        return (fwn_rows){s->h, width};
    }
    compute_ahead(s, l, s->clock, n);
    float *sums = past->sums + past->used * s->batch * width;
    if (s->model->Up && !past->conditioned) {
        const uint32_t left = io->n - done;
        past->conditioned = past->ready < left ? past->ready : left;
        add_cond(sums, s, l, done, past->conditioned);
    }
    past->used += n;
    past->ready -= n;
    past->conditioned -= s->model->Up ? n : 0;
    return (fwn_rows){sums, width};
}

#endif
