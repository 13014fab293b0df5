/* Two threads for a stream: which outputs each computes, and whether the second one pays.  The
 * leader is the thread that calls fwn_run and has the chain of layers; the helper (pool.h) has past
 * taps and part of the head. kernels/second_thread.h has the exchange between them. */
#include <math.h>
#include "float_mode.h"
#include "stream.h"

#define FWN_TRIES 4 /* to measure both threads */

/* ---- shares ---------------------------------------------------------------------------------- */

static double weights(const fwn_mat *mat) { return (double)mat->k * mat->n; }

/* The leader computes outputs [0, n) of the skip product, with n such that both threads read as
 * many weights. n is a multiple of 16 in [0, Sp].  Where the past taps, which are the helper's,
 * outweigh everything else, as with long kernels, the leader has the whole product. */
static uint32_t leaders_skip(const fwn_stream *s)
{
    const fwn_model *m = s->model;
    const double skip = weights(&m->skip);
    double chain = 0, past = 0;
    for (uint32_t l = 0; l < m->spec.layers; l++) {
        const fwn_layer *layer = &m->layers[l];
        chain += weights(&layer->tap[0]) + weights(&layer->residual);
        past += weights(&layer->tap[0]) * (layer->taps - 1) / s->past[l].ahead;
    }
    const double part = fmin(fmax((skip + past - chain) / (2 * skip), 0), 1);
    return (uint32_t)(part * m->Sp) / 16 * 16;
}

/* The leader has the first outputs of each product, the helper the others. */
static void divide_outputs(fwn_stream *s)
{
    const fwn_model *m = s->model;
    const uint32_t skip = leaders_skip(s), hidden = fwn_pad(m->Hp / 2), output = fwn_pad(m->Qp / 2);
    fwn_share *lead = &s->share[0], *help = &s->share[1];
    lead->skip = fwn_mat_part(m, &m->skip, 0, skip);
    lead->hidden = fwn_mat_part(m, &m->hidden, 0, hidden);
    lead->output = fwn_mat_part(m, &m->output, 0, output);
    help->skip = fwn_mat_part(m, &m->skip, skip, m->Sp - skip);
    help->hidden = fwn_mat_part(m, &m->hidden, hidden, m->Hp - hidden);
    help->output = fwn_mat_part(m, &m->output, output, m->Qp - output);
    lead->post = help->await = &s->signal[0];
    lead->await = help->post = &s->signal[1];
}

static void help(void *stream)
{
    fwn_stream *s = stream;
    if (s->kernels->begin) s->kernels->begin();
    s->kernels->helper_block(s);
    if (s->kernels->end) s->kernels->end();
}

/* ---- measuring ------------------------------------------------------------------------------- */

/* Seconds of a run of so many steps, the best of three, and the longest wait in it; infinite if the
 * helper was late or not ready.  A first run fills the caches: each thread reads its own
 * weights. */
static double measure(fwn_stream *s, uint32_t threads, uint32_t steps, uint32_t *waited)
{
    const fwn_io io = {.n = steps, .temperature = 1.0f};
    double best = INFINITY;
    for (int run = 0; run < 4; run++) {
        const double began = fwn_seconds();
        const fwn_run_status status = fwn_run_steps(s, &io, threads, 1);
        const double took = fwn_seconds() - began;
        if (threads > 1 && (!status.helped || status.waited > s->patience)) return INFINITY;
        if (run == 0 || took >= best) continue;
        best = took;
        *waited = status.waited;
    }
    return best;
}

/* With both threads, again if the helper was late: its core may have been busy for a moment, or the
 * system not have started it yet. */
static double measure_both(fwn_stream *s, uint32_t steps, uint32_t *waited)
{
    double together = INFINITY;
    for (int tries = 0; tries < FWN_TRIES && isinf(together); tries++) {
        if (tries) fwn_nap();
        together = measure(s, 2, steps, waited);
    }
    return together;
}

void fwn_threads_create(fwn_stream *s)
{
    const uint32_t steps = s->batch < FWN_AHEAD ? FWN_AHEAD / s->batch : 1;
    uint32_t waited = 0;
    divide_outputs(s);
    s->pool = fwn_pool_create(help, s, &s->signal[0]);
    if (!s->pool) return;
    const fwn_float_mode host = fwn_set_mode();
    s->patience = FWN_PATIENCE;
    const double alone = measure(s, 1, steps, &waited);
    if (alone < 10) s->patience += (uint32_t)(alone * FWN_POLLS);
    const double together = measure_both(s, steps, &waited);
    s->patience = FWN_PATIENCE + 4 * waited;
    s->threads = together < alone ? 2 : 1;
    fwn_restore_mode(host);
}
