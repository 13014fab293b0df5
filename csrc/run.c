/* Running a stream: blocks of steps, with the helper thread if it is called. */
#include "float_mode.h"
#include "range_coder.h"
#include "stream.h"

#define FWN_REST 0.25 /* seconds without a helper that was late: another program uses its core */

/* ---- the helper ------------------------------------------------------------------------------ */

/* Calls the helper; with `wait`, until it is ready or for a fortieth of a second.  Returns whether
 * it is ready: it may still become so during the run. */
static int call_helper(fwn_stream *s, int wait)
{
    s->share[0].waited = 0;
    if (!wait && s->alone_until > 0 && fwn_seconds() < s->alone_until) return 0;
    s->alone_until = 0;
    fwn_pool_call(s->pool);
    for (uint32_t polls = 0; wait && !fwn_pool_ready(s->pool) && polls <= FWN_POLLS / 40; polls++)
        fwn_pause();
    return fwn_pool_ready(s->pool);
}

static void dismiss_helper(fwn_stream *s)
{
    fwn_pool_dismiss(s->pool);
    if (s->share[0].waited > s->patience) s->alone_until = fwn_seconds() + FWN_REST;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static int run_blocks(fwn_stream *s, const fwn_io *io)
{
    const fwn_kernels *k = s->kernels;
    int error = FWN_OK;
    if (k->begin) k->begin();
    for (uint32_t done = 0, n; done < io->n && !error; done += n) {
        const uint32_t left = io->n - done;
        n = !io->forced ? 1 : left < s->block ? left : s->block;
        error = k->block(s, io, done, n);
    }
    if (k->end) k->end();
    return error;
}

fwn_run_status fwn_run_steps(fwn_stream *s, const fwn_io *io, uint32_t threads, int wait)
{
    fwn_run_status status = {FWN_OK, 0, 0};
    if (threads > 1) status.helped = call_helper(s, wait);
    status.error = run_blocks(s, io);
    if (threads > 1) dismiss_helper(s);
    if (threads > 1) status.waited = s->share[0].waited;
    return status;
}

/* ---- fwn_run --------------------------------------------------------------------------------- */

/* Frames and speakers are given exactly where the network has channels for them. */
static int check_conditioning(const fwn_stream *s, const fwn_io *io)
{
    const fwn_spec *spec = &s->model->spec;
    const int has_frames = io->frames && io->n_frames;
    if (has_frames != (spec->frame_channels > 0) || !io->frames != !io->n_frames) return 0;
    if (!io->speakers != !spec->speakers || io->frame_at > UINT64_MAX - io->n) return 0;
    for (uint32_t b = 0; io->speakers && b < s->batch; b++)
        if (io->speakers[b] >= spec->speakers) return 0;
    return 1;
}

static int is_temperature(float t) { return t == 0.0f || (t >= 1e-3f && t <= 1e3f); }
static int is_min_p(float p) { return p >= 0.0f && p <= 1.0f; }

/* Temperature and min_p, where they are given also those of the frames of this run. */
static int check_draws(const fwn_stream *s, const fwn_io *io)
{
    if (!is_temperature(io->temperature) || !is_min_p(io->min_p)) return 0;
    if (!io->frame_temperature && !io->frame_min_p) return 1;
    if (!io->n_frames) return 0;
    const size_t first = fwn_frame_of(s, io, 0) * s->batch;
    const size_t end = io->n ? (fwn_frame_of(s, io, io->n - 1) + 1) * s->batch : first;
    for (size_t i = first; i < end; i++) {
        if (io->frame_temperature && !is_temperature(io->frame_temperature[i])) return 0;
        if (io->frame_min_p && !is_min_p(io->frame_min_p[i])) return 0;
    }
    return 1;
}

/* A coder for each row, with room, and places within the widths of forced samples. */
static int check_coders(const fwn_stream *s, const fwn_io *io)
{
    if (!io->coders) return !io->widths && !io->places;
    if (!io->widths != !io->places) return 0;
    for (uint32_t b = 0; b < s->batch; b++) {
        const fwn_coder *c = &io->coders[b];
        const uint64_t n = c->left < io->n ? c->left : io->n;
        if ((io->forced ? !c->to : !c->from) || c->range < FWN_CODER_LEAST) return 0;
        if (io->forced && (c->used > c->size || c->size - c->used < FWN_CODED_BYTES(n))) return 0;
        for (size_t i = 0; io->widths && io->forced && i < n; i++) {
            const size_t at = (size_t)b * io->n + i;
            if (io->places[at] >= io->widths[io->forced[at]]) return 0;
        }
    }
    for (uint32_t q = 0; io->widths && q < s->model->spec.levels; q++)
        if (io->widths[q] > 65536) return 0;
    return 1;
}

static int check_io(const fwn_stream *s, const fwn_io *io)
{
    const uint32_t levels = s->model->spec.levels;
    for (uint32_t b = 0; b < s->batch; b++)
        if (s->row[b].torn) return FWN_FORKED;
    if (!check_conditioning(s, io) || !check_draws(s, io)) return FWN_BAD_ARGUMENT;
    for (size_t i = 0; io->forced && i < (size_t)io->n * s->batch; i++)
        if (io->forced[i] >= levels) return FWN_BAD_CODE;
    return check_coders(s, io) ? FWN_OK : FWN_BAD_ARGUMENT;
}

int fwn_run(fwn_stream *s, const fwn_io *io)
{
    if (!s || !io) return FWN_BAD_ARGUMENT;
    if (fwn_enter(s)) return FWN_BUSY;
    const fwn_float_mode host = fwn_set_mode();
    int error = check_io(s, io);
    if (!error) {
        const fwn_run_status status = fwn_run_steps(s, io, s->threads, s->wait_for_helper);
        if (!status.helped) s->wait_for_helper = 0; /* it has no core, or a fork left it behind */
        error = status.error;
    }
    fwn_restore_mode(host);
    return fwn_leave(s, error);
}
