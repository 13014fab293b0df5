/* Upsampling: sums of the definition, pieces, rows, and what is refused. */
#include "claims.h"

enum { INPUTS = 9, ROWS = 3, MOST_OUTPUTS = 2000 };

static const fwn_upsampling STAGES[] = {
    {3, 5, 1, 1, 0, 0},   {3, 5, 3, 1, 1, 1},  {1, 17, 5, 1, 4, 0},  {16, 3, 4, 1, 0, 0},
    {3, 5, 2, 2, 0, 0},   {3, 16, 4, 2, 1, 1}, {17, 1, 11, 4, 3, 0}, {2, 3, 12, 5, 7, 0},
    {33, 16, 3, 3, 0, 1}, {80, 1, 7, 2, 2, 0},
};

/* A model whose frames are the outputs of this stage. */
static network *upsampled(fwn_upsampling stage)
{
    shape of = NETWORKS[0];
    of.cond.channels = stage.outputs, of.cond.hop = 1;
    random_step = 77;
    network *net = network_of(&of);
    add_upsampling(net, &stage, 1);
    return net;
}

static uint32_t count_of(const fwn_upsampling *stage, uint32_t inputs)
{
    uint32_t before, after;
    fwn_upsampling_reach(stage, &before, &after);
    return (inputs - before - after) * stage->stride;
}

/* Output `at` of channel `o` of the full convolution of `n` inputs, in double. */
static double full(network *net, const fwn_upsampling *s, const float *x, uint32_t n, uint32_t at,
                   uint32_t o)
{
    const float *weight = values_of(net, "conditioning.upsampling.0.weight");
    double sum = values_of(net, "conditioning.upsampling.0.bias")[o];
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t c = 0; c < s->inputs; c++) {
            const uint32_t tap = at - i * s->stride;
            if (at < i * s->stride || tap >= s->kernel) continue;
            const size_t place =
                s->stride > 1 ? ((size_t)c * s->outputs + o) * s->kernel + tap
                              : ((size_t)o * s->inputs + c) * s->kernel + s->kernel - 1 - tap;
            sum += (double)x[i * s->inputs + c] * weight[place];
        }
    return s->relu && sum < 0 ? 0 : sum;
}

static void check_sums(int isa, int precision, size_t which)
{
    for (size_t i = which; i < COUNT(STAGES); i += COUNT(NETWORKS)) {
        const fwn_upsampling *s = &STAGES[i];
        const uint32_t count = count_of(s, INPUTS);
        uint32_t before, after;
        float y[MOST_OUTPUTS], by_scalar[MOST_OUTPUTS];
        network *net = upsampled(*s);
        float *x = random_frames((size_t)INPUTS * s->inputs);
        fwn_model *model = model_of(net, precision);
        CHECK(fwn_upsample(model, isa, 0, 1, INPUTS, x, y) == FWN_OK);
        CHECK(fwn_upsample(model, FWN_SCALAR, 0, 1, INPUTS, x, by_scalar) == FWN_OK);
        CHECK(!memcmp(y, by_scalar, count * s->outputs * sizeof *y));
        fwn_upsampling_reach(s, &before, &after);
        for (uint32_t k = 0; k < count * s->outputs; k++) {
            const uint32_t at = k / s->outputs + before * s->stride + s->crop;
            CHECK(fabs(y[k] - full(net, s, x, INPUTS, at, k % s->outputs)) < 1e-4);
        }
        fwn_model_destroy(model);
        free_network(net);
        free(x);
    }
}

static void outputs_are_those_of_the_full_convolution_on_every_isa(void) { everywhere(check_sums); }

/* Pieces of inputs that overlap by the stage's reach, and rows of a batch. */
static void check_pieces(int isa, int precision, size_t which)
{
    const fwn_upsampling *s = &STAGES[2 * which];
    const uint32_t all = count_of(s, INPUTS) * s->outputs, each = s->stride * s->outputs;
    const uint32_t taps = INPUTS + 1 - count_of(s, INPUTS) / s->stride;
    float whole[ROWS * MOST_OUTPUTS], piece[MOST_OUTPUTS];
    network *net = upsampled(*s);
    float *x = random_frames((size_t)ROWS * INPUTS * s->inputs);
    fwn_model *model = model_of(net, precision);
    CHECK(fwn_upsample(model, isa, 0, ROWS, INPUTS, x, whole) == FWN_OK);
    for (uint32_t row = 0; row < ROWS; row++)
        for (uint32_t i = 0; i + taps <= INPUTS; i++) {
            const float *from = x + (row * INPUTS + i) * s->inputs;
            CHECK(fwn_upsample(model, isa, 0, 1, taps, from, piece) == FWN_OK);
            CHECK(!memcmp(piece, whole + row * all + i * each, each * sizeof *piece));
        }
    fwn_model_destroy(model);
    free_network(net);
    free(x);
}

