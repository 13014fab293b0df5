/* Specs and tensors that are refused, and sizes and fingerprints of models. */
#include "claims.h"

static void specs_out_of_bounds_are_refused(void)
{
    network *net = random_network(0);
    const fwn_spec good = net->spec;
    const struct {
        size_t at;
        uint32_t low, high;
    } bounds[] = {
        {offsetof(fwn_spec, levels), 2, 65536},
        {offsetof(fwn_spec, residual), 1, 4096},
        {offsetof(fwn_spec, dilation_channels), 1, 4096},
        {offsetof(fwn_spec, skip), 1, 4096},
        {offsetof(fwn_spec, head), 1, 4096},
        {offsetof(fwn_spec, first_kernel), 1, 32},
        {offsetof(fwn_spec, layers), 1, 512},
        {offsetof(fwn_spec, start_code), 0, 15},
        {offsetof(fwn_spec, first_tanh), 0, 1},
        {offsetof(fwn_spec, first_from_start), 0, 1},
    };
    for (size_t i = 0; i < COUNT(bounds); i++) {
        const uint32_t wrong[] = {bounds[i].low - 1, bounds[i].high + 1, UINT32_MAX};
        for (size_t j = 0; j < COUNT(wrong); j++) {
            fwn_spec bad = good;
            memcpy((char *)&bad + bounds[i].at, &wrong[j], sizeof wrong[j]);
            CHECK(created(&bad, net, net->count) == FWN_BAD_SPEC);
        }
    }
    fwn_spec bad = good;
    bad.kernels = NULL;
    CHECK(created(&bad, net, net->count) == FWN_BAD_SPEC);
    bad = good, bad.dilations = NULL;
    CHECK(created(&bad, net, net->count) == FWN_BAD_SPEC);
    CHECK(created(&good, net, net->count) == FWN_OK);
    free_network(net);
}

static void kernels_and_dilations_out_of_bounds_are_refused(void)
{
    network *net = random_network(0);
    static const uint32_t kernels[] = {0, 1, 33, UINT32_MAX};
    static const uint32_t dilations[] = {0, (1u << 20) + 1, UINT32_MAX};
    for (size_t i = 0; i < COUNT(kernels); i++) {
        net->kernels[1] = kernels[i];
        CHECK(created(&net->spec, net, net->count) == FWN_BAD_SPEC);
    }
    net->kernels[1] = 2;
    for (size_t i = 0; i < COUNT(dilations); i++) {
        net->dilations[2] = dilations[i];
        CHECK(created(&net->spec, net, net->count) == FWN_BAD_SPEC);
    }
    for (int l = 0; l < 3; l++) net->kernels[l] = 32, net->dilations[l] = 1u << 20;
    CHECK(created(&net->spec, net, net->count) == FWN_BAD_SPEC); /* the field of all layers */
    free_network(net);
}

static void a_tensor_of_another_name_or_shape_is_refused(void)
{
    network *net = random_network(0);
    const fwn_tensor unknown = {"layers.3.skip.bias", net->values, 1, {6}};
    for (size_t i = 0; i < net->count; i++) {
        fwn_tensor *t = &net->tensors[i];
        const fwn_tensor kept = *t;
        fwn_tensor wrong[] = {kept,   kept, kept, kept, kept, net->tensors[(i + 1) % net->count],
                              unknown};
        wrong[0].name = NULL;
        wrong[1].data = NULL;
        wrong[2].rank++;
        wrong[3].rank = UINT32_MAX;
        wrong[4].shape[0]++;
        for (size_t j = 0; j < COUNT(wrong); j++) {
            *t = wrong[j];
            CHECK(created(&net->spec, net, net->count) == FWN_BAD_TENSOR);
        }
        *t = kept;
    }
    net->tensors[net->count] = unknown;
    CHECK(created(&net->spec, net, net->count + 1) == FWN_BAD_TENSOR);
    CHECK(created(&net->spec, net, net->count) == FWN_OK);
    free_network(net);
}

