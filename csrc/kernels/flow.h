/* The WaveNet, compiled once per instruction set and precision: the only description of it in C.
 *
 *   x = b0 + first[0][q(t-k0+1)] + ... + first[k0-1][q(t)]; x = tanh(x), if the network has it
 *   for each layer l:
 *       h = b + V_0 x(t-(k-1)d) + ... + V_k-2 x(t-d)        tap 0 is the oldest
 *       h = h + V_l u + V_k-1 x(t)                          u: features of the sample q(t+1)
 *       z = tanh(h[:D]) * sigmoid(h[D:])
 *       x = x + Wo z + bo                                   not after the last layer
 *   s = bs + Ws [z_0, z_1, ..., z_L-1]                      one product for all layers
 *   logits = W2 relu(W1 relu(s) + b1) + b2
 *   q(t+1) ~ softmax(logits / temperature)
 *
 * docs/arithmetic.md fixes the order of every sum; fastwavenet/reference/ is the same in numpy,
 * fastwavenet/training/model.py in PyTorch.
 *
 * A row is a vector of one (time, batch member).  A generated sample is a block of one time step;
 * priming and scoring are blocks of many.  Results do not depend on how steps are cut into
 * blocks. */
#include "vmath.h"
#if FWN_PRECISION == 0
#include "mat_f32.h"
#elif FWN_PRECISION == 1
#include "mat_bf16.h"
#elif FWN_PRECISION == 2 || FWN_PRECISION == 4
#include "mat_i8.h"
#elif FWN_PRECISION == 3
#include "mat_bf16x16.h"
#else
#error "FWN_PRECISION must be 0 (float32), 1 (bfloat16), 2 (int8), 3 (bfloat16x16) or 4 (int8x8)"
#endif
#include "input_codes.h"
#include "past_taps.h"
#include "second_thread.h"
#include "output_softmax.h"
#include "codec_mulaw.h"
#include "probe.h"
#if FWN_PRECISION == 0
#include "upsample.h"
#define FWN_UPSAMPLE upsample
#else
#define FWN_UPSAMPLE NULL
#endif

/* The part of z that belongs to layer l. */
static fwn_act layer_z(const fwn_stream *s, uint32_t l)
{
    fwn_act z = s->z;
    z.at += (size_t)l * s->model->Dp * FWN_GATED_BYTES;
    return z;
}

/* z = tanh(h[:D]) * sigmoid(h[D:]) */
static void gate(fwn_stream *s, uint32_t l, size_t rows)
{
    const uint32_t dp = s->model->Dp;
    const float *h = s->h;
    fwn_act z = layer_z(s, l);
    for (size_t row = 0; row < rows; row++, h += 2 * dp, z = act_from(z, 1))
        act_gate(z, h, h + dp, dp, l == 0);
}

/* relu(x) of rows [n] as inputs of a product, by way of the buffer `row`; NaN stays NaN. */
static fwn_act relu(fwn_act to, float *row, const float *x, size_t rows, uint32_t n)
{
    for (size_t i = 0; i < rows; i++, x += n) {
        for (uint32_t k = 0; k < n; k += 16)
            vf_store(row + k, vf_max(vf_set(0.0f), vf_load(x + k)));
        act_store_relu(act_from(to, i), row, n);
    }
    return to;
}

/* logits = W2 relu(W1 relu(s) + b1) + b2; each product is this thread's share of it. */
static void head(fwn_stream *s, fwn_share *share, size_t rows)
{
    const fwn_model *m = s->model;
    share_exchange(share);
    fwn_act x = relu(share->wide[0], share->row, s->skip, rows, m->Sp);
    mat_mul(s->hidden + share->hidden.first, &share->hidden, x, rows, FWN_NO_START);

    share_exchange(share);
    x = relu(share->wide[1], share->row, s->hidden, rows, m->Hp);
    mat_mul(s->logits + share->output.first, &share->output, x, rows, FWN_NO_START);
}

/* n samples of every row of the batch, `done` samples into the run; n is 1 unless they are
 * forced. */
static int run_block(fwn_stream *s, const fwn_io *io, uint32_t done, uint32_t n)
{
    const fwn_model *m = s->model;
    const uint32_t layers = m->spec.layers;
    const size_t rows = (size_t)n * s->batch;
    const int needs_logits = !io->forced || io->logp || io->logits || io->coders;
    fwn_share *share = share_begin(s, n, needs_logits);

    /* q: the codes of the block and of the samples before it */
    gather_codes(s, io, done, n);

    /* x = b0 + first[0][q(t-k0+1)] + ... + first[k0-1][q(t)] */
    embed_codes(s, n);

    /* V_l u of the frames of q(t+1) and of coming samples, for all layers */
    prepare_cond(s, io, done, n);

    for (uint32_t l = 0; l < layers; l++) {
        const fwn_layer *layer = &m->layers[l];
        const fwn_mat *current = &layer->tap[layer->taps - 1];

        /* x joins the past of this layer */
        push_input(s, l, n);

        /* h = (b + past taps + V_l u) + current tap */
        mul_ring(s->h, s, l, current, 0, n, past_taps(s, io, l, done, n));
        advance_ring(s, l, n);

        /* z = tanh(h[:D]) * sigmoid(h[D:]) */
        gate(s, l, rows);
        share_layer(share);

        /* x = x + Wo z + bo */
        if (l + 1 < layers)
            mat_mul(s->x, &layer->residual, layer_z(s, l), rows, (fwn_rows){s->x, m->Rp});
    }

    if (needs_logits) {
        /* s = bs + Ws [z_0, z_1, ..., z_L-1] */
        mul_skip(s, share, rows);

        /* logits = W2 relu(W1 relu(s) + b1) + b2 */
        head(s, share, rows);
        share_end(s, share);
    }
    s->clock += n;

    /* q(t+1): forced, decoded, or drawn from softmax(logits / temperature) */
    return emit_samples(s, io, done, n, needs_logits);
}

#ifdef FWN_HAS_TILES
#define FWN_BEGIN tiles_begin
#define FWN_END tiles_end
#else
#define FWN_BEGIN NULL
#define FWN_END NULL
#endif

/* fwn_kernels_<isa>_<precision>: the functions compiled in this file (dispatch.h). */
#define FWN_NAME(isa, precision) fwn_kernels_##isa##_##precision
/* clang-format off */
#define FWN_TABLE(isa, precision) \
    const fwn_kernels FWN_NAME(isa, precision) = { \
        .block = run_block, .helper_block = helper_block, .begin = FWN_BEGIN, .end = FWN_END, \
        .store = act_store, .load = act_load, .upsample = FWN_UPSAMPLE, \
        .encode_f32 = encode_f32, .encode_i16 = encode_i16, .decode_f32 = decode_f32, \
        .read = probe_read, .multiply = probe_multiply};
/* clang-format on */
#define FWN_KERNELS(isa) FWN_TABLE(isa, FWN_PRECISION)
