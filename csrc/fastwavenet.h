/* fastwavenet: generate from a WaveNet on a CPU.
 *
 * The whole contract between the engine and its callers: the Cython border, C programs, tests.
 * Plain C: no Python, no files, no output, no mutable globals.
 *
 *   model   the network: spec + packed weights.  Immutable; any number of threads may share it.
 *   stream  a batch of independent rows in step, each with its own past, seed and position.  One
 *           call at a time: a second one, from any thread, returns FWN_BUSY.
 *
 * Only the _create functions allocate.  Functions return FWN_OK or a negative fwn_error; an error
 * changes nothing unless its comment states otherwise.  Arrays are C-contiguous, with their shapes
 * beside them.  docs/arithmetic.md defines every bit of the results. */
#ifndef FASTWAVENET_H
#define FASTWAVENET_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    FWN_OK = 0,
    FWN_NO_MEMORY = -1,
    FWN_BAD_SPEC = -2,   /* a size of the network outside its bounds */
    FWN_BAD_TENSOR = -3, /* missing, extra, misshapen or not finite */
    FWN_BAD_ARGUMENT = -4,
    FWN_BAD_CODE = -5,    /* a code that is not below `levels` */
    FWN_BAD_AUDIO = -6,   /* NaN or infinity where audio was expected */
    FWN_BAD_STATE = -7,   /* bytes that fwn_state_save did not write for this model */
    FWN_BAD_ISA = -8,     /* unknown, or not supported by this CPU and operating system */
    FWN_BUSY = -9,        /* the stream is in use by another call */
    FWN_STARTED = -10,    /* fwn_stream_begin after the first step */
    FWN_NOT_FINITE = -11, /* the network's outputs overflowed; the stream must be reset */
    FWN_FORKED = -12,     /* the process forked during a call: the row must be reset or loaded */
    FWN_BAD_BYTES = -13   /* bytes that no encoder wrote for this model */
} fwn_error;
const char *fwn_strerror(int error);

/* Instruction sets.  fwn_isa_list writes at most `max` of those that both CPU and operating system
 * support, slowest first, and returns their number. */
typedef enum {
    FWN_SCALAR = 0,
    FWN_AVX2 = 1,
    FWN_AVX512 = 2,
    FWN_NEON = 3,
    FWN_VNNI = 4,       /* AVX-512 and its products of bytes */
    FWN_AMX = 5,        /* VNNI and tiles of bytes */
    FWN_WASM = 6,       /* WebAssembly's vectors of 128 bits */
    FWN_AVXVNNI = 7,    /* AVX2 and products of bytes */
    FWN_AVX512BF16 = 8, /* VNNI and products of pairs of bfloat16; AMX is better */
    FWN_ISAS = 9
} fwn_isa;
int fwn_isa_list(int *out, int max);
const char *fwn_isa_name(int isa); /* "scalar", "avx2", ... ; NULL if unknown */

/* How weights are kept and multiplied.  Every instruction set computes every precision. */
typedef enum {
    FWN_FLOAT32 = 0,
    FWN_BFLOAT16 = 1,
    FWN_INT8 = 2,
    FWN_BFLOAT16X16 = 3, /* a draft: its bits may change */
    FWN_INT8X8 = 4,
    FWN_PRECISIONS = 5
} fwn_precision;
const char *fwn_precision_name(int precision); /* "float32", "bfloat16", ...; NULL if unknown */

/* ---- the network: Q levels, R residual, D dilation, S skip, H head channels, L layers -------- */

/* How amplitudes x become codes, and codes amplitudes:
 *   c(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu), x clipped to [-1, 1]
 *   code = clip(floor((c(x) + 1) / 2 steps + encode_offset), 0, levels - 1)
 *   u    = 2 (code - decode_offset) / decode_divisor - 1,  x = sign(u) ((1 + mu)^|u| - 1) / mu
 * Bounds: mu and steps 1 to 65536, offsets -65536 to 65536, decode_divisor 1 to 131072, |u| of all
 * codes at most 1.25.  pre_emphasis, 0 to 0.999, is a in y(t) = x(t) - a x(t - 1), which is applied
 * before encoding and undone after decoding.  NULL stands for the numbers in which every code
 * survives decoding and encoding: mu = steps = decode_divisor = levels - 1, 0.5, 0, 0. */
