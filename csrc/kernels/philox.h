/* Philox4x32-10: a random number from a counter (Salmon et al., SC 2011).  No state. */
#ifndef FWN_PHILOX_H
#define FWN_PHILOX_H

#include <stdint.h>

/* The first word of block 0 of (seed, step, stream id). */
static inline uint32_t fwn_philox(uint64_t seed, uint64_t step, uint32_t stream)
{
    uint32_t c0 = 0, c1 = (uint32_t)step, c2 = (uint32_t)(step >> 32), c3 = stream;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c0;
}

#endif
