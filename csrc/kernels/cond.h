/* Conditioning: V_l u, where u are the channels of the frame to which the predicted sample belongs,
 * and those of the row's speaker.  V_l u is computed once for each frame, for many frames
 * at once; between frames it is held, or interpolated, as u would be but for rounding. */
#ifndef FWN_COND_H
#define FWN_COND_H

#include "../stream.h"

/* u of a row of the batch in a frame, at s->u.  After the last frame its channels are held. */
static void store_inputs(fwn_stream *s, const fwn_io *io, uint64_t frame, uint32_t b, size_t at)
{
    const fwn_model *m = s->model;
    const uint32_t c = m->spec.frame_channels, e = m->spec.speaker_channels;
    float *u = s->cond_row;
    if (io->frames && frame >= io->n_frames) frame = io->n_frames - 1;
    memset(u, 0, m->Up * sizeof *u);
    if (io->frames) memcpy(u, io->frames + (frame * s->batch + b) * c, c * sizeof *u);
    if (io->speakers)
        memcpy(u + c, m->speakers + (size_t)io->speakers[b] * fwn_pad(e), e * sizeof *u);
    act_store(act_from(s->u, at), u, m->Up);
}

/* Computes V_l u of frames [first, first + count) for all layers. */
static void project_frames(fwn_stream *s, const fwn_io *io, uint64_t first, uint32_t count)
{
    const fwn_model *m = s->model;
    const size_t rows = (size_t)count * s->batch;
    const size_t layer = (size_t)s->cond_most * s->batch * 2 * m->Dp;
    for (uint32_t f = 0; f < count; f++)
        for (uint32_t b = 0; b < s->batch; b++)
            store_inputs(s, io, first + f, b, (size_t)f * s->batch + b);
    for (uint32_t l = 0; l < m->spec.layers; l++)
        mat_mul(s->cond + l * layer, &m->layers[l].cond, s->u, rows, FWN_NO_START);
    s->cond_first = first;
    s->cond_count = count;
}

/* The frames of samples [done, done + n) of the run, and as many after them as there is room for and
 * the run has. */
static void prepare_frames(fwn_stream *s, const fwn_io *io, uint32_t done, uint32_t n)
{
    const uint32_t next = s->model->spec.frame_linear;
    const uint64_t first = fwn_frame_of(s, io, done);
    const uint64_t last = fwn_frame_of(s, io, (uint64_t)done + n - 1) + next;
    if (s->cond_count && first >= s->cond_first && last < s->cond_first + s->cond_count) return;
    const uint64_t end = fwn_frame_of(s, io, (uint64_t)io->n - 1) + next + 1;
    const uint64_t count = end - first < s->cond_most ? end - first : s->cond_most;
    project_frames(s, io, first, (uint32_t)count);
}

/* Frames and places in them of n samples, `done` samples into the run, and of those after them whose
 * past taps are computed with theirs. */
static void prepare_cond(fwn_stream *s, const fwn_io *io, uint32_t done, uint32_t n)
{
    if (!s->model->Up) return;
    if (done == 0) s->cond_count = s->cond_end = 0; /* another run's frames are others */
    const uint32_t left = io->n - done, ahead = fwn_most_ahead(s), used = n < ahead ? ahead : n;
    if (done + (used < left ? used : left) <= s->cond_end) return;
    const uint32_t count = s->block < left ? s->block : left;
    prepare_frames(s, io, done, count);
    const uint32_t hop = s->model->spec.frame_hop;
    for (uint32_t i = 0; i < count; i++) {
        s->cond_slot[i] = (uint32_t)(fwn_frame_of(s, io, done + i) - s->cond_first);
        s->cond_part[i] = (float)((io->frame_at + done + i) % hop) / (float)hop;
    }
    s->cond_begin = done;
    s->cond_end = done + count;
}

/* h += V_l u, for each row of n samples, `done` samples into the run. */
static void add_cond(float *h, const fwn_stream *s, uint32_t l, uint32_t done, uint32_t n)
{
    const fwn_model *m = s->model;
    const size_t frame = (size_t)s->batch * 2 * m->Dp;
    const float *cond = s->cond + (size_t)l * s->cond_most * frame;
    for (uint32_t i = done - s->cond_begin; n-- > 0; i++, h += frame) {
        const float *now = cond + s->cond_slot[i] * frame, *next = now + frame;
        const vf part = vf_set(s->cond_part[i]);
        for (size_t k = 0; k < frame; k += 16) {
            vf v = vf_load(now + k);
            if (m->spec.frame_linear) v = vf_fma(part, vf_sub(vf_load(next + k), v), v);
            vf_store(h + k, vf_add(vf_load(h + k), v));
        }
    }
}

#endif
