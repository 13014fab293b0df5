/* What a model and a stream are made of: config, weights, state.  Shapes stand beside pointers;
 * a letter with p is a size padded to a multiple of 16 (R residual, D dilation, S skip, H head,
 * Q levels, L layers, B rows). */
#ifndef FWN_MODEL_H
#define FWN_MODEL_H

#include <stdatomic.h>
#include "fastwavenet.h"
#include "pool.h"

#define FWN_AHEAD 16      /* samples for which past taps are computed at once, at most */
#define FWN_BLOCK_ROWS 64 /* rows (time x stream) that go through the network together */
#define FWN_ALIGN 64
#define FWN_TILE 32 /* rows of a tile of inputs, at most */
#define FWN_INLINE static inline __attribute__((always_inline))

static inline uint32_t fwn_pad(uint32_t n) { return (n + 15u) & ~15u; }

/* ---- model: written once, by fwn_model_create ------------------------------------------------- */

/* y[n] = start[n] + bias[n] + sum_k W[n][k] x[k], packed in panels of 16 outputs, inputs in groups
 * of 1 (float32), 2 (bfloat16) or 4 (int8): 64 bytes a group. */
typedef struct {
    uint32_t k, n;      /* inputs, outputs; multiples of 16 */
    uint32_t from, of;  /* it is the outputs from `from` on of a matrix of `of`: usually all, 0 and n */
    int gated;          /* inputs are a gate's outputs (1), or all gates' (2): 8 bits in int8, others 16 */
    const void *w;      /* [n / 16][k / group][16][group] */
    const float *scale; /* [n] int8: what a product of integers is worth; else NULL */
    const int32_t *fix; /* [blocks of k][of] int8: sums begin here; else NULL */
    const float *bias;  /* [n] or NULL */
} fwn_mat;

/* int8: so many products of 8-bit weights and 16-bit inputs, or a gate's 8-bit outputs, have a sum
 * below 2^31.  Inputs are stored plus an offset, as unsigned bytes. */
#define FWN_EXACT 512
#define FWN_EXACT_GATED (512 * 256)
#define FWN_OFFSET 32768
#define FWN_OFFSET_GATED 128

/* Rows of inputs in the form in which they are multiplied and remembered: floats, or for int8
 *   [low bytes][high bytes + 128], each padded to 64 bytes, with a scale per row; a gate's outputs:
 *   [bytes + 128], padded to 64, with 16 checks per row: 1, NaN where a gate's was not finite. */
typedef struct {
    char *at;
    size_t stride; /* bytes from row to row */
    float *scale;  /* int8: [rows] or [rows][16]; else NULL */
    uint32_t batch; /* so many rows are multiplied at every step, whatever is done ahead */
} fwn_act;

typedef struct {
    uint32_t dilation, taps;
    uint32_t past;  /* samples of the past it needs: (taps - 1) * dilation */
    fwn_mat *tap;   /* [taps] Rp -> 2Dp, oldest first; the bias is in the oldest */
    fwn_mat residual; /* Dp -> Rp; not in the last layer */
} fwn_layer;

/* The outputs from `from` on, `n` of them; both multiples of 16. */
fwn_mat fwn_mat_part(const fwn_model *m, const fwn_mat *whole, uint32_t from, uint32_t n);

struct fwn_model {
    fwn_spec spec;           /* with arrays of its own */
    int precision;
    uint32_t Rp, Dp, Sp, Hp, Qp;
    const float *first;      /* [first_kernel][Q + 1][Rp]; row Q is "before the first sample" */
    const float *first_bias; /* [Rp] */
    fwn_layer *layers;       /* [L] */
    fwn_mat skip;            /* L * Dp -> Sp: the skip products of all layers as one */
    fwn_mat hidden, output;  /* Sp -> Hp -> Qp */
    fwn_mulaw *codec;
    uint64_t fingerprint;
    size_t arena_bytes;
    void *arena, *plan;      /* the weights; everything else */
};

/* ---- stream: everything that changes ---------------------------------------------------------- */

typedef struct {
    _Atomic uint64_t seed, step; /* steps since reset */
    _Atomic uint32_t id;         /* random stream */
    _Atomic uint32_t begun;      /* a first sample was given, or a step taken */
    uint32_t next;               /* the code that is fed next */
    uint32_t torn;               /* the process forked while another thread changed it */
    uint32_t *history;           /* [first_kernel - 1] codes fed before, oldest first; Q: none */
} fwn_row; /* atomic is what fwn_stream_info reads, perhaps while another thread runs the stream */

