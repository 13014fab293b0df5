/* Begin and end of a range coder's bytes. */
#include "range_coder.h"

int fwn_encoder_begin(fwn_coder *c, uint8_t *to, size_t size, uint64_t samples)
{
    if (!c || !to || !size) return FWN_BAD_ARGUMENT;
    *c = (fwn_coder){.to = to, .size = size, .left = samples, .range = UINT64_MAX};
    return FWN_OK;
}

/* The only multiple of 2^56 in [low, low + 2^56): the bytes behind its first are 0. */
int fwn_encoder_end(fwn_coder *c)
{
    if (!c || !c->to || c->left || c->used >= c->size) return FWN_BAD_ARGUMENT;
    const uint64_t before = c->low;
    c->low += FWN_CODER_LEAST - 1;
    if (c->low < before) coder_carry(c);
    c->to[c->used++] = (uint8_t)(c->low >> 56);
    c->size = c->used;
    return FWN_OK;
}

int fwn_decoder_begin(fwn_coder *c, const uint8_t *from, size_t size, uint64_t samples)
{
    if (!c || !from || !size) return FWN_BAD_ARGUMENT;
    *c = (fwn_coder){.from = from, .size = size, .left = samples, .range = UINT64_MAX};
    for (int i = 0; i < 8; i++) c->low = c->low << 8 | coder_next(c);
    return FWN_OK;
}

/* The last byte read is that of fwn_encoder_end, and `low` the number that it added. */
int fwn_decoder_end(const fwn_coder *c)
{
    if (!c || !c->from) return FWN_BAD_ARGUMENT;
    const int whole = !c->left && c->used == c->size + FWN_CODER_AHEAD && c->low < FWN_CODER_LEAST;
    return whole && !c->damaged ? FWN_OK : FWN_BAD_BYTES;
}