typedef struct {
    double mu, steps, encode_offset, decode_offset, decode_divisor, pre_emphasis;
} fwn_codec;

/* A stage of learned upsampling, over time: with stride 1 a convolution, above a transposed one.  Of
 * n inputs the full convolution has (n - 1) stride + kernel outputs, of which the stage keeps n
 * stride from number `crop` on.  Bounds: inputs and outputs 1 to 4096, kernel and stride 1 to 65536,
 * stride + crop at most kernel. */
typedef struct {
    uint32_t inputs, outputs; /* channels */
    uint32_t kernel, stride, crop;
    uint32_t relu; /* 1: of the outputs */
} fwn_upsampling;

typedef struct {
    uint32_t levels, residual, dilation_channels, skip, head; /* Q, R, D, S, H */
    uint32_t first_kernel, layers;
    const uint32_t *kernels, *dilations; /* [layers] each */
    uint32_t start_code;                 /* the first input of a fresh row */
    uint32_t first_tanh;                 /* 1: tanh of the first convolution */
    uint32_t first_from_start;           /* 1: codes before the first are start_code; 0: none */
    const fwn_codec *codec;              /* or NULL */
    /* Conditioning: C channels of each frame, and E of a speaker's embedding; all 0 without.
     * Bounds: C and E up to 4096, speakers up to 65536 and 0 exactly if E is 0, frame_hop 1 to
     * 65536, also of speakers alone.  With upsampling, these frames are the last stage's outputs:
     * fwn_upsample makes them of the first stage's inputs, which last frame_hop times all strides,
     * at most 65536. */
    uint32_t frame_channels, frame_hop;  /* C; samples that a frame lasts */
    uint32_t frame_linear;               /* 1: channels are interpolated up to the next frame */
    uint32_t speakers, speaker_channels; /* their number, E */
    const fwn_upsampling *upsampling;    /* [stages], in order */
    uint32_t stages;                     /* up to 16; 0: none */
} fwn_spec;

/* Weights are float32, tap 0 is the oldest sample, an absent bias is zero:
 *   first.weight [first_kernel][Q][R]      first.bias [R]
 *   layers.l.dilated.weight [2D][R][kernel], tanh half first      .bias [2D]
 *   layers.l.residual.weight [R][D][1]     .bias [R]              (not in the last layer)
 *   layers.l.conditioning.weight [2D][C + E][1]   conditioning.speakers.weight [speakers][E]
 *   conditioning.upsampling.i.weight [outputs][inputs][kernel]    .bias [outputs]
 *       with stride above 1 [inputs][outputs][kernel]
 *   layers.l.skip.weight [S][D][1]         .bias [S]
 *   head.hidden.weight [H][S][1]  .bias    head.output.weight [Q][H][1]  .bias */
typedef struct {
    const char *name;
    const float *data;
    uint32_t rank, shape[4];
} fwn_tensor;

typedef struct fwn_model fwn_model;
int fwn_model_create(const fwn_spec *spec, const fwn_tensor *tensors, size_t count, int precision,
                     fwn_model **out);
void fwn_model_destroy(fwn_model *model);

typedef struct {
    size_t arena_bytes;   /* packed weights */
    size_t step_bytes;    /* weight bytes read for one generated sample of one row */
    uint64_t fingerprint; /* of spec, weights and precision: ties a saved state to its model */
    const void *arena;    /* address of the packed weights, advised to be huge pages (smaps) */
} fwn_info;
int fwn_model_info(const fwn_model *model, fwn_info *out);

/* ---- upsampling ------------------------------------------------------------------------------ */

/* Inputs before and after one that affect the outputs in its place. */
void fwn_upsampling_reach(const fwn_upsampling *stage, uint32_t *before, uint32_t *after);
/* The outputs of a stage in the places of the inputs that have all inputs within their reach: all
 * but the first `before` and the last `after`, so n must exceed their sum.
 *   x [rows][n][inputs], finite      y [rows][(n - before - after) * stride][outputs]
 * No output depends on the cuts between calls.  The caller chooses the frames before the first one
 * and behind the last one.  Any number of threads may call it at once. */
