/* Matrix times rows in float32.  Outputs in lanes, inputs broadcast, four partial sums per output:
 * y = ((((start + bias) + p0) + p1) + p2) + p3, p_i over k = i, i + 4, ...  (docs/arithmetic.md).
 * `start` may be y itself, or absent.  The number format has FWN_GROUP inputs in a group of weights
 * (64 bytes), and mat_widen makes floats of it. */
#ifndef FWN_MAT_H
#define FWN_MAT_H

#include "rows.h"

#define FWN_PARTS 4
#define FWN_GATED_BYTES sizeof(float)

/* Stores x[k] as a row of inputs. */
FWN_INLINE void act_store(fwn_act row, const float *x, uint32_t k)
{
    memcpy(row.at, x, k * sizeof *x);
}

#define act_store_relu act_store /* of x that are not negative */

FWN_INLINE void act_load(float *x, fwn_act row, uint32_t k) { memcpy(x, row.at, k * sizeof *x); }

/* Stores tanh(a[k]) sigmoid(b[k]) as a row of a gate's outputs. */
FWN_INLINE void act_gate(fwn_act row, const float *a, const float *b, uint32_t k, int first)
{
    (void)first;
    for (uint32_t i = 0; i < k; i += 16)
        vf_store((float *)row.at + i, vf_gate(vf_load(a + i), vf_load(b + i)));
}

/* The most rows that are multiplied at once. */
#if FWN_GROUP == 1 && FWN_REGISTERS >= 32
#define FWN_HAS_FEW
#define FWN_MOST_ROWS 8
#else
#define FWN_MOST_ROWS FWN_MICRO_ROWS
#endif

/* A microkernel: `parts` of the partial sums of each output, from number `first` on, for `rows`
 * rows and `panels` panels.  The sums stay in registers. */
typedef struct {
    int rows, panels, parts, first;
} fwn_micro;

/* The number of a sum. */
FWN_INLINE int micro_sum(fwn_micro t, int row, int panel, int part)
{
    return (row * t.panels + panel) * t.parts + part;
}

/* Whether so many sums, weights of each panel and an input fit the registers. */
FWN_INLINE int micro_fits(int sums, int panels, int weights)
{
    return sums + panels * weights + 1 <= FWN_REGISTERS;
}

/* The most partial sums of so many outputs that fit. */
FWN_INLINE int micro_parts(int rows, int panels)
{
    const int outputs = rows * panels;
    return micro_fits(4 * outputs, panels, 1) ? 4 : micro_fits(2 * outputs, panels, 1) ? 2 : 1;
}

/* Adds inputs [k, until) to the sums of outputs from n on; each weight is used for all rows.  A
 * group of weights that is used several times is loaded again where it does not fit beside the
 * weights made of it. */
FWN_INLINE void add_micro(vf *p, const fwn_mat *m, fwn_rows x, uint32_t k, uint32_t until, size_t n,
                          const fwn_micro t)
{
    const int once =
        t.rows * FWN_GROUP > 1 && micro_fits(t.rows * t.panels * t.parts, t.panels, FWN_GROUP);
    const size_t step = 64 / FWN_GROUP, panel = m->k * step; /* bytes of an input, of a panel */
    const char *w = (const char *)m->w + n / 16 * panel + k * step;
    const float *xs[FWN_MOST_ROWS];
    EACH(r, t.rows) xs[r] = x.at + r * x.stride + t.first;
    for (size_t at = k; at < until; at += FWN_PARTS, w += FWN_PARTS * step) {
        vi group[FWN_REGISTERS];
        EACH(i, t.parts) {
            const int part = t.first + i;
            vf wi[FWN_REGISTERS];
            if (i == 0 || part % FWN_GROUP == 0)
                EACH(j, t.panels) {
                    const char *from = w + j * panel + part / FWN_GROUP * 64;
                    group[j] = once ? vi_load_once(from) : vi_load(from);
                }
            EACH(j, t.panels) wi[j] = mat_widen(group[j], part);
            EACH(r, t.rows) {
                const vf xi = vf_set(xs[r][at + i]);
                EACH(j, t.panels) {
                    vf *sum = &p[micro_sum(t, r, j, i)];
                    *sum = vf_fma(xi, wi[j], *sum);
                }
            }
        }
    }
}

