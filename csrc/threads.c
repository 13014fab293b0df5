/* Two threads for a stream: who computes what, and whether it pays.  The leader is the thread that calls
 * fwn_run and has the chain of layers; the helper (pool.h) has past taps and part of the head.  When they
 * speak is in flow.h. */
#include <math.h>
#include <time.h>
#include "stream.h"

#define TRIES 4   /* to measure both threads */
#define REST 0.25 /* seconds that a late helper is not called again: somebody else is using its core */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- who computes what ------------------------------------------------------------------------- */

static double weights(const fwn_mat *mat) { return (double)mat->k * mat->n; }

/* Outputs [0, n) of the skip product are the leader's: so many that both threads read as many weights, where
 * there are as many.  n is a multiple of 16 from 0 to Sp: with long kernels the past taps, which are the
 * helper's, may outweigh all else, and the leader has the whole product. */
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

/* The leader's outputs are the first ones. */
static void share_out(fwn_stream *s)
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

/* ---- whether it pays --------------------------------------------------------------------------- */

/* Seconds of a run of so many steps; infinite if the helper was late or did not come.  A first run is for
 * the caches: each thread reads the weights that will be its own. */
static double measure(fwn_stream *s, uint32_t threads, uint32_t steps, uint32_t *waited)
{
    const fwn_io io = {.n = steps, .temperature = 1.0f};
    double best = INFINITY;
    s->threads = threads;
    for (int run = 0; run < 4; run++) {
        const double began = seconds();
        fwn_run(s, &io);
        const double took = seconds() - began;
        if (s->share[0].waited > s->patience || !s->insists) return INFINITY;
        if (run == 0 || took >= best) continue;
        best = took;
        *waited = s->share[0].waited;
    }
    return best;
}

/* The same with both threads, again if the helper was late: a moment ago something else may have had
 * its core, or the system not found it one yet. */
static double measure_both(fwn_stream *s, uint32_t steps, uint32_t *waited)
{
    const struct timespec moment = {0, 2000000};
    double together = INFINITY;
    for (int tries = 0; tries < TRIES && isinf(together); tries++) {
        if (tries) nanosleep(&moment, NULL);
        s->insists = 1;
        together = measure(s, 2, steps, waited);
    }
    return together;
}

void fwn_threads_create(fwn_stream *s)
{
    const uint32_t steps = s->batch < FWN_AHEAD ? FWN_AHEAD / s->batch : 1;
    uint32_t waited = 0;
    share_out(s);
    s->pool = fwn_pool_create(help, s, &s->signal[0]);
    if (!s->pool) return;
    s->insists = 1;
    s->patience = FWN_PATIENCE;
    const double alone = measure(s, 1, steps, &waited);
    if (alone < 10) s->patience += (uint32_t)(alone * FWN_POLLS);
    const double together = measure_both(s, steps, &waited);
    s->insists = 0;
    s->patience = FWN_PATIENCE + 4 * waited;
    s->threads = together < alone ? 2 : 1;
}

/* ---- around a run ------------------------------------------------------------------------------ */

void fwn_threads_call(fwn_stream *s)
{
    s->share[0].waited = 0;
    if (!s->insists && s->alone_until > 0 && seconds() < s->alone_until) return;
    s->alone_until = 0;
    fwn_pool_call(s->pool);
    for (uint32_t looks = 0; s->insists && !fwn_pool_ready(s->pool); looks++) {
        fwn_pause();
        if (looks > FWN_POLLS / 40) s->insists = 0; /* a fork has left it behind, or it has no core */
    }
}

void fwn_threads_dismiss(fwn_stream *s)
{
    fwn_pool_dismiss(s->pool);
    if (s->share[0].waited > s->patience) s->alone_until = seconds() + REST;
}
