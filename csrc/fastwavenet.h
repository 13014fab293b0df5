/* fastwavenet: generate from a WaveNet on a CPU.
 *
 * The whole contract between the engine and whoever calls it (the Cython border, a C program, a
 * test).  Plain C: no Python, no files, no output, no globals that change.
 *
 *   model   the network: spec + packed weights.  Immutable; any number of threads may share it.
 *   stream  `rows` independent voices in step, each with its own past, seed and position.  One
 *           call at a time: a second one, from any thread, gets FWN_BUSY.
 *
 * Only the _create functions allocate.  Functions return FWN_OK or a negative fwn_error; on an
 * error nothing was changed unless the error says otherwise.  Arrays are C-contiguous, shapes
 * stand beside them.  The arithmetic, and with it every bit of the results, is docs/arithmetic.md. */
#ifndef FASTWAVENET_H
#define FASTWAVENET_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    FWN_OK = 0,
    FWN_NO_MEMORY = -1,
    FWN_BAD_SPEC = -2,      /* a size of the network outside its bounds */
    FWN_BAD_TENSOR = -3,    /* missing, extra, misshapen or not finite */
    FWN_BAD_ARGUMENT = -4,
    FWN_BAD_CODE = -5,      /* a code that is not below `levels` */
    FWN_BAD_AUDIO = -6,     /* NaN or infinity where audio was expected */
    FWN_BAD_STATE = -7,     /* bytes that fwn_state_save did not write for this model */
    FWN_BAD_ISA = -8,       /* unknown, or not supported by this CPU and operating system */
    FWN_BUSY = -9,          /* the stream is in use by another call */
    FWN_STARTED = -10,      /* fwn_stream_begin after the first step */
    FWN_NOT_FINITE = -11,   /* the network's outputs overflowed; the stream must be reset */
    FWN_FORKED = -12        /* the process forked during a call: the row must be reset or loaded */
} fwn_error;
const char *fwn_strerror(int error);

/* Instruction sets, of each kind of CPU worst to best.  fwn_isa_list writes at most `max` supported
 * ones, in this order, and returns how many there are: what CPU and operating system both allow. */
typedef enum {
    FWN_SCALAR = 0,
    FWN_AVX2 = 1,
    FWN_AVX512 = 2,
    FWN_NEON = 3,
    FWN_VNNI = 4, /* AVX-512 and its products of bytes */
    FWN_AMX = 5,  /* VNNI and tiles of bytes */
    FWN_ISAS = 6
} fwn_isa;
int fwn_isa_list(int *out, int max);
const char *fwn_isa_name(int isa); /* "scalar", "avx2", ... ; NULL if unknown */

/* How weights are kept and multiplied.  Every instruction set computes every precision. */
typedef enum { FWN_FLOAT32 = 0, FWN_BFLOAT16 = 1, FWN_INT8 = 2, FWN_PRECISIONS = 3 } fwn_precision;
const char *fwn_precision_name(int precision); /* "float32", "bfloat16", "int8"; NULL if unknown */

/* ---- the network: Q levels, R residual, D dilation, S skip, H head channels, L layers -------- */

typedef struct {
    uint32_t levels, residual, dilation_channels, skip, head; /* Q, R, D, S, H */
    uint32_t first_kernel, layers;
    const uint32_t *kernels, *dilations; /* [layers] each */
    uint32_t start_code;                 /* what a fresh stream is fed first */
} fwn_spec;

/* Weights are float32, tap 0 is the oldest sample, an absent bias is zero:
 *   first.weight [first_kernel][Q][R]      first.bias [R]
 *   layers.l.dilated.weight [2D][R][kernel], tanh half first      .bias [2D]
 *   layers.l.residual.weight [R][D][1]     .bias [R]              (not in the last layer)
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
    const void *arena;    /* where the packed weights are; huge pages were asked for, see smaps */
} fwn_info;
int fwn_model_info(const fwn_model *model, fwn_info *out);

/* ---- streams ---------------------------------------------------------------------------------- */

typedef struct fwn_stream fwn_stream;
/* threads 2: with a thread of its own beside the caller's, if that is faster; about a hundred steps
 * measure it.  It sleeps between runs.  A process that forks leaves it behind, and goes on with one. */