typedef struct {
    fwn_act ring;   /* [slots][B] rows of R: the layer's inputs, `past` samples and a block */
    uint32_t slots;
    uint32_t head;  /* the slot of the sample about to be fed */
    uint32_t ahead; /* samples for which past taps are computed at once: at most the dilation */
    float *part;    /* [ahead][B][2Dp] bias + past taps of the coming samples ... */
    uint32_t ready; /* ... of which this many, from `used` on, are still to be used */
    uint32_t used;
} fwn_past;

/* What a thread computes of the head: some outputs of each product, at each step the same. */
typedef struct {
    fwn_mat skip, hidden, output;
    fwn_act wide[2]; /* [block * B] rows of Sp, rows of Hp: what it multiplies */
    float *row;      /* [Sp or Hp] one of them in the making */
    fwn_voice *mine, *other; /* NULL: it is alone */
    uint32_t waited; /* looks for the other, at most, in this run */
} fwn_share;

typedef struct fwn_kernels fwn_kernels;

struct fwn_stream {
    const fwn_model *model;
    const fwn_kernels *kernels;
    uint32_t rows;  /* B */
    uint32_t block; /* samples in a block, at most; n below is the block in hand */
    fwn_row *row;   /* [B] */
    fwn_past *past; /* [L] */
    uint64_t clock; /* samples fed since creation: when the layers work ahead */
    uint32_t *in;   /* [B][first_kernel - 1 + block] codes fed in this block */
    float *x;       /* [block * B][Rp] residual stream; rows are (time, stream), stream fastest */
    float *h;       /* [block * B][2Dp] before the gate */
    fwn_act z;      /* [block * B] rows of L * Dp: after the gates */
    float *skip;    /* [block * B][Sp] */
    float *hidden;  /* [block * B][Hp] */
    float *logits;  /* [block * B][Qp] */
    float *weight;  /* [Qp] softmax weights of one row */
    fwn_share whole;    /* of a thread that is alone ... */
    fwn_share part[2];  /* ... of the leader and its helper */
    float *sums;        /* [4 * Sp] of the helper's skip product as it grows; or NULL */
    uint32_t n;         /* samples of the block in hand, for the helper */
    _Atomic uint32_t threads; /* 1, or 2: with the helper while it is ready */
    int insists;        /* 2 were asked for, whatever is faster */
    uint32_t patience;  /* looks that the leader takes before its helper is late ... */
    double alone_until; /* ... and it does without for a while; 0: it is not */
    fwn_pool *pool;     /* NULL: there is no helper */
    atomic_flag busy;
    void *arena;
    fwn_voice voice[2]; /* the leader's and the helper's */
};

/* Two threads, for a stream laid out for them: a helper, if there can be one, and whether it pays; around
 * a run. */
void fwn_threads_create(fwn_stream *s);
void fwn_threads_call(fwn_stream *s);
void fwn_threads_dismiss(fwn_stream *s);

/* What is compiled once per ISA and precision. */
struct fwn_kernels {
    int (*block)(fwn_stream *, const fwn_io *, uint32_t done, uint32_t n);
    void (*help)(fwn_stream *); /* with the leader's block */
    void (*begin)(void), (*end)(void); /* around blocks; or NULL */
    void (*store)(fwn_act row, const float *x, uint32_t k); /* x [k] as a row ... */
    void (*load)(float *x, fwn_act row, uint32_t k);        /* ... and back: storing it changes no bit */
    int (*encode_f32)(const fwn_mulaw *, const float *x, size_t n, void *codes);
    void (*encode_i16)(const fwn_mulaw *, const int16_t *x, size_t n, void *codes);
    void (*decode_f32)(const fwn_mulaw *, const void *codes, size_t n, float *x);
};
const fwn_kernels *fwn_kernels_of(int isa, int precision); /* NULL: unknown, or not supported here */

/* ---- memory: one zeroed, aligned block, dealt out in order ------------------------------------ */

/* With base == NULL it only counts: lay out once to learn the size, once for real. */
typedef struct {
    char *base;
    size_t used;
} fwn_arena;
void *fwn_take(fwn_arena *arena, size_t count, size_t size);
void *fwn_arena_memory(size_t bytes); /* zeroed; free() it */

uint64_t fwn_hash(uint64_t h, const void *words, size_t count); /* of 32-bit words */

#endif
