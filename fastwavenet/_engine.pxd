# csrc/fastwavenet.h, name for name and in its order; nothing else.
from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "fastwavenet.h" nogil:
    enum:
        FWN_OK
        FWN_NO_MEMORY
        FWN_BAD_SPEC
        FWN_BAD_TENSOR
        FWN_BAD_ARGUMENT
        FWN_BAD_CODE
        FWN_BAD_AUDIO
        FWN_BAD_STATE
        FWN_BAD_ISA
        FWN_BUSY
        FWN_STARTED
        FWN_NOT_FINITE
        FWN_FORKED
        FWN_BAD_BYTES
    const char *fwn_strerror(int error)

    enum:
        FWN_SCALAR
        FWN_AVX2
        FWN_AVX512
        FWN_NEON
        FWN_VNNI
        FWN_AMX
        FWN_WASM
        FWN_AVXVNNI
        FWN_AVX512BF16
        FWN_ISAS
    int fwn_isa_list(int *out, int max)
    const char *fwn_isa_name(int isa)

    enum:
        FWN_FLOAT32
        FWN_BFLOAT16
        FWN_INT8
        FWN_BFLOAT16X16
        FWN_INT8X8
        FWN_PRECISIONS
    const char *fwn_precision_name(int precision)

    ctypedef struct fwn_codec:
        double mu, steps, encode_offset, decode_offset, decode_divisor, pre_emphasis

    ctypedef struct fwn_upsampling:
        uint32_t inputs, outputs
        uint32_t kernel, stride, crop
        uint32_t relu

    ctypedef struct fwn_spec:
        uint32_t levels, residual, dilation_channels, skip, head
        uint32_t first_kernel, layers
        const uint32_t *kernels
        const uint32_t *dilations
        uint32_t start_code, first_tanh, first_from_start
        const fwn_codec *codec
        uint32_t frame_channels, frame_hop, frame_linear, speakers, speaker_channels
        const fwn_upsampling *upsampling
        uint32_t stages

    ctypedef struct fwn_tensor:
        const char *name
        const float *data
        uint32_t rank
        uint32_t shape[4]

    ctypedef struct fwn_model
    int fwn_model_create(const fwn_spec *spec, const fwn_tensor *tensors, size_t count,
                         int precision, fwn_model **out)
    void fwn_model_destroy(fwn_model *model)

    ctypedef struct fwn_info:
        size_t arena_bytes
        size_t step_bytes
        uint64_t fingerprint
        const void *arena
    size_t fwn_stream_bytes(const fwn_model *model, uint32_t batch)
    int fwn_model_info(const fwn_model *model, fwn_info *out)

    void fwn_upsampling_reach(const fwn_upsampling *stage, uint32_t *before, uint32_t *after)
    int fwn_upsample(const fwn_model *model, int isa, uint32_t stage, uint32_t rows, size_t n,
                     const float *x, float *y)

    ctypedef struct fwn_stream
    int fwn_stream_create(const fwn_model *model, int isa, uint32_t batch, uint32_t threads,
                          fwn_stream **out)
    void fwn_stream_destroy(fwn_stream *stream)
    uint32_t fwn_stream_threads(const fwn_stream *stream)
    int fwn_stream_set_threads(fwn_stream *stream, uint32_t threads)
    int fwn_stream_reset(fwn_stream *stream, uint32_t row, uint64_t seed, uint32_t id)
    int fwn_stream_begin(fwn_stream *stream, uint32_t row, uint32_t code)
    int fwn_stream_set_last(fwn_stream *stream, uint32_t row, float audio)
    int fwn_stream_forked(fwn_stream *stream)

    ctypedef struct fwn_row_info:
        uint64_t seed, step
        uint32_t id, begun
        float last
    int fwn_stream_info(const fwn_stream *stream, uint32_t row, fwn_row_info *out)

    ctypedef struct fwn_coder:
        uint8_t *to
        const uint8_t *from_ "from"
        size_t size, used
        uint64_t left
        uint64_t low, range_ "range"
        int damaged
    uint64_t FWN_CODED_BYTES(uint64_t n)
    int fwn_encoder_begin(fwn_coder *coder, uint8_t *to, size_t size, uint64_t samples)
    int fwn_encoder_end(fwn_coder *coder)
    int fwn_decoder_begin(fwn_coder *coder, const uint8_t *from_, size_t size, uint64_t samples)
    int fwn_decoder_end(const fwn_coder *coder)

    ctypedef struct fwn_io:
        uint32_t n
        const uint16_t *forced
        const float *frames
        uint32_t n_frames
        uint64_t frame_at
        const uint32_t *speakers
        float temperature
        uint32_t top_k
        float min_p
        const float *frame_temperature
        const float *frame_min_p
        fwn_coder *coders
        const uint32_t *widths
        uint16_t *places
        uint16_t *codes
        float *audio
        float *logp
        float *logits
    int fwn_run(fwn_stream *stream, const fwn_io *io)

    int fwn_state_save(fwn_stream *stream, uint32_t row, void *bytes, size_t *size)
    int fwn_state_check(const fwn_stream *stream, const void *bytes, size_t size,
                        fwn_row_info *out)
    int fwn_state_load(fwn_stream *stream, uint32_t row, const void *bytes, size_t size)

    int fwn_probe_reading(int isa, const void *memory, size_t size, size_t times)
    int fwn_probe_products(int isa, int precision, size_t times, uint64_t *products)

    ctypedef struct fwn_mulaw
    int fwn_mulaw_create(uint32_t levels, const fwn_codec *codec, fwn_mulaw **out)
    void fwn_mulaw_destroy(fwn_mulaw *codec)
    int fwn_mulaw_encode_f32(const fwn_mulaw *codec, int isa, const float *x, size_t n,
                             void *codes, size_t *bad)
    int fwn_mulaw_encode_i16(const fwn_mulaw *codec, int isa, const int16_t *x, size_t n,
                             void *codes)
    int fwn_mulaw_decode_f32(const fwn_mulaw *codec, int isa, const void *codes, size_t n,
                             float *x, size_t *bad)
    int fwn_mulaw_decode_i16(const fwn_mulaw *codec, int isa, const void *codes, size_t n,
                             int16_t *x, size_t *bad)
    int fwn_pre_emphasis(const fwn_codec *codec, const float *x, size_t n, float before, float *y)
    int fwn_de_emphasis(const fwn_codec *codec, const float *y, size_t n, float before, float *x)
