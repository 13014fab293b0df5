/* int8 products by AMX tiles (simd_amx.h).  A row of 16-bit inputs is two rows of a tile, its low
 * and its high bytes; a row of 8-bit ones is one. */
#ifndef FWN_MAT_I8_TILES_H
#define FWN_MAT_I8_TILES_H

/* Idle tile units take a quarter of a microsecond to power up.  Tiles pay for batches of at least
 * FWN_TILE_BATCH rows, and for FWN_AHEAD rows at once. */
#define FWN_TILE_BATCH 4

/* A piece of a product: some rows, some panels, one block of inputs. */
typedef struct {
    size_t row, n, rows; /* first row, first output, number of rows */
    uint32_t k;          /* first input */
} tile_piece;

/* y = sum * scale + (from + bias) for the rows of a piece; `from` and `bias` may be absent. */
FWN_INLINE void tile_out(float *y, const fwn_mat *m, const int32_t *sums, size_t rows,
                         const int32_t *zero_point, const float *scale, const float *unit,
                         fwn_rows from, const float *bias, const int panels, const int bytes)
{
    const size_t units = bytes ? 16 : 1, step = panels * (bytes ? 16 : 32);
    vi zero[4]; /* loaded once: y may alias any of these as far as the compiler can see */
    vf worth[4], plus[4];
    EACH(j, panels) zero[j] = sum_begin(m, zero_point + 16 * j);
    EACH(j, panels) worth[j] = vf_load(scale + 16 * j);
    EACH(j, panels) plus[j] = bias ? vf_load(bias + 16 * j) : vf_set(0.0f);
    for (size_t r = 0; r < rows; r++, sums += step, unit += units, y += m->stride) {
        const vf u = bytes ? vf_load(unit) : vf_set(*unit);
        EACH(j, panels) {
            vi sum = vi_add(vi_load(sums + 16 * j), zero[j]);
            if (!bytes) sum = vi_add(sum, vi_shl(vi_load(sums + 16 * (panels + j)), 8));
            vf before = plus[j];
            if (from.at) before = vf_load(from.at + r * from.stride + 16 * j);
            if (from.at && bias) before = vf_add(before, plus[j]);
            vf_store(y + 16 * j, vf_fma(vf_convert(sum), vf_mul(worth[j], u), before));
        }
    }
}

/* The same for a piece of m, specialised for each combination of `from` and bias. */
FWN_INLINE void piece_out(float *y, const fwn_mat *m, fwn_act x, fwn_rows start, tile_piece at,
                          const int32_t *sums, const int panels, const int bytes)
{
    const uint32_t block = bytes ? FWN_EXACT_BYTES : FWN_EXACT;
    const int32_t *zero_point = m->zero_point + (size_t)(at.k / block) * m->stride + at.n;
    const float *unit = bytes ? x.unit + at.row * 16 : x.scale + at.row, *scale = m->scale + at.n;
    const float *bias = at.k || !m->bias ? NULL : m->bias + at.n;
    fwn_rows from = at.k ? (fwn_rows){y, m->stride} : start;
    if (from.at) from.at += at.row * from.stride + at.n;
    y += at.row * m->stride + at.n;
    if (!from.at)
        tile_out(y, m, sums, at.rows, zero_point, scale, unit, FWN_NO_START, bias, panels, bytes);
    else if (!bias)
        tile_out(y, m, sums, at.rows, zero_point, scale, unit, from, NULL, panels, bytes);
    else tile_out(y, m, sums, at.rows, zero_point, scale, unit, from, bias, panels, bytes);
}

/* All rows times outputs [n, end), in pieces of `panels` panels and one tile of rows (8, or 16 of
 * bytes), two if `tall`.  The tile unit multiplies one piece while the sums of the piece before
 * become floats. */
FWN_INLINE void mul_pieces(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start,
                           size_t n, size_t end, const int tall, const int panels, const int bytes)
{
    const uint32_t block = bytes ? FWN_EXACT_BYTES : FWN_EXACT;
    const size_t stride = bytes ? x.stride : x.stride / 2, panel = (size_t)m->k * 16;
    const size_t most = (bytes ? 16 : 8) * (tall ? 2 : 1);
    int32_t sums[2][1024] __attribute__((aligned(64)));
    tile_piece last = {0, 0, 0, 0}, at;
    int turn = 0;
    for (at.row = 0; at.row < rows; at.row += most)
        for (at.n = n; at.n < end; at.n += 16 * panels)
            for (at.k = 0; at.k < m->k; at.k += block) {
                const char *from = x.at + at.row * x.stride + at.k;
                const char *w = (const char *)m->w + at.n * m->k + (size_t)at.k * 16;
                const uint32_t width = m->k - at.k < block ? m->k - at.k : block;
                if (tall) tiles_2x2(sums[turn], from, stride, w, panel, width);
                else if (panels == 4) tiles_1x4(sums[turn], from, stride, w, panel, width);
                else tiles_1x1(sums[turn], from, stride, w, width);
                if (last.rows) piece_out(y, m, x, start, last, sums[!turn], panels, bytes);
                at.rows = rows - at.row < most ? rows - at.row : most;
                last = at;
                turn = !turn;
            }
    if (last.rows) piece_out(y, m, x, start, last, sums[!turn], panels, bytes);
}

/* Tiles are read whole: memory after the last row is readable, and zeros follow each row's k
 * inputs. */
FWN_INLINE void mul_by_tiles(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start,
                             const int bytes)
{
    const size_t tile = bytes ? 16 : 8, over = rows % (2 * tile);
    const size_t tall = over > tile ? rows : rows - over; /* rows that go two tiles at a time */
    const size_t n2 = m->n / 32 * 32, n4 = m->n / 64 * 64;
    mul_pieces(y, m, x, tall, start, 0, n2, 1, 2, bytes);
    mul_pieces(y, m, x, tall, start, n2, m->n, 0, 1, bytes);
    y += tall * m->stride;
    x = act_from(x, tall);
    start = rows_from(start, tall);
    mul_pieces(y, m, x, rows - tall, start, 0, n4, 0, 4, bytes);
    mul_pieces(y, m, x, rows - tall, start, n4, m->n, 0, 1, bytes);
}

#endif
