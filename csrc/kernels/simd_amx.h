/* AMX: products of tiles of bytes, beside the vocabulary of AVX-512.  A tile is 16 rows of 64
 * bytes; 16 rows of inputs times 16 groups of 4 weights for 16 outputs are 16 x 16 exact sums. */
#ifndef FWN_SIMD_AMX_H
#define FWN_SIMD_AMX_H

#include "simd_avx512.h"

#define FWN_HAS_TILES

/* All eight tiles are whole ones; a kernel uses 0 to 3 for sums. */
static const struct {
    uint8_t palette, start, none[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} fwn_tiles = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};

static inline void tiles_begin(void) { _tile_loadconfig(&fwn_tiles); }
static inline void tiles_end(void) { _tile_release(); }

/* sums [16][64] = x [16][k] times four panels of weights, `panel` bytes apart; k in 64s. */
static inline void tiles_1x4(int32_t *sums, const char *x, size_t stride, const char *w,
                             size_t panel, size_t k)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t at = 0; at < k; at += 64, w += 1024) {
        _tile_loadd(4, x + at, stride);
        _tile_loadd(5, w, 64);
        _tile_loadd(6, w + panel, 64);
        _tile_loadd(7, w + 2 * panel, 64);
        _tile_dpbusd(0, 4, 5);
        _tile_loadd(5, w + 3 * panel, 64);
        _tile_dpbusd(1, 4, 6);
        _tile_dpbusd(2, 4, 7);
        _tile_dpbusd(3, 4, 5);
    }
    _tile_stored(0, sums, 256);
    _tile_stored(1, sums + 16, 256);
    _tile_stored(2, sums + 32, 256);
    _tile_stored(3, sums + 48, 256);
}

/* sums [16][16] = x [16][k] times one panel. */
static inline void tiles_1x1(int32_t *sums, const char *x, size_t stride, const char *w, size_t k)
{
    _tile_zero(0);
    for (size_t at = 0; at < k; at += 64, w += 1024) {
        _tile_loadd(4, x + at, stride);
        _tile_loadd(5, w, 64);
        _tile_dpbusd(0, 4, 5);
    }
    _tile_stored(0, sums, 64);
}

/* sums [32][32] = x [32][k] times two panels: the fastest for many rows. */
static inline void tiles_2x2(int32_t *sums, const char *x, size_t stride, const char *w,
                             size_t panel, size_t k)
{
    const char *lower = x + 16 * stride;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t at = 0; at < k; at += 64, w += 1024) {
        _tile_loadd(4, x + at, stride);
        _tile_loadd(6, w, 64);
        _tile_loadd(7, w + panel, 64);
        _tile_dpbusd(0, 4, 6);
        _tile_loadd(5, lower + at, stride);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    _tile_stored(0, sums, 128);
    _tile_stored(1, sums + 16, 128);
    _tile_stored(2, sums + 16 * 32, 128);
    _tile_stored(3, sums + 16 * 32 + 16, 128);
}

#endif
