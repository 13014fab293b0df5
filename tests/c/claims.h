/* Claims of the program test_engine, and helpers to run and compare streams. */
#ifndef CLAIMS_H
#define CLAIMS_H

#include "dispatch.h"
#include "stream.h"
#include "networks.h"

/* ---- claims ---------------------------------------------------------------------------------- */

typedef struct {
    const char *name;
    void (*run)(void);
} claim;
#define TEST(name) {#name, name}

/* Claims of one test_*.c, ended by a name of NULL. */
extern const claim CALLS[], CODING[], CONDITIONING[], FLOAT_MODE[], MEMORY[], MODELS[], MULAW[],
    STATES[], STEPPING[], THREADS[], UPSAMPLING[];

/* ---- the allocator (allocator.c) ------------------------------------------------------------- */

extern long allocations, live, fail_at; /* fail_at: the allocation that fails; 0: none */
extern int no_threads;                  /* pthread_create fails */

/* ---- steps ----------------------------------------------------------------------------------- */

static inline int same(const result *a, const result *b)
{
    return !memcmp(a->codes, b->codes, a->steps * sizeof(uint16_t)) &&
           !memcmp(a->audio, b->audio, a->steps * sizeof(float)) &&
           !memcmp(a->logp, b->logp, a->steps * sizeof(float)) &&
           !memcmp(a->logits, b->logits, a->steps * a->levels * sizeof(float));
}

/* n steps of one row in calls of `chunk`, drawn or forced. */
static inline result run(fwn_stream *s, uint32_t levels, uint32_t n, uint32_t chunk,
                         const uint16_t *forced)
{
    result r = new_result(n, levels);
    for (uint32_t done = 0; done < n; done += chunk) {
        const uint32_t m = n - done < chunk ? n - done : chunk;
        const fwn_io io = {.n = m,
                           .temperature = 1.0f,
                           .codes = r.codes + done,
                           .audio = r.audio + done,
                           .logp = r.logp + done,
                           .logits = r.logits + (size_t)done * levels,
                           .forced = forced ? forced + done : NULL};
        CHECK(fwn_run(s, &io) == FWN_OK);
    }
    return r;
}

/* Whether an instruction set has code of its own for a precision, not that of one before it. */
static inline int has_own_code(const int *isas, int i, int precision)
{
    for (int j = 0; j < i; j++)
        if (fwn_kernels_of(isas[j], precision) == fwn_kernels_of(isas[i], precision)) return 0;
    return 1;
}

/* Calls test(isa, precision, which) so that every pair of values of any two of these occurs, once
 * for the same code.  An instruction set that adds to some precisions gets a third of the
 * networks. */
static inline void everywhere(void (*test)(int isa, int precision, size_t which))
{
    int isas[FWN_ISAS], whole = 0, number = 0; /* number: of those with code for float32 */
    const int count = fwn_isa_list(isas, FWN_ISAS);
    for (int i = 0; i < count; i++) whole += has_own_code(isas, i, FWN_FLOAT32);
    for (int i = 0; i < count; number += has_own_code(isas, i++, FWN_FLOAT32))
        for (int precision = 0; precision < FWN_PRECISIONS; precision++)
            for (size_t which = 0; which < COUNT(NETWORKS); which++)
                if (has_own_code(isas, i, precision) &&
                    (whole < 3 || ((size_t)number + (size_t)precision + which) % 3 == 0))
                    test(isas[i], precision, which);
}

enum { STEPS = 140, FEWER = 70 }; /* more than two blocks, more than one */

/* ---- networks and states --------------------------------------------------------------------- */

static inline float *values_of(network *net, const char *name)
{
    for (size_t i = 0; i < net->count; i++)
        if (!strcmp(net->names[i], name)) return (float *)net->tensors[i].data;
    CHECK(!"a tensor of that name");
    return NULL;
}

static inline int created_in(int precision, const fwn_spec *spec, const network *net, size_t count)
{
    fwn_model *model = NULL;
    const int error = fwn_model_create(spec, net->tensors, count, precision, &model);
    CHECK(!error == (model != NULL));
    fwn_model_destroy(model);
    return error;
}

static inline int created(const fwn_spec *spec, const network *net, size_t count)
{
    return created_in(FWN_FLOAT32, spec, net, count);
}

typedef struct {
    unsigned char *bytes;
    size_t size;
} state;

static inline state state_of(fwn_stream *stream, uint32_t row)
{
    state s = {NULL, 0};
    CHECK(fwn_state_save(stream, row, NULL, &s.size) == FWN_OK);
    s.bytes = malloc(s.size);
    CHECK(fwn_state_save(stream, row, s.bytes, &s.size) == FWN_OK);
    return s;
}

static inline int in_state(fwn_stream *stream, const state *expected)
{
    state now = state_of(stream, 0);
    const int equal = now.size == expected->size && !memcmp(now.bytes, expected->bytes, now.size);
    free(now.bytes);
    return equal;
}

#endif
