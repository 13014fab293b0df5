/* Learned upsampling: frames to the features that runs take, stage by stage, ahead of the runs. */
#include "float_mode.h"
#include "dispatch.h"

/* Output number p of the stage is number p + crop of the full convolution, which input i affects
 * with outputs [i stride, i stride + kernel). */
void fwn_upsampling_reach(const fwn_upsampling *s, uint32_t *before, uint32_t *after)
{
    *before = (s->kernel - 1 - s->crop) / s->stride;
    *after = (s->stride - 1 + s->crop) / s->stride;
}

uint32_t fwn_stage_taps(const fwn_upsampling *s)
{
    uint32_t before, after;
    fwn_upsampling_reach(s, &before, &after);
    return before + 1 + after;
}

int fwn_upsample(const fwn_model *m, int isa, uint32_t stage, uint32_t rows, size_t n,
                 const float *x, float *y)
{
    if (!m || stage >= m->spec.stages || !x || !y) return FWN_BAD_ARGUMENT;
    const fwn_kernels *kernels = fwn_kernels_of(isa, FWN_FLOAT32);
    if (!kernels) return FWN_BAD_ISA;
    const fwn_stage *s = &m->stage[stage];
    if (n < s->taps) return FWN_BAD_ARGUMENT;
    const size_t count = n - s->taps + 1;
    const fwn_float_mode host = fwn_set_mode();
    for (uint32_t row = 0; row < rows; row++)
        kernels->upsample(s, x + row * n * s->step, count, y + row * count * s->n);
    fwn_restore_mode(host);
    return FWN_OK;
}