/* y of `rows` rows and `panels` panels, in as few passes over the inputs as registers allow. */
FWN_INLINE void mul_micro(float *y, const fwn_mat *m, fwn_act act, fwn_rows start, size_t n,
                          const int panels, const int rows)
{
    const fwn_rows x = {(const float *)act.at, act.stride / sizeof(float)};
    const int parts = micro_parts(rows, panels), passes = FWN_PARTS / parts;
    EACH(pass, passes) {
        const fwn_micro t = {rows, panels, parts, pass * parts};
        vf p[FWN_REGISTERS];
        EACH(r, rows)
            EACH(j, panels)
                EACH(i, parts) p[micro_sum(t, r, j, i)] = vf_set(0.0f);
        add_micro(p, m, x, 0, m->k, n, t);
        EACH(r, rows)
            EACH(j, panels) {
                float *out = y + (size_t)r * m->stride + n + 16 * j;
                vf sum = pass ? vf_load(out) : mat_start(m, start, r, n + 16 * j);
                EACH(i, parts) sum = vf_add(sum, p[micro_sum(t, r, j, i)]);
                vf_store(out, sum);
            }
    }
}

/* All rows, up to FWN_MICRO_ROWS (1 to 3) at a time; four are two and two. */
FWN_INLINE void mul_panels(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start,
                           size_t n, const int panels)
{
    while (rows) {
        size_t done = 1;
        if (FWN_MICRO_ROWS >= 3 && rows >= 3 && rows != 4)
            mul_micro(y, m, x, start, n, panels, done = 3);
        else if (FWN_MICRO_ROWS >= 2 && rows >= 2) mul_micro(y, m, x, start, n, panels, done = 2);
        else mul_micro(y, m, x, start, n, panels, 1);
        y += done * m->stride;
        x = act_from(x, done);
        start = rows_from(start, done);
        rows -= done;
    }
}

#ifdef FWN_HAS_FEW
/* All outputs of `rows` rows. */
FWN_INLINE void mul_outputs(float *y, const fwn_mat *m, fwn_act x, fwn_rows start, const int panels,
                            const int rows)
{
    size_t n = 0;
    for (; n + 16 * panels <= m->n; n += 16 * panels) mul_micro(y, m, x, start, n, panels, rows);
    for (; panels > 1 && n < m->n; n += 16) mul_micro(y, m, x, start, n, 1, rows);
}

/* mat_mul for 4 to 8 rows, which reads each weight once, not once for every three rows.  Returns 0
 * for other rows, and for eight rows of few or many inputs: their four passes pay only where the
 * weights of two panels fill the L1 cache and the inputs do not. */
FWN_INLINE int mul_few(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start)
{
    switch (rows) {
    case 4: mul_outputs(y, m, x, start, 1, 4); return 1;
    case 5: mul_outputs(y, m, x, start, 1, 5); return 1;
    case 6: mul_outputs(y, m, x, start, 1, 6); return 1;
    case 7: mul_outputs(y, m, x, start, 1, 7); return 1;
    case 8:
        if (m->k < 256 || m->k > 2048) return 0;
        mul_outputs(y, m, x, start, 3, 8);
        return 1;
    default: return 0;
    }
}
#endif

#define FWN_ONE_ROW_PANELS FWN_ROW_PANELS
#define FWN_ROWS_PANELS FWN_MICRO_PANELS
#include "mat_panels.h"

/* mat_mul for one row whose inputs arrive in parts: sums_begin initialises `sums` [n / 16][4][16],
 * sums_add adds inputs [k, until), ascending, sums_end stores the y of mat_mul. */
static void sums_begin(float *sums, const fwn_mat *m)
{
    memset(sums, 0, m->n * FWN_PARTS * sizeof(float));
}

FWN_INLINE void add_panels(float *sums, const fwn_mat *m, const float *x, uint32_t k,
                           uint32_t until, size_t n, const int panels)
{
    const fwn_micro t = {1, panels, FWN_PARTS, 0};
    vf p[FWN_PARTS * FWN_ROW_PANELS];
    sums += n * FWN_PARTS;
    EACH(i, FWN_PARTS * panels) p[i] = vf_load(sums + 16 * i);
    add_micro(p, m, (fwn_rows){x, 0}, k, until, n, t);
    EACH(i, FWN_PARTS * panels) vf_store(sums + 16 * i, p[i]);
}

static void sums_add(float *sums, const fwn_mat *m, fwn_act row, uint32_t k, uint32_t until)
{
    const float *x = (const float *)row.at;
    size_t n = 0;
    for (; n + 16 * FWN_ROW_PANELS <= m->n; n += 16 * FWN_ROW_PANELS)
        add_panels(sums, m, x, k, until, n, FWN_ROW_PANELS);
    for (; n < m->n; n += 16) add_panels(sums, m, x, k, until, n, 1);
}

static void sums_end(float *y, const fwn_mat *m, const float *sums, fwn_act row)
{
    (void)row;
    for (size_t n = 0; n < m->n; n += 16) {
        vf sum = mat_start(m, FWN_NO_START, 0, n);
        for (int i = 0; i < FWN_PARTS; i++, sums += 16) sum = vf_add(sum, vf_load(sums));
        vf_store(y + n, sum);
    }
}

#endif
