/* What a mu-law codec of N levels is made of; see mulaw.c. */
#ifndef FWN_MULAW_TABLES_H
#define FWN_MULAW_TABLES_H

#include "fastwavenet.h"

struct fwn_mulaw {
    uint32_t levels;
    int32_t up, down;     /* code = x < 0 ? down - m : up + m, m = thresholds at or below |x| */
    float mu, scale;      /* m is about scale * log(1 + mu |x|) + offset, rounded down */
    float offset;
    float *threshold;     /* [m's largest value + 1] ascending; the last is infinity */
    float *amplitude;     /* [levels] decode */
    int16_t *sample;      /* [levels] decode, clip(rint(32768 x)) */
};

#endif
