/* The tables of a mu-law codec, made by mulaw.c. */
#ifndef FWN_MULAW_TABLES_H
#define FWN_MULAW_TABLES_H

#include "fastwavenet.h"

struct fwn_mulaw {
    uint32_t levels;
    /* |x| lies in segment (bits of (|x| + offset) >> drop) - first.  A segment holds at most one
     * threshold: its bits, or infinity's, and the code of magnitudes below it. */
    float offset;
    int drop, first;
    int segments;          /* of x >= 0; there are as many of x < 0, behind them */
    int32_t (*segment)[2]; /* [2 * segments] {threshold, code} */
    /* The position of |x| between the thresholds, without a table: 1 + mu |x| = m 2^e has the
     * position scale e + curve[0] + curve[1] m + ..., in codes from that of 0 (codec_mulaw.h). */
    float mu, scale, curve[6];
    float doubt;      /* so near to a whole position the segment decides; 0: it always does */
    float part;       /* position of 0, less the code below: in [0, 1) */
    int32_t below;    /* that code */
    int mirrored;     /* whether there are 256 levels and amplitude[255 - k] = -amplitude[k] */
    float *amplitude; /* [levels] decode */
    int16_t *sample;  /* [levels] decode, clip(rint(32768 x)) */
};

fwn_codec fwn_codec_symmetric(uint32_t levels);
int fwn_codec_check(const fwn_codec *codec,
                    uint32_t levels); /* whether its numbers are in bounds */

#endif
