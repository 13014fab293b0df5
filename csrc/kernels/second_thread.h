/* Two threads for one block (threads.c, pool.h).  The leader, the thread in fwn_run, has the chain
 * of layers; the helper has the past taps of the next sample and some outputs of the head's
 * products.
 *
 *   leader: run_block                          helper: helper_block
 *   share_begin                 post ------->  starts
 *   each layer   share_layer    post ------->  adds Ws_l z_l to its skip sums; past taps of layer l
 *   its outputs of s            <- exchange -> its outputs of s
 *   its hidden channels         <- exchange -> its hidden channels
 *   its logits   share_end      <------- post  its logits
 *
 * A single thread has a share of all outputs and no signals: the same calls do nothing. */
#ifndef FWN_SECOND_THREAD_H
#define FWN_SECOND_THREAD_H

#include "../stream.h"

static void head(fwn_stream *s, fwn_share *share, size_t rows); /* flow.h */

static void share_post(const fwn_share *share)
{
    if (share->post) signal_post(share->post);
}

static void share_wait(fwn_share *share)
{
    const uint32_t polls = share->await ? signal_wait(share->await) : 0;
    if (polls > share->waited) share->waited = polls;
}

/* Both threads have computed their outputs; after it both may read all of them. */
static void share_exchange(fwn_share *share)
{
    share_post(share);
    share_wait(share);
}

/* The share of the thread that runs a block: all outputs, or the leader's if its helper is
 * ready. */
static fwn_share *share_begin(fwn_stream *s, uint32_t n, int needs_logits)
{
    const int helped = needs_logits && s->pool && fwn_pool_ready(s->pool);
    fwn_share *share = helped ? &s->share[0] : &s->whole;
    s->n = n;
    share_post(share);
    return share;
}

/* The z of a layer is stored. */
static void share_layer(const fwn_share *share) { share_post(share); }

/* Waits for the helper's logits; a helper that was late is not used for the rest of the run. */
static void share_end(fwn_stream *s, fwn_share *share)
{
    share_wait(share);
    if (share->waited > s->patience) fwn_pool_dismiss(s->pool);
}

/* This thread's outputs of s = bs + Ws [z_0, ..., z_L-1]. */
static void mul_skip(fwn_stream *s, const fwn_share *share, size_t rows)
{
    float *y = s->skip + share->skip.first;
    if (rows == 1 && s->clock % 2) mat_mul_back(y, &share->skip, s->z, FWN_NO_START);
    else mat_mul(y, &share->skip, s->z, rows, FWN_NO_START);
}

/* The helper's part of a block.  For a single row it adds the skip products layer by layer, as soon
 * as each z is stored. */
static void helper_block(fwn_stream *s)
{
    fwn_share *share = &s->share[1];
    const fwn_mat *skip = &share->skip;
    const size_t rows = (size_t)s->n * s->batch;
    const int by_layer = rows == 1 && s->skip_sums;
    if (by_layer) sums_begin(s->skip_sums, skip);
    for (uint32_t l = 0; l < s->model->spec.layers; l++) {
        const uint32_t k = l * s->model->Dp;
        share_wait(share);
        if (by_layer) sums_add(s->skip_sums, skip, s->z, k, k + s->model->Dp);
        if (s->n == 1) compute_ahead(s, l, s->clock + 1, 1);
    }
    if (by_layer) sums_end(s->skip + skip->first, skip, s->skip_sums, s->z);
    else mul_skip(s, share, rows);
    head(s, share, rows);
    share_post(share);
}

#endif