int fwn_upsample(const fwn_model *model, int isa, uint32_t stage, uint32_t rows, size_t n,
                 const float *x, float *y);

/* ---- streams --------------------------------------------------------------------------------- */

typedef struct fwn_stream fwn_stream;
/* threads 2: a second thread beside the caller's, if about a hundred measured steps are faster with
 * it.  It sleeps between runs, and does not exist in a forked child. */
int fwn_stream_create(const fwn_model *model, int isa, uint32_t batch, uint32_t threads,
                      fwn_stream **out);
void fwn_stream_destroy(fwn_stream *stream);
/* Bytes of a stream of this batch with one thread; 0 if it cannot be created. */
size_t fwn_stream_bytes(const fwn_model *model, uint32_t batch);
uint32_t fwn_stream_threads(const fwn_stream *stream); /* in use: 1 or 2 */
/* Overrides the measurement.  2 requires a stream created with two whose second thread exists. */
int fwn_stream_set_threads(fwn_stream *stream, uint32_t threads);

/* Resets a row: silent past, start code next, step 0, random numbers of (seed, id). */
int fwn_stream_reset(fwn_stream *stream, uint32_t row, uint64_t seed, uint32_t id);
/* Replaces the start code of a fresh row by a given first sample. */
int fwn_stream_begin(fwn_stream *stream, uint32_t row, uint32_t code);
/* Sets the row's last audio sample, a finite number, after codes encoded from audio were forced:
 * with pre-emphasis the next sample depends on it. */
int fwn_stream_set_last(fwn_stream *stream, uint32_t row, float audio);

/* In a child process, before any other call, for a stream that a thread of the parent was using at
 * the fork.  That thread does not exist in the child, so the stream becomes free and all its rows
 * torn: runs and saves return FWN_FORKED until every row is reset or loaded. */
int fwn_stream_forked(fwn_stream *stream);

/* Never FWN_BUSY: another thread may be running the stream meanwhile. */
typedef struct {
    uint64_t seed, step; /* steps since reset, forced or drawn */
    uint32_t id, begun;  /* begun: a first sample was given, or a step taken */
    float last;          /* the last audio sample, with pre-emphasis; else 0 */
} fwn_row_info;
int fwn_stream_info(const fwn_stream *stream, uint32_t row, fwn_row_info *out);

/* A range coder over the distributions of a row's samples (docs/arithmetic.md).  An encoder turns
 * forced samples into bytes; a decoder draws from the bytes the samples that they were made of.
 * Samples of a run after the last of its `left` are not coded; a decoder's are the start code. */
typedef struct {
    uint8_t *to;         /* [size] of an encoder; else NULL */
    const uint8_t *from; /* [size] of a decoder; else NULL */
    size_t size, used;   /* bytes; a decoder reads zeros behind the last */
    uint64_t left;       /* samples still to be coded */
    uint64_t low, range; /* the interval in hand; a decoder's low is its number minus the begin */
    int damaged;         /* of a decoder: its bytes are none of an encoder */
} fwn_coder;
/* Bytes that an encoder of n samples may need, 47 bits for a code and 20 for a place among its
 * values: `to` must have room for them at each run. */
#define FWN_CODED_BYTES(n) (9 * (uint64_t)(n) + 2)
int fwn_encoder_begin(fwn_coder *coder, uint8_t *to, size_t size, uint64_t samples);
/* After the last sample: the last byte.  `size` becomes the number of all bytes. */
int fwn_encoder_end(fwn_coder *coder);
int fwn_decoder_begin(fwn_coder *coder, const uint8_t *from, size_t size, uint64_t samples);
/* FWN_OK if all samples were decoded, from exactly these bytes; else FWN_BAD_BYTES. */
int fwn_decoder_end(const fwn_coder *coder);

/* One step feeds a row its next code, yields the distribution of the sample after it, and takes
 * that sample from `forced` or draws it; it becomes the next code.  Priming, scoring and generating
 * are this one function.  B is the stream's batch. */
