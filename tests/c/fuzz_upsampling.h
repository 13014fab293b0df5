/* Stages of upsampling for fuzz.c, on two instruction sets. */
#ifndef FUZZ_UPSAMPLING_H
#define FUZZ_UPSAMPLING_H

#include "fuzz_twin.h"

/* Zeros in the place of the first and the last inputs of each row, as padding of a sound has them. */
static inline void pad(float *x, uint32_t rows, uint32_t n, uint32_t inputs, uint32_t zeros)
{
    for (uint32_t t = 0; t < rows * n; t++)
        if (t % n < zeros || t % n + zeros >= n)
            memset(x + (size_t)t * inputs, 0, inputs * sizeof *x);
}

/* A stage of the upsampling: both instruction sets give the same bits. */
static inline void upsample(const pair *p, input *in, const uint8_t *choice)
{
    const uint32_t stage = next_below(in, 4), rows = next_below(in, 4), n = next_below(in, 24);
    const fwn_model *model = p->of->model;
    uint32_t seed = next_word(in) | 1, before = 0, after = 0, inputs = 1, each = 1;
    if (stage < p->spec->stages) {
        const fwn_upsampling *s = &p->spec->upsampling[stage];
        fwn_upsampling_reach(s, &before, &after);
        inputs = s->inputs, each = s->stride * s->outputs;
    }
    const int expected = stage < p->spec->stages && n > before + after ? FWN_OK : FWN_BAD_ARGUMENT;
    const size_t given = (size_t)rows * n * inputs,
                 made = expected ? 0 : (size_t)rows * (n - before - after) * each;
    float *x = exactly(given + 1, sizeof *x), *y = exactly(made + 1, sizeof *y),
          *twin = exactly(made + 1, sizeof *y);
    for (size_t i = 0; i < given; i++) x[1 + i] = (float)(int32_t)scramble(&seed) * 0x1p-31f;
    pad(x + 1, rows, n, inputs, scramble(&seed) % 4);
    CHECK(fwn_upsample(model, isa_of(choice[ISA]), stage, rows, n, x + 1, y + 1) == expected);
    CHECK(fwn_upsample(model, isa_of(choice[TWIN_ISA]), stage, rows, n, x + 1, twin + 1) ==
          expected);
    CHECK(!memcmp(y + 1, twin + 1, made * sizeof *y));
    free(x);
    free(y);
    free(twin);
}

#endif
