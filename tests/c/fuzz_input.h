/* Bytes of an input of fuzz.c as numbers and as networks: any that check_spec admits, but small. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include "networks.h"

/* ---- bytes ----------------------------------------------------------------------------------- */

/* The first bytes of an input, each a choice; bytes [NETWORK, CHOICES) describe the network. */
/* clang-format off */
enum {
    ISA, TWIN_ISA, ROWS, THREADS,
    NETWORK, PRECISION = NETWORK, WEIGHTS, SCALE, LEVELS, LEVELS_HIGH, RESIDUAL, DILATION, SKIP,
    HEAD, FIRST_KERNEL, FIRST_INPUT, LAYERS, KERNELS, DILATIONS = KERNELS + 5,
    START = DILATIONS + 5, CODEC, CONDITIONED, CHANNELS, HOP, SPEAKERS, EMBEDDING, UPSAMPLED, STAGES,
    CHOICES
};
/* clang-format on */

/* The bytes after the choices; zeros follow the last. */
typedef struct {
    const uint8_t *at, *end;
} input;

static inline uint32_t next_byte(input *in) { return in->at < in->end ? *in->at++ : 0; }
static inline uint32_t next_below(input *in, uint32_t n) { return next_byte(in) % n; }
static inline uint32_t next_word(input *in)
{
    uint32_t word = 0;
    for (int i = 0; i < 4; i++) word = word << 8 | next_byte(in);
    return word;
}

