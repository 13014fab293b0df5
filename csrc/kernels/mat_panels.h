/* Loops over the outputs of a matrix of floats or bfloat16x16, FWN_ONE_ROW_PANELS panels at a time
 * for one row and FWN_ROWS_PANELS for several, by the number format's mul_micro and mul_panels,
 * or a few rows by its mul_few if FWN_HAS_FEW. */

/* y = start + bias + W x for each row; rows of y are m->stride wide. */
static void mat_mul(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start)
{
#ifdef FWN_HAS_FEW
    if (mul_few(y, m, x, rows, start)) return;
#endif
    size_t n = 0;
    for (; rows == 1 && n + 16 * FWN_ONE_ROW_PANELS <= m->n; n += 16 * FWN_ONE_ROW_PANELS)
        mul_micro(y, m, x, start, n, FWN_ONE_ROW_PANELS, 1);
    for (; n + 16 * FWN_ROWS_PANELS <= m->n; n += 16 * FWN_ROWS_PANELS)
        mul_panels(y, m, x, rows, start, n, FWN_ROWS_PANELS);
    if (n < m->n) mul_panels(y, m, x, rows, start, n, 1);
}

/* The same for one row, last outputs first.  A matrix that is read in alternating directions finds
 * its most recently read weights in the cache. */
static void mat_mul_back(float *y, const fwn_mat *m, fwn_act row, fwn_rows start)
{
    size_t n = m->n;
    for (; n % (16 * FWN_ONE_ROW_PANELS); n -= 16) mul_micro(y, m, row, start, n - 16, 1, 1);
    for (; n; n -= 16 * FWN_ONE_ROW_PANELS)
        mul_micro(y, m, row, start, n - 16 * FWN_ONE_ROW_PANELS, FWN_ONE_ROW_PANELS, 1);
}
