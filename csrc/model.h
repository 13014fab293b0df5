/* The packed model.  A letter with p is a size padded to a multiple of 16: R residual, D dilation,
 * S skip, H head, Q levels; L is the number of layers. */
#ifndef FWN_MODEL_H
#define FWN_MODEL_H

#include "arena.h"
#include "fastwavenet.h"

#define FWN_AHEAD 16      /* samples for which past taps are computed at once, at most */
#define FWN_BLOCK_ROWS 64 /* rows that go through the network together, at most */
#define FWN_TILED_ROWS 32 /* rows that AMX reads at once, at most: two tiles */
#define FWN_MAX_LAYERS 512
#define FWN_MAX_STAGES 16
#define FWN_MORE_FRAMES 2 /* frames of a block of steps beyond one for each step */

static inline uint32_t fwn_pad(uint32_t n) { return (n + 15u) & ~15u; }

/* The inputs of a matrix.  int8 has gates' outputs in 8 bits and everything else in 16, int8x8 has
 * only those of conditioning in 16. */
typedef enum {
    FWN_INPUT_ROW,   /* rows of the residual stream, of the head or of conditioning */
    FWN_INPUT_BYTES, /* int8x8: rows of the residual stream */
    FWN_INPUT_RELU,  /* int8x8: rows of the head, none of them negative */
    FWN_INPUT_GATE,  /* one layer's gate outputs, which lie between those of other layers */
    FWN_INPUT_GATES  /* all layers' gate outputs */
} fwn_input;

/* y[n] = start[n] + bias[n] + sum_k W[n][k] x[k]: all outputs of a matrix, or some of them (then
 * rows of y are `stride` wide).  Packed in panels of 16 outputs, inputs in groups of 1 (float32), 2
 * (bfloat16) or 4 (int8): 64 bytes a group.  bfloat16x16: groups of 4 inputs are
 * [even, odd][16] words, the earlier input's weight in the upper half. */
typedef struct {
    uint32_t k, n;          /* inputs, outputs; multiples of 16 */
    uint32_t first, stride; /* these are outputs [first, first + n) of `stride` */
    fwn_input input;
    const void *w;             /* [n / 16][k / group][16][group] */
    const float *scale;        /* [n] int8: value of one unit of a product; else NULL */
    const int32_t *zero_point; /* [blocks of k][stride] int8: initial sums; else NULL */
    const float *bias;         /* [n] or NULL */
} fwn_mat;

/* int8: the number of products of 8-bit weights and 16-bit inputs, or 8-bit ones, whose sum stays
 * below 2^31.  For instructions that take unsigned bytes inputs are stored plus an offset. */
#define FWN_EXACT 512
#define FWN_EXACT_BYTES (512 * 256)
#define FWN_OFFSET 32768
#define FWN_OFFSET_BYTES 128

/* Rows of inputs in the form in which they are multiplied and stored: floats, or for int8 integers
 * as the instruction set multiplies them (kernels/inputs_i8_*.h): two bytes for an input, with a
 * scale per row; or one byte, with 16 units per row: of gates' outputs 1, or NaN where a gate was
 * not finite, of int8x8's other inputs the row's scale. */
typedef struct {
    char *at;
    size_t stride;  /* bytes from row to row */
    float *scale;   /* [rows] of two bytes an input; else NULL */
    float *unit;    /* [rows][16] of one byte an input; else NULL */
    uint32_t batch; /* rows of one time step */
} fwn_act;

typedef struct {
    uint32_t dilation, taps;
    uint32_t past;    /* samples of the past that it reads: (taps - 1) * dilation */
    fwn_mat *tap;     /* [taps] Rp -> 2Dp, oldest first; the bias is in the oldest */
    fwn_mat residual; /* Dp -> Rp; not in the last layer */
    fwn_mat cond;     /* Up -> 2Dp; with conditioning */
} fwn_layer;

/* A stage of upsampling as a convolution: y[n] = bias[n] + sum_k W[n][k] x[k], x the channels of
 * all inputs that affect the outputs in the place of one input, earliest first. */
typedef struct {
    size_t k, n; /* taps * inputs; stride * outputs */
    size_t step; /* inputs: from one x to the next */
    uint32_t taps, relu;
    const float *w;    /* [np / 16][k][16] */
    const float *bias; /* [np] */
} fwn_stage;

struct fwn_model {
    fwn_spec spec; /* with arrays of its own */
    int precision;
    uint32_t Rp, Dp, Sp, Hp, Qp;
    uint32_t Up;           /* inputs of conditioning: frame channels, then a speaker's; 0: none */
    const float *speakers; /* [speakers][Ep] embeddings */
    fwn_stage *stage;      /* [spec.stages] */
    const float *first; /* [first_kernel][Q + 1][Rp]; row Q is that of samples before the first */
    const float *first_bias; /* [Rp] */
    fwn_layer *layers;       /* [L] */
    fwn_mat skip;            /* L * Dp -> Sp: the skip products of all layers as one */
    fwn_mat hidden, output;  /* the head: Sp -> Hp -> Qp */
    fwn_codec codec;
    fwn_mulaw *mulaw; /* its tables */
    uint64_t fingerprint;
    size_t arena_bytes;
    void *arena, *plan; /* the weights; everything else */
};

/* ---- model.c --------------------------------------------------------------------------------- */

/* Bytes of a stream of one row, at most, in the precision that needs most: the layout in
 * stream.c.  A batch needs at most so many for each of its rows. */
uint64_t fwn_most_stream_bytes(const fwn_spec *spec);

/* ---- upsample.c ------------------------------------------------------------------------------ */

/* Inputs that affect the outputs in the place of one. */
uint32_t fwn_stage_taps(const fwn_upsampling *stage);

/* ---- pack.c ---------------------------------------------------------------------------------- */

/* Packs all tensors into the model's matrices.  Weights that every step reads go into `arena`,
 * those of past taps into `apart`; with base == NULL both only count.  FWN_BAD_TENSOR if a tensor
 * is missing, misshapen or unknown. */
int fwn_pack(fwn_model *m, fwn_arena *arena, fwn_arena *apart, const fwn_tensor *tensors,
             size_t count);

/* Outputs [first, first + n) of a matrix; both multiples of 16. */
fwn_mat fwn_mat_part(const fwn_model *m, const fwn_mat *whole, uint32_t first, uint32_t n);
size_t fwn_mat_bytes(const fwn_model *m, const fwn_mat *mat);

#endif
