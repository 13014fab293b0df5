/* The functions that are compiled once per instruction set and precision (kernels/). */
#ifndef FWN_DISPATCH_H
#define FWN_DISPATCH_H

#include "model.h"

typedef struct fwn_kernels {
    int (*block)(fwn_stream *, const fwn_io *, uint32_t done, uint32_t n); /* flow.h */
    void (*helper_block)(fwn_stream *); /* the second thread's share of the same block */
    void (*begin)(void), (*end)(void);  /* around blocks; or NULL */
    void (*store)(fwn_act row, const float *x, uint32_t k); /* x [k] as a row ... */
    void (*load)(float *x, fwn_act row, uint32_t k); /* ... and back: storing it changes no bit */
    void (*upsample)(const fwn_stage *, const float *x, size_t count, float *y); /* float32 only */
    int (*encode_f32)(const fwn_mulaw *, const float *x, size_t n, void *codes); /* codec_mulaw.h */
    void (*encode_i16)(const fwn_mulaw *, const int16_t *x, size_t n, void *codes);
    void (*decode_f32)(const fwn_mulaw *, const void *codes, size_t n, float *x);
    void (*read)(const char *memory, size_t size, size_t times); /* probe.h */
    uint64_t (*multiply)(const void *zeros, size_t times);
} fwn_kernels;

/* NULL: unknown, or not supported here */
const fwn_kernels *fwn_kernels_of(int isa, int precision);

#endif
