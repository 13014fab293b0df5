/* Conditioning: rows of features, added before the gate. */
#ifndef FWN_COND_H
#define FWN_COND_H

#include "../stream.h"

/* h += the conditioning of layer l, for each row.  A row of io->cond holds for `hop` steps. */
static void add_cond(fwn_stream *s, const fwn_io *io, uint32_t l, uint32_t done, uint32_t n)
{
    if (!io->cond) return;
    const uint32_t d = s->model->spec.dilation_channels, dp = s->model->Dp;
    const size_t layers = s->model->spec.layers;
    float *h = s->h;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = (io->cond_step + done + i) / io->hop;
        if (at >= io->cond_rows) at = io->cond_rows - 1;
        for (uint32_t b = 0; b < s->batch; b++, h += 2 * dp) {
            const float *c = io->cond + ((at * s->batch + b) * layers + l) * 2 * d;
            for (uint32_t k = 0; k < d; k++) h[k] += c[k];
            for (uint32_t k = 0; k < d; k++) h[dp + k] += c[d + k];
        }
    }
}

#endif