static void pieces_and_rows_have_the_bits_of_one_call(void) { everywhere(check_pieces); }

static void calls_without_inputs_enough_or_of_no_stage_are_refused(void)
{
    network *net = upsampled(STAGES[7]);
    fwn_model *model = model_of(net, FWN_FLOAT32);
    const uint32_t taps = INPUTS + 1 - count_of(&STAGES[7], INPUTS) / STAGES[7].stride;
    float x[2 * INPUTS] = {0}, y[MOST_OUTPUTS] = {7};
    CHECK(fwn_upsample(model, FWN_SCALAR, 0, 1, taps - 1, x, y) == FWN_BAD_ARGUMENT);
    CHECK(fwn_upsample(model, FWN_SCALAR, 0, 1, 0, x, y) == FWN_BAD_ARGUMENT);
    CHECK(fwn_upsample(model, FWN_SCALAR, 1, 1, INPUTS, x, y) == FWN_BAD_ARGUMENT);
    CHECK(fwn_upsample(model, FWN_ISAS, 0, 1, INPUTS, x, y) == FWN_BAD_ISA);
    CHECK(fwn_upsample(NULL, FWN_SCALAR, 0, 1, INPUTS, x, y) == FWN_BAD_ARGUMENT);
    CHECK(fwn_upsample(model, FWN_SCALAR, 0, 1, INPUTS, NULL, y) == FWN_BAD_ARGUMENT);
    CHECK(fwn_upsample(model, FWN_SCALAR, 0, 1, INPUTS, x, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_upsample(model, FWN_SCALAR, 0, 0, INPUTS, x, y) == FWN_OK);
    CHECK(y[0] == 7); /* nothing was written */
    CHECK(fwn_upsample(model, FWN_SCALAR, 0, 1, taps, x, y) == FWN_OK);
    fwn_model_destroy(model);
    free_network(net);
}

static void stages_out_of_bounds_are_refused(void)
{
    const fwn_upsampling right = {3, 5, 9, 2, 3, 1};
    network *net = upsampled(right);
    const struct {
        size_t at;
        uint32_t wrong[3];
    } bounds[] = {
        {offsetof(fwn_upsampling, inputs), {0, 4097, UINT32_MAX}},
        {offsetof(fwn_upsampling, outputs), {0, 4, 4097}},
        {offsetof(fwn_upsampling, kernel), {0, 4, 65537}},
        {offsetof(fwn_upsampling, stride), {0, 7, UINT32_MAX}},
        {offsetof(fwn_upsampling, crop), {8, 65536, UINT32_MAX}},
        {offsetof(fwn_upsampling, relu), {2, 3, UINT32_MAX}},
    };
    for (size_t i = 0; i < COUNT(bounds); i++)
        for (size_t j = 0; j < 3; j++) {
            net->upsampling[0] = right;
            memcpy((char *)net->upsampling + bounds[i].at, &bounds[i].wrong[j], sizeof(uint32_t));
            CHECK(created(&net->spec, net, net->count) == FWN_BAD_SPEC);
        }
    net->upsampling[0] = right;
    CHECK(created(&net->spec, net, net->count) == FWN_OK);
    CHECK(created(&net->spec, net, net->count - 1) == FWN_OK); /* without a bias */
    CHECK(created(&net->spec, net, net->count - 2) == FWN_BAD_TENSOR);
    fwn_spec bad[] = {net->spec, net->spec, net->spec, net->spec};
    bad[0].stages = 17;
    bad[1].upsampling = NULL;
    bad[2].frame_hop = 32769; /* times the stride more than 65536 */
    bad[3].frame_channels = 4;
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK(created(&bad[i], net, net->count) == FWN_BAD_SPEC);
    bad[2].frame_hop = 32768;
    CHECK(created(&bad[2], net, net->count) == FWN_OK);
    net->upsampling[0].kernel = 8;
    CHECK(created(&net->spec, net, net->count) == FWN_BAD_TENSOR);
    free_network(net);
}

/* Of two models that differ in a stage only, each refuses the other's states. */
static void stages_are_part_of_the_fingerprint(void)
{
    fwn_upsampling stage = STAGES[1];
    fwn_info infos[2];
    for (size_t i = 0; i < 2; i++, stage.relu = 0) {
        network *net = upsampled(stage);
        fwn_model *model = model_of(net, FWN_INT8);
        CHECK(!fwn_model_info(model, &infos[i]));
        fwn_model_destroy(model);
        free_network(net);
    }
    CHECK(infos[0].fingerprint != infos[1].fingerprint);
}

const claim UPSAMPLING[] = {
    TEST(outputs_are_those_of_the_full_convolution_on_every_isa),
    TEST(pieces_and_rows_have_the_bits_of_one_call),
    TEST(calls_without_inputs_enough_or_of_no_stage_are_refused),
    TEST(stages_out_of_bounds_are_refused),
    TEST(stages_are_part_of_the_fingerprint),
    {NULL, NULL},
};
