/* Flawed calls for fuzz.c: invalid specs and tensors, arguments out of range. */
#ifndef FUZZ_FLAWS_H
#define FUZZ_FLAWS_H

#include "fuzz_twin.h"

/* ---- models ---------------------------------------------------------------------------------- */

enum { MOST_LAYERS = 512, MOST_BYTES = 1 << 17 };

typedef struct {
    fwn_spec spec;
    uint32_t kernels[MOST_LAYERS], dilations[MOST_LAYERS];
    fwn_upsampling upsampling[16];
    fwn_tensor tensors[MOST_TENSORS + 1];
    size_t count;
} flawed;

static inline void copy_network(flawed *to, const network *net)
{
    to->spec = net->spec;
    for (uint32_t l = 0; l < MOST_LAYERS; l++) {
        to->kernels[l] = net->kernels[l % net->spec.layers];
        to->dilations[l] = net->dilations[l % net->spec.layers];
    }
    to->spec.kernels = to->kernels;
    to->spec.dilations = to->dilations;
    for (uint32_t i = 0; i < COUNT(to->upsampling); i++)
        to->upsampling[i] = net->upsampling[i % MOST_STAGES];
    to->spec.upsampling = to->upsampling;
    memcpy(to->tensors, net->tensors, sizeof net->tensors);
    to->count = net->count;
}

static inline uint32_t wild(input *in)
{
    static const uint32_t edges[] = {
        0, 1, 2, 3, 32, 33, 4096, 4097, 65536, 65537, 1 << 20, (1 << 20) + 1, UINT32_MAX};
    const uint32_t which = next_below(in, COUNT(edges) + 1);
    return which < COUNT(edges) ? edges[which] : next_word(in);
}

static inline void spoil_spec(flawed *f, input *in)
{
    uint32_t *sizes[] = {&f->spec.levels,
                         &f->spec.residual,
                         &f->spec.dilation_channels,
                         &f->spec.skip,
                         &f->spec.head,
                         &f->spec.first_kernel,
                         &f->spec.layers,
                         &f->spec.start_code,
                         &f->spec.first_tanh,
                         &f->spec.first_from_start,
                         &f->spec.frame_channels,
                         &f->spec.frame_hop,
                         &f->spec.frame_linear,
                         &f->spec.speakers,
                         &f->spec.speaker_channels,
                         &f->spec.stages,
                         (uint32_t *)&f->upsampling[0] + next_below(in, 6),
                         &f->kernels[next_below(in, 5)],
                         &f->dilations[next_below(in, 5)]};
    *sizes[next_below(in, COUNT(sizes))] = wild(in);
    if (next_below(in, 16) == 1) f->spec.kernels = NULL;
    if (next_below(in, 16) == 1) f->spec.dilations = NULL;
}

static inline void spoil_tensor(flawed *f, input *in)
{
    fwn_tensor *t = &f->tensors[next_below(in, (uint32_t)f->count)];
    const fwn_tensor *other = &f->tensors[next_below(in, (uint32_t)f->count)];
    switch (next_below(in, 7)) {
    case 0: t->name = other->name; break;
    case 1: t->name = next_below(in, 2) ? "head.output.weigh" : NULL; break;
    case 2: t->rank = wild(in); break;
    case 3: t->shape[next_below(in, 4)] = wild(in); break;
    case 4: t->data = NULL; break;
    case 5: f->count -= next_below(in, (uint32_t)f->count); break;
    case 6: f->tensors[f->count++] = *other; break;
    }
}

/* Two steps under a frame of zeros, by the first speaker. */
static inline void run_silent(fwn_stream *stream, const fwn_spec *spec, uint32_t rows)
{
    float *frame = calloc((size_t)rows * spec->frame_channels + 1, sizeof *frame);
    uint32_t *speakers = calloc(rows, sizeof *speakers);
    fwn_io io = {.n = 2, .temperature = 1.0f};
    if (spec->frame_channels) io.frames = frame, io.n_frames = 1;
    if (spec->speakers) io.speakers = speakers;
    const int error = fwn_run(stream, &io);
    CHECK(!error || error == FWN_NOT_FINITE);
    free(frame);
    free(speakers);
}

/* Creates a model if these are valid: it must have sizes, and is run if it is small. */
static inline int try_model(const flawed *f, int precision, uint32_t rows)
{
    fwn_model *untouched = (fwn_model *)f, *model = untouched;
    fwn_info info;
    fwn_stream *stream = NULL;
    const int error = fwn_model_create(&f->spec, f->tensors, f->count, precision, &model);
    CHECK(!error || (model == untouched && error >= FWN_BAD_ARGUMENT && error <= FWN_BAD_SPEC));
    if (error) return error;
    CHECK(!fwn_model_info(model, &info) && info.arena_bytes && info.step_bytes && info.arena);
    const size_t bytes = fwn_stream_bytes(model, rows);
    CHECK(!bytes == (rows < 1 || rows > 65536));
    if (bytes && bytes < MOST_BYTES) {
        CHECK(!fwn_stream_create(model, isa_of(UINT8_MAX), rows, 1, &stream));
        run_silent(stream, &f->spec, rows);
    }
    fwn_stream_destroy(stream);
    fwn_model_destroy(model);
    return FWN_OK;
}