/* A cheap generator: random_word() is a tenth of the speed. */
static inline uint32_t scramble(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* ---- networks -------------------------------------------------------------------------------- */

/* Upper bounds of weights, and of floats in a row's past: MOST for one network in 16, FEW, for
 * speed, for the others. */
enum { MOST_WEIGHTS = 24000, MOST_PAST = 6000, FEW_WEIGHTS = 3000, FEW_PAST = 800 };

static inline uint32_t size_of(uint8_t choice)
{
    return choice % 4 ? 1 + choice / 4 % 20 : 1 + choice / 4 * 5 / 4; /* 1 to 20, or to 79 */
}

static inline size_t past_of(const shape *of)
{
    size_t samples = 0;
    for (uint32_t l = 0; l < of->sizes[6]; l++) samples += (of->kernels[l] - 1) * of->dilations[l];
    return samples * ((of->sizes[1] + 15) / 16 * 16);
}

static inline uint32_t *largest(uint32_t *numbers, uint32_t count)
{
    uint32_t *most = numbers;
    for (uint32_t i = 1; i < count; i++)
        if (numbers[i] > *most) most = &numbers[i];
    return most;
}

static inline void shrink(shape *of, size_t weights, size_t past)
{
    conditioning *cond = &of->cond;
    uint32_t *inputs[] = {&cond->channels, &cond->speakers, &cond->speaker_channels};
    while (numbers_of(of) > weights) {
        *largest(of->sizes, 5) = *largest(of->sizes, 5) * 3 / 4;
        for (size_t i = 0; i < COUNT(inputs); i++)
            if (*inputs[i] > 1) *inputs[i] = *inputs[i] * 3 / 4;
    }
    while (past_of(of) > past && *largest(of->dilations, of->sizes[6]) > 1)
        *largest(of->dilations, of->sizes[6]) = *largest(of->dilations, of->sizes[6]) * 3 / 4;
}

/* None for half of all choices; frames, speakers or both for the others. */
static inline conditioning conditioning_of(const uint8_t *choice)
{
    const uint32_t kind = choice[CONDITIONED] % 6, hop = choice[HOP];
    if (kind > 2) return (conditioning){0};
    conditioning of = {.channels = kind < 2 ? size_of(choice[CHANNELS]) : 0,
                       .hop = hop == 255  ? 65536
                              : hop < 128 ? 1 + hop % 9
                                          : hop,
                       .linear = choice[CONDITIONED] / 6 % 2};
    if (kind > 0)
        of.speakers = 1 + choice[SPEAKERS] % 40, of.speaker_channels = size_of(choice[EMBEDDING]);
    return of;
}

static inline shape shape_of(const uint8_t *choice)
{
    shape of = {{2 + (choice[LEVELS] + 256u * choice[LEVELS_HIGH]) % 299, size_of(choice[RESIDUAL]),
                 size_of(choice[DILATION]), size_of(choice[SKIP]), size_of(choice[HEAD]),
                 1 + choice[FIRST_KERNEL] % 5, 1 + choice[LAYERS] % 5},
                {0},
                {0},
                choice[SCALE] & 1,
                conditioning_of(choice)};
    for (uint32_t l = 0; l < of.sizes[6]; l++) {
        const uint8_t kernel = choice[KERNELS + l];
        of.kernels[l] = kernel == 255 ? 32 : 2 + kernel % 4;
        of.dilations[l] = 1 + choice[DILATIONS + l] % 70;
    }
    if (choice[WEIGHTS] % 16) shrink(&of, FEW_WEIGHTS, FEW_PAST);
    else shrink(&of, MOST_WEIGHTS, MOST_PAST);
    return of;
}

/* Half of all choices: the usual codec, as NULL. */
static inline void choose_codec(network *net, uint8_t choice)
{
    static const double emphases[] = {0, 0.5, 0.85, 0.999}, offsets[] = {0.5, 0, 1, -0.25};
    const double levels = net->spec.levels;
    if (choice % 2) return;
    net->codec = (fwn_codec){.mu = choice & 2 ? 255 : levels,
                             .steps = choice & 4 ? levels : (levels + 1) / 2,
                             .encode_offset = offsets[choice / 8 % 4],
                             .decode_offset = choice & 32 ? 0.125 : 0,
                             .decode_divisor = levels,
                             .pre_emphasis = emphases[choice / 64]};
    net->spec.codec = &net->codec;
}

/* One to three stages for a quarter of all choices of a network with frames, if they are small. */
static inline void choose_upsampling(network *net, uint8_t choice, uint8_t other)
{
    const uint32_t channels = net->spec.frame_channels, between = 1 + choice / 8 % 6,
                   stride = 1 + choice / 32 % 4, more = choice / 4 % 8, taps = 1 + choice / 16,
                   count = 1 + other % 3, crops = other / 3;
    const fwn_upsampling stages[] = {
        {between, between, taps, 1, crops % taps, choice / 4 % 2},
        {between, between, 2 + more, 2, crops % (more + 1), choice / 32 % 2},
        {between, channels, stride + more, stride, crops / 8 % (more + 1), choice / 64 % 2}};
    if (choice % 4 || !channels || channels > 40 || net->spec.frame_hop > 1000) return;
    add_upsampling(net, stages + 3 - count, count);
}

/* Most weights are of the usual size; some are all zero or denormal, some make every sum
 * overflow. */
static inline network *network_from(const uint8_t *choice)
{
    static const float scales[16] = {1, 1,  1, 1,      1,      1,     1,     0.1f,
                                     3, 30, 0, 1e-20f, 1e-39f, 1e10f, 1e25f, 1e38f};
    const shape of = shape_of(choice);
    random_step = choice[WEIGHTS];
    network *net = network_of(&of);
    const float scale = scales[choice[SCALE] / 2 % 16];
    for (size_t i = 0; scale != 1 && i < net->used; i++) net->values[i] *= scale;
    net->spec.start_code = choice[START] % of.sizes[0];
    net->spec.first_tanh = choice[FIRST_INPUT] % 2;
    net->spec.first_from_start = choice[FIRST_INPUT] / 2 % 2;
    choose_codec(net, choice[CODEC]);
    choose_upsampling(net, choice[UPSAMPLED], choice[STAGES]);
    return net;
}

/* ---- models, kept from one execution to the next --------------------------------------------- */

typedef struct {
    uint8_t choice[CHOICES - NETWORK];
    network *net;
    fwn_model *model;
} kept;

static inline uint32_t place_of(const uint8_t *choice, uint32_t places)
{
    return (uint32_t)(digest(EMPTY, choice + NETWORK, CHOICES - NETWORK) >> 20) % places;
}

static inline const kept *model_from(const uint8_t *choice)
{
    static kept all[512];
    kept *one = &all[place_of(choice, COUNT(all))];
    if (one->model && !memcmp(one->choice, choice + NETWORK, sizeof one->choice)) return one;
    if (one->model) free_network(one->net);
    fwn_model_destroy(one->model);
    memcpy(one->choice, choice + NETWORK, sizeof one->choice);
    one->net = network_from(choice);
    one->model = model_of(one->net, choice[PRECISION] % FWN_PRECISIONS);
    return one;
}

#endif