static void weights_that_are_not_finite_are_refused_in_every_precision(void)
{
    static const uint32_t wrong[] = {0x7F800000, 0xFF800000, 0x7F800001, 0x7FFFFFFF, 0xFFC00000};
    network *net = random_network(0);
    for (size_t i = 0; i < net->count; i++) {
        const size_t end =
            i + 1 < net->count ? (size_t)(net->tensors[i + 1].data - net->values) : net->used;
        float *const edges[] = {(float *)net->tensors[i].data, net->values + end - 1};
        for (size_t j = 0; j < 2 * COUNT(wrong); j++) {
            const float kept = *edges[j % 2];
            memcpy(edges[j % 2], &wrong[j / 2], sizeof kept);
            for (int precision = 0; precision < FWN_PRECISIONS; precision++)
                CHECK(created_in(precision, &net->spec, net, net->count) == FWN_BAD_TENSOR);
            *edges[j % 2] = kept;
        }
    }
    CHECK(created(&net->spec, net, net->count) == FWN_OK);
    free_network(net);
}

static void only_biases_may_be_missing(void)
{
    network *net = random_network(0);
    for (size_t i = 0; i < net->count; i++) {
        const fwn_tensor kept = net->tensors[i];
        net->tensors[i] = net->tensors[net->count - 1];
        const int expected = strstr(kept.name, ".bias") ? FWN_OK : FWN_BAD_TENSOR;
        CHECK(created(&net->spec, net, net->count - 1) == expected);
        net->tensors[i] = kept;
    }
    CHECK(created(&net->spec, net, 0) == FWN_BAD_TENSOR);
    free_network(net);
}

static void tensors_may_come_in_any_order(void)
{
    network *net = random_network(1);
    fwn_tensor reversed[COUNT(net->tensors)];
    for (size_t i = 0; i < net->count; i++) reversed[i] = net->tensors[net->count - 1 - i];
    memcpy(net->tensors, reversed, net->count * sizeof *reversed);
    CHECK(created(&net->spec, net, net->count) == FWN_OK);
    free_network(net);
}

static void models_tell_their_sizes_and_differ_in_fingerprint(void)
{
    network *net = random_network(0);
    fwn_model *a = model_of(net, FWN_FLOAT32), *b = model_of(net, FWN_FLOAT32), *c;
    fwn_model *smaller[] = {model_of(net, FWN_BFLOAT16), model_of(net, FWN_INT8)};
    fwn_info of_a, of_b, of_c;
    net->values[net->used - 1] += 1.0f;
    c = model_of(net, FWN_FLOAT32);
    CHECK(!fwn_model_info(a, &of_a) && !fwn_model_info(b, &of_b) && !fwn_model_info(c, &of_c));
    CHECK(of_a.fingerprint == of_b.fingerprint && of_a.fingerprint != of_c.fingerprint);
    CHECK(of_a.arena_bytes >= of_a.step_bytes && of_a.step_bytes > 0);
    for (size_t i = 0; i < COUNT(smaller); i++, of_b = of_c) {
        CHECK(!fwn_model_info(smaller[i], &of_c));
        CHECK(of_c.fingerprint != of_a.fingerprint && of_c.fingerprint != of_b.fingerprint);
        CHECK(of_c.step_bytes < of_b.step_bytes && of_c.step_bytes > 0);
        fwn_model_destroy(smaller[i]);
    }
    fwn_model_destroy(a);
    fwn_model_destroy(b);
    fwn_model_destroy(c);
    free_network(net);
}

const claim MODELS[] = {
    TEST(specs_out_of_bounds_are_refused),
    TEST(kernels_and_dilations_out_of_bounds_are_refused),
    TEST(a_tensor_of_another_name_or_shape_is_refused),
    TEST(weights_that_are_not_finite_are_refused_in_every_precision),
    TEST(only_biases_may_be_missing),
    TEST(tensors_may_come_in_any_order),
    TEST(models_tell_their_sizes_and_differ_in_fingerprint),
    {NULL, NULL},
};
