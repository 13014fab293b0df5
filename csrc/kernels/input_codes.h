/* The network's input: codes of the last first_kernel samples, each a row of a table. */
#ifndef FWN_INPUT_CODES_H
#define FWN_INPUT_CODES_H

#include "../stream.h"

/* The window of codes of the block: s->in[b] = history, the next code, then forced codes. */
static void gather_codes(fwn_stream *s, const fwn_io *io, uint32_t done, uint32_t n)
{
    const uint32_t before = s->model->spec.first_kernel - 1, width = before + s->block;
    for (uint32_t b = 0; b < s->batch; b++) {
        fwn_row *row = &s->row[b];
        uint32_t *in = s->in + (size_t)b * width;
        for (uint32_t i = 0; i < before; i++) in[i] = row->history[i];
        in[before] = row->next;
        for (uint32_t i = 1; i < n; i++)
            in[before + i] = io->forced[(size_t)b * io->n + done + i - 1];
        for (uint32_t i = 0; i < before; i++) row->history[i] = in[n + i];
    }
}

/* The first convolution, and its tanh: a one-hot vector times a matrix is a row of that matrix. */
static void embed_codes(fwn_stream *s, uint32_t n)
{
    const fwn_model *m = s->model;
    const uint32_t taps = m->spec.first_kernel, width = taps - 1 + s->block;
    const size_t table = (size_t)(m->spec.levels + 1) * m->Rp;
    float *x = s->x;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t b = 0; b < s->batch; b++, x += m->Rp)
            for (uint32_t r = 0; r < m->Rp; r += 16) {
                vf sum = vf_load(m->first_bias + r);
                for (uint32_t j = 0; j < taps; j++) {
                    const uint32_t code = s->in[(size_t)b * width + i + j];
                    sum = vf_add(sum, vf_load(m->first + j * table + (size_t)code * m->Rp + r));
                }
                vf_store(x + r, m->spec.first_tanh ? vf_tanh(sum) : sum);
            }
}

#endif