typedef struct {
    uint32_t n;             /* steps */
    const uint16_t *forced; /* [B][n], or NULL: draw */
    const float *frames;    /* [n_frames][B][C], finite, or NULL without channels */
    uint32_t n_frames; /* sample i of the run belongs to frame min((frame_at + i) / hop, last) */
    uint64_t frame_at; /* samples from the first frame's begin to the first of this run; plus n, it
                          must not overflow */
    const uint32_t *speakers; /* [B], or NULL without speakers */
    float temperature;        /* 0: the most probable code, else 0.001 to 1000 */
    uint32_t top_k;           /* draw among the k most probable; 0: among all */
    float min_p;              /* draw codes of at least min_p x the largest probability; 0: all */
    /* Temperature and min_p of the samples of each frame, in the place of those two; or NULL. */
    const float *frame_temperature, *frame_min_p; /* [n_frames][B] */
    /* With coders, samples are not drawn: forced ones are encoded, others decoded. */
    fwn_coder *coders;      /* [B] encoders if forced, else decoders; or NULL */
    const uint32_t *widths; /* [Q] values that share a code, at most 65536; or NULL */
    uint16_t *places;       /* [B][n] number of each sample's value among them: encoded, if forced,
                               or decoded; NULL without widths */
    uint16_t *codes;        /* [B][n] or NULL: the samples forced or drawn ... */
    float *audio;           /* [B][n] or NULL: ... and their amplitudes */
    float *logp;            /* [B][n] or NULL: their log-probability, in nats, at temperature 1 */
    float *logits;          /* [B][n][Q] or NULL */
} fwn_io;
int fwn_run(fwn_stream *stream, const fwn_io *io);

/* The state of one row as bytes, equal for every instruction set and row.  save with bytes == NULL
 * stores the size in *size.  check returns FWN_OK for bytes that load accepts and fills `out`, if
 * not NULL, with the info of a row loaded from them; load checks all before it changes anything. */
int fwn_state_save(fwn_stream *stream, uint32_t row, void *bytes, size_t *size);
int fwn_state_check(const fwn_stream *stream, const void *bytes, size_t size, fwn_row_info *out);
int fwn_state_load(fwn_stream *stream, uint32_t row, const void *bytes, size_t size);

/* ---- bounds of this core ---------------------------------------------------------------------- */

/* Reads `size` bytes, a multiple of 64, `times` times, as a step reads its weights. */
int fwn_probe_reading(int isa, const void *memory, size_t size, size_t times);
/* Multiplies as the products of a precision do, within the L1 cache.  *products: their number, in
 * proportion to `times`. */
int fwn_probe_products(int isa, int precision, size_t times, uint64_t *products);

/* ---- mu-law ---------------------------------------------------------------------------------- */

/* fwn_codec for arrays, without its pre-emphasis.  Codes are uint8_t up to 256 levels, uint16_t
 * above.  `bad`, if not NULL, receives the index of the first refused value (FWN_BAD_AUDIO,
 * FWN_BAD_CODE); the output is then undefined. */
typedef struct fwn_mulaw fwn_mulaw;
int fwn_mulaw_create(uint32_t levels, const fwn_codec *codec,
                     fwn_mulaw **out); /* levels 2 to 65536 */
void fwn_mulaw_destroy(fwn_mulaw *codec);
int fwn_mulaw_encode_f32(const fwn_mulaw *, int isa, const float *x, size_t n, void *codes,
                         size_t *bad);
int fwn_mulaw_encode_i16(const fwn_mulaw *, int isa, const int16_t *x, size_t n, void *codes);
int fwn_mulaw_decode_f32(const fwn_mulaw *, int isa, const void *codes, size_t n, float *x,
                         size_t *bad);
int fwn_mulaw_decode_i16(const fwn_mulaw *, int isa, const void *codes, size_t n, int16_t *x,
                         size_t *bad);
/* Pre-emphasis of n samples after the sample `before`, and its inverse; y may be x. */
int fwn_pre_emphasis(const fwn_codec *codec, const float *x, size_t n, float before, float *y);
int fwn_de_emphasis(const fwn_codec *codec, const float *y, size_t n, float before, float *x);

#endif
