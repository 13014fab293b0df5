/* The state of a stream.  B is its batch, the number of rows generated in step; a letter with p is
 * a padded size (model.h).  A row of a matrix product is a vector of one (time, batch member); rows
 * stand in order of time, batch members of the same time beside one another. */
#ifndef FWN_STREAM_H
#define FWN_STREAM_H

#include <stdatomic.h>
#include "dispatch.h"
#include "pool.h"

/* One row of the batch.  fwn_stream_info may read the atomic fields during a run. */
typedef struct {
    _Atomic uint64_t seed, step; /* steps since reset */
    _Atomic uint32_t id;         /* random stream */
    _Atomic uint32_t begun;      /* a first sample was given, or a step taken */
    _Atomic float last;          /* with pre-emphasis: the last audio sample; else 0 */
    uint32_t next;               /* the code that is fed next */
    uint32_t torn;               /* the process forked while another thread changed it */
    uint32_t *history;           /* [first_kernel - 1] codes fed before, oldest first; Q: none */
} fwn_row;

/* The past of a layer. */
typedef struct {
    fwn_act ring; /* [slots][B] rows of Rp: the layer's inputs, `past` samples and a block */
    uint32_t slots;
    uint32_t write_slot; /* of the next sample */
    uint32_t ahead; /* samples for which past taps are computed at once: at most the dilation */
    float *sums;    /* [ahead][B][2Dp] bias + past taps of coming samples: */
    uint32_t used;  /* samples already consumed */
    uint32_t ready; /* samples after those, still to be consumed */
    uint32_t conditioned; /* of those, samples whose V_l u is added */
} fwn_past;

/* The outputs of the head's products that one thread computes, and its own buffers. */
typedef struct {
    fwn_mat skip, hidden, output;
    fwn_act wide[2];          /* [block * B] rows of Sp, of Hp: the products' inputs */
    float *row;               /* [Sp or Hp] one of them before it is stored */
    fwn_signal *post, *await; /* to and from the other thread; NULL: there is none */
    uint32_t waited;          /* polls of the longest wait in this run */
} fwn_share;

struct fwn_stream {
    const fwn_model *model;
    const fwn_kernels *kernels;
    uint32_t batch; /* B */
    uint32_t block; /* samples in a block, at most */
    fwn_row *row;   /* [B] */
    fwn_past *past; /* [L] */
    uint64_t clock; /* samples fed since creation; decides when past taps are computed ahead */
    uint32_t *in;   /* [B][first_kernel - 1 + block] codes fed in this block */
    float *x;       /* [block * B][Rp] residual stream */
    float *h;       /* [block * B][2Dp] before the gate */
    fwn_act z;      /* [block * B] rows of L * Dp: after the gates */
    float *skip;    /* [block * B][Sp] */
    float *hidden;  /* [block * B][Hp] */
    float *logits;  /* [block * B][Qp] */
    float *weight;  /* [Qp] softmax weights of one row */
    /* conditioning: frames [cond_first, cond_first + cond_count) of the run */
    float *cond;     /* [L][cond_most][B][2Dp] V_l u */
    fwn_act u;       /* [cond_most * B] rows of Up */
    float *cond_row; /* [Up] one of them before it is stored */
    uint32_t cond_most, cond_count;
    uint64_t cond_first;
    /* samples [cond_begin, cond_end) of the run: */
    uint32_t cond_begin, cond_end;
    uint32_t cond_slot[FWN_BLOCK_ROWS]; /* their frames - cond_first, */
    float cond_part[FWN_BLOCK_ROWS];    /* and how far they are on the way to the next one */
    fwn_share whole;                    /* of a single thread ... */
    fwn_share share[2];                 /* ... of the leader and the helper */
    float *skip_sums;         /* [4 * Sp] partial sums of the helper's skip product; or NULL */
    uint32_t n;               /* samples of the block in hand, for the helper */
    _Atomic uint32_t threads; /* 1, or 2: with the helper while it is ready */
    int wait_for_helper; /* two threads were requested: a run starts when the helper is ready */
    uint32_t patience;   /* polls after which the leader takes the helper for late ... */
    double alone_until;  /* ... and runs without it until this time in seconds; 0: it does not */
    fwn_pool *pool;      /* NULL: there is no helper */
    atomic_flag busy;
    void *arena;
    fwn_signal signal[2]; /* the leader's and the helper's */
};

/* ---- one call at a time ---------------------------------------------------------------------- */

static inline int fwn_enter(fwn_stream *s)
{
    return atomic_flag_test_and_set(&s->busy) ? FWN_BUSY : FWN_OK;
}
static inline int fwn_leave(fwn_stream *s, int result)
{
    atomic_flag_clear(&s->busy);
    return result;
}

/* ---- the past of a row of the batch ---------------------------------------------------------- */

/* Sample i, oldest first, of the past of a layer and row. */
static inline fwn_act fwn_past_row(const fwn_stream *s, uint32_t layer, uint32_t row, uint32_t i)
{
    const fwn_past *past = &s->past[layer];
    const uint32_t ago = s->model->layers[layer].past - i;
    const uint32_t slot = past->write_slot + (past->write_slot < ago ? past->slots : 0) - ago;
    const size_t at = (size_t)slot * s->batch + row;
    fwn_act x = past->ring;
    x.at += at * x.stride;
    if (x.scale) x.scale += at;
    if (x.unit) x.unit += 16 * at;
    return x;
}

/* Samples for which past taps are computed at once, at most: FWN_AHEAD rows. */
static inline uint32_t fwn_most_ahead(const fwn_stream *s)
{
    return s->batch < FWN_AHEAD ? FWN_AHEAD / s->batch : 1;
}

/* Sums computed ahead do not hold for a row whose past has changed. */
static inline void fwn_discard_ahead(fwn_stream *s)
{
    for (uint32_t l = 0; l < s->model->spec.layers; l++) s->past[l].ready = 0;
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* The frame to which sample i of a run belongs, for a network with conditioning. */
static inline uint64_t fwn_frame_of(const fwn_stream *s, const fwn_io *io, uint64_t i)
{
    const uint64_t frame = (io->frame_at + i) / s->model->spec.frame_hop;
    return frame < io->n_frames ? frame : io->n_frames ? io->n_frames - 1 : 0;
}

/* ---- run.c ----------------------------------------------------------------------------------- */

typedef struct {
    int error;       /* fwn_error */
    int helped;      /* the helper was ready before the first step */
    uint32_t waited; /* polls of the leader's longest wait for the helper */
} fwn_run_status;

/* Steps of a stream that the caller has for itself, with checked arguments, in the floating-point
 * mode of float_mode.h.  With two threads and `wait` the first step waits until the helper is
 * ready, for a fortieth of a second at most. */
fwn_run_status fwn_run_steps(fwn_stream *s, const fwn_io *io, uint32_t threads, int wait);

/* ---- threads.c ------------------------------------------------------------------------------- */

/* Starts the helper of a stream laid out for two threads, if there can be one, and sets s->threads
 * to the faster number.  All rows must be reset afterwards. */
void fwn_threads_create(fwn_stream *s);

#endif
