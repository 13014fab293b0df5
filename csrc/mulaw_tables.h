/* What a mu-law codec of N levels is made of; see mulaw.c. */
#ifndef FWN_MULAW_TABLES_H
#define FWN_MULAW_TABLES_H

#include "fastwavenet.h"

struct fwn_mulaw {
    uint32_t levels;
    /* |x| lies in segment (the bits of (|x| + offset) >> drop) - first, and a segment holds one
     * threshold at most: its bits, or infinity's, and the code of what lies below it. */
    float offset;
    int drop, first;
    int32_t (*segment)[2]; /* {threshold, code} */
    float *amplitude;      /* [levels] decode */
    int16_t *sample;       /* [levels] decode, clip(rint(32768 x)) */
};

#endif
