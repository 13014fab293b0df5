/* The range coder: a number in [0, 1), its leading bytes first, whose place names a sequence of
 * parts of intervals (docs/arithmetic.md, "Range coder").  The kernels use it in the place of the
 * draw; range_coder.c has the public functions. */
#ifndef FWN_RANGE_CODER_H
#define FWN_RANGE_CODER_H

#include "fastwavenet.h"

#define FWN_CODER_LEAST ((uint64_t)1 << 56) /* the range between two parts, at least */
#define FWN_CODER_MOST ((uint64_t)1 << 47)  /* a total, at most */
#define FWN_CODER_AHEAD 7                   /* bytes that a decoder reads before it needs them */

/* Adds 1 to the number written so far.  It stays below 1, so a byte below 255 is found. */
static inline void coder_carry(fwn_coder *c)
{
    for (size_t i = c->used; i-- > 0;)
        if (++c->to[i]) return;
}

/* Appends the part [start, start + size) of [0, total): size > 0, start + size <= total, total at
 * most FWN_CODER_MOST.  `to` must have room for 8 bytes. */
static inline void coder_put(fwn_coder *c, uint64_t start, uint64_t size, uint64_t total)
{
    const uint64_t unit = c->range / total, before = c->low;
    c->low += start * unit;
    c->range = size * unit;
    if (c->low < before) coder_carry(c);
    for (; c->range < FWN_CODER_LEAST; c->range <<= 8, c->low <<= 8)
        c->to[c->used++] = (uint8_t)(c->low >> 56);
}

/* The next byte; 0 behind the last. */
static inline uint64_t coder_next(fwn_coder *c)
{
    const size_t at = c->used++;
    return at < c->size ? c->from[at] : 0;
}

/* A number below `total` in the next part; coder_take must follow.  Bytes that no encoder wrote
 * are marked as damaged. */
static inline uint64_t coder_target(fwn_coder *c, uint64_t total)
{
    const uint64_t target = c->low / (c->range / total);
    if (target < total) return target;
    c->damaged = 1;
    return total - 1;
}

/* Removes the part that contains coder_target's number. */
static inline void coder_take(fwn_coder *c, uint64_t start, uint64_t size, uint64_t total)
{
    const uint64_t unit = c->range / total;
    c->low -= start * unit;
    c->range = size * unit;
    for (; c->range < FWN_CODER_LEAST; c->range <<= 8) c->low = c->low << 8 | coder_next(c);
    if (c->used > c->size + FWN_CODER_AHEAD) c->damaged = 1;
}

#endif