int fwn_stream_create(const fwn_model *model, int isa, uint32_t batch, uint32_t threads, fwn_stream **out);
void fwn_stream_destroy(fwn_stream *stream);
/* Bytes that a stream of so many rows takes with one thread; 0 if it cannot be created. */
size_t fwn_stream_bytes(const fwn_model *model, uint32_t batch);
uint32_t fwn_stream_threads(const fwn_stream *stream); /* how many it uses: 1 or 2 */
/* Decides otherwise than was measured; 2 only if so many were asked for, and there are. */
int fwn_stream_set_threads(fwn_stream *stream, uint32_t threads);

/* Row `row` starts afresh: silent past, start code next, step 0, random numbers of (seed, id). */
int fwn_stream_reset(fwn_stream *stream, uint32_t row, uint64_t seed, uint32_t id);
/* Replaces the start code of a fresh row by a known first sample. */
int fwn_stream_begin(fwn_stream *stream, uint32_t row, uint32_t code);

/* In a child process, for a stream that a thread of the parent was using at the fork, before any other
 * call: that thread does not exist here, so the stream is free, and every row is torn: until it is reset
 * or loaded, runs and saving it give FWN_FORKED. */
int fwn_stream_forked(fwn_stream *stream);

/* Never FWN_BUSY: another thread may be running the stream meanwhile. */
typedef struct {
    uint64_t seed, step; /* steps since reset, forced or drawn */
    uint32_t id, begun;  /* begun: a first sample was given, or a step taken */
} fwn_row_info;
int fwn_stream_info(const fwn_stream *stream, uint32_t row, fwn_row_info *out);

/* One step feeds a row its next code, yields the distribution of the sample after it, and takes
 * that sample from `forced` or draws it; it becomes the next code.  Priming, scoring and
 * generating are this one function.  B is the stream's rows. */
typedef struct {
    uint32_t n;             /* steps */
    const uint16_t *forced; /* [B][n], or NULL: draw */
    const float *cond;      /* [cond_rows][B][L][2D], added before the gate; or NULL */
    uint32_t cond_rows;     /* step i uses row min((cond_step + i) / hop, cond_rows - 1) */
    uint64_t cond_step;     /* steps that the rows of cond begin before this run: a run may begin anywhere */
    uint64_t hop;           /* steps that a row holds for; cond_step + n must not overflow */
    float temperature; /* 0: the most probable code, else 0.001 to 1000 */
    uint32_t top_k;    /* draw among the k most probable; 0: among all */
    uint16_t *codes;   /* [B][n] or NULL: the samples taken or drawn ... */
    float *audio;      /* [B][n] or NULL: ... and their amplitudes */
    float *logp;       /* [B][n] or NULL: their log-probability, in nats, at temperature 1 */
    float *logits;     /* [B][n][Q] or NULL */
} fwn_io;
int fwn_run(fwn_stream *stream, const fwn_io *io);

/* One row's state as bytes, the same for every ISA and position: save with bytes == NULL writes
 * the size needed; load checks everything before it changes anything.  check is FWN_OK for what load
 * takes, and then fills `out`, if not NULL, with what fwn_stream_info gives after loading. */
int fwn_state_save(fwn_stream *stream, uint32_t row, void *bytes, size_t *size);
int fwn_state_check(const fwn_stream *stream, const void *bytes, size_t size, fwn_row_info *out);
int fwn_state_load(fwn_stream *stream, uint32_t row, const void *bytes, size_t size);

/* ---- mu-law ----------------------------------------------------------------------------------- */

/* code = floor((c(x) + 1) / 2 * mu + 1/2), c(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu),
 * mu = levels - 1; x is clipped to [-1, 1].  Codes are uint8_t up to 256 levels, uint16_t above.
 * `bad`, if not NULL, receives the index of the first value refused (FWN_BAD_AUDIO, FWN_BAD_CODE);
 * what stands in the output is then undefined. */
typedef struct fwn_mulaw fwn_mulaw;
int fwn_mulaw_create(uint32_t levels, fwn_mulaw **out); /* 2 to 65536 */
void fwn_mulaw_destroy(fwn_mulaw *codec);
int fwn_mulaw_encode_f32(const fwn_mulaw *, int isa, const float *x, size_t n, void *codes, size_t *bad);
int fwn_mulaw_encode_i16(const fwn_mulaw *, int isa, const int16_t *x, size_t n, void *codes);
int fwn_mulaw_decode_f32(const fwn_mulaw *, int isa, const void *codes, size_t n, float *x, size_t *bad);
int fwn_mulaw_decode_i16(const fwn_mulaw *, int isa, const void *codes, size_t n, int16_t *x, size_t *bad);

#endif