/* A single value that is not finite, in any tensor, must be refused. */
static inline void try_infinite(flawed *f, input *in, int precision)
{
    const fwn_tensor *t = &f->tensors[next_below(in, (uint32_t)f->count)];
    size_t size = 1;
    for (uint32_t i = 0; i < t->rank; i++) size *= t->shape[i];
    float *number = (float *)t->data + next_word(in) % size, before = *number;
    *number = next_below(in, 2) ? NAN : -INFINITY;
    CHECK(try_model(f, precision, 1) == FWN_BAD_TENSOR);
    *number = before;
}

static inline void try_flawed_model(const pair *p, input *in)
{
    static flawed f;
    const int precision = (int)next_below(in, FWN_PRECISIONS);
    copy_network(&f, p->of->net);
    switch (next_below(in, 4)) {
    case 0: try_infinite(&f, in, precision); break;
    case 1: spoil_spec(&f, in); break;
    case 2: spoil_tensor(&f, in); break;
    case 3: CHECK(try_model(&f, FWN_PRECISIONS + (int)next_byte(in), 1) == FWN_BAD_ARGUMENT); break;
    }
    try_model(&f, precision, wild(in));
}

/* ---- arguments ------------------------------------------------------------------------------- */

#define REFUSED(call) CHECK((call) == FWN_BAD_ARGUMENT)

static inline void refuse_models(const pair *p)
{
    const fwn_spec *spec = p->spec;
    const network *net = p->of->net;
    fwn_model *out = NULL;
    fwn_info info;
    REFUSED(fwn_model_create(NULL, net->tensors, net->count, 0, &out));
    REFUSED(fwn_model_create(spec, NULL, net->count, 0, &out));
    REFUSED(fwn_model_create(spec, net->tensors, net->count, -1, &out));
    REFUSED(fwn_model_create(spec, net->tensors, net->count, 0, NULL));
    REFUSED(fwn_model_info(NULL, &info));
    REFUSED(fwn_model_info(p->of->model, NULL));
    CHECK(!out && !fwn_stream_bytes(NULL, 1));
    fwn_model_destroy(NULL);
}

static inline void refuse_streams(const pair *p, uint32_t any)
{
    const fwn_model *model = p->of->model;
    fwn_stream *out = NULL;
    REFUSED(fwn_stream_create(NULL, 0, 1, 1, &out));
    REFUSED(fwn_stream_create(model, 0, 0, 1, &out));
    REFUSED(fwn_stream_create(model, 0, 65537 + any, 1, &out));
    REFUSED(fwn_stream_create(model, 0, 1, 0, &out));
    REFUSED(fwn_stream_create(model, 0, 1, 3 + any, &out));
    REFUSED(fwn_stream_create(model, 0, 1, 1, NULL));
    CHECK(fwn_stream_create(model, FWN_ISAS + (int)any, 1, 1, &out) == FWN_BAD_ISA);
    CHECK(fwn_stream_create(model, -1 - (int)any, 1, 1, &out) == FWN_BAD_ISA);
    CHECK(!out && fwn_stream_threads(NULL) == 1);
    fwn_stream_destroy(NULL);
}

static inline void refuse_calls(const pair *p, uint32_t any)
{
    fwn_stream *s = p->stream;
    fwn_row_info info;
    size_t size = any;
    REFUSED(fwn_run(NULL, &(fwn_io){.n = 1}));
    REFUSED(fwn_run(s, NULL));
    REFUSED(fwn_run(s, &(fwn_io){.n = 1, .temperature = NAN}));
    REFUSED(fwn_run(s, &(fwn_io){.n = 1, .temperature = -1.0f}));
    REFUSED(fwn_stream_set_threads(NULL, 1));
    REFUSED(fwn_stream_reset(NULL, 0, 0, 0));
    REFUSED(fwn_stream_reset(s, p->rows + any, 0, 0));
    REFUSED(fwn_stream_begin(NULL, 0, 0));
    REFUSED(fwn_stream_begin(s, p->rows + any, 0));
    REFUSED(fwn_stream_forked(NULL));
    REFUSED(fwn_stream_info(s, p->rows + any, &info));
    REFUSED(fwn_stream_info(s, 0, NULL));
    REFUSED(fwn_state_save(s, p->rows + any, NULL, &size));
    REFUSED(fwn_state_save(s, 0, NULL, NULL));
    REFUSED(fwn_state_load(s, p->rows + any, "", 1));
    REFUSED(fwn_state_load(s, 0, NULL, any));
    REFUSED(fwn_state_check(NULL, "", 1, NULL));
    REFUSED(fwn_state_check(s, NULL, any, &info));
}

static inline void refuse_all(const pair *p, input *in)
{
    const uint32_t any = next_byte(in);
    int isas[FWN_ISAS];
    refuse_models(p);
    refuse_streams(p, any);
    refuse_calls(p, any);
    CHECK(fwn_isa_list(isas, (int)any % 7) >= 1 && fwn_strerror((int)any - 128) != NULL);
    CHECK(!fwn_isa_name((int)any) == (any >= FWN_ISAS));
    CHECK(!fwn_precision_name((int)any) == (any >= FWN_PRECISIONS));
}

#endif
