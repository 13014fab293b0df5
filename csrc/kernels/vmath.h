/* exp, log and the WaveNet gate on 16 lanes; docs/arithmetic.md, "Functions".  The coefficients are
 * minimax fits (weighted least squares at Chebyshev nodes) rounded to float. */
#ifndef FWN_VMATH_H
#define FWN_VMATH_H

/* e^x for x from -87 to 88. */
static inline vf vf_exp_within(vf x)
{
    const vf round = vf_set(12582912.0f); /* 1.5 * 2^23: adding it leaves the nearest integer */
    const vf shifted = vf_fma(x, vf_set(1.44269504f), round);
    const vf n = vf_sub(shifted, round);
    vf r = vf_fma(n, vf_set(-0.693359375f), x); /* ln 2 in two parts; n times the first is exact */
    r = vf_fma(n, vf_set(2.12194440e-4f), r);
    vf q = vf_set(0.0013813144f);
    q = vf_fma(q, r, vf_set(0.008369419f));
    q = vf_fma(q, r, vf_set(0.041668456f));
    q = vf_fma(q, r, vf_set(0.16666515f));
    q = vf_fma(q, r, vf_set(0.49999994f));
    const vf p = vf_add(vf_fma(vf_mul(r, r), q, r), vf_set(1.0f));
    return vf_bitcast(vi_add(vi_bitcast(p), vi_shl(vi_bitcast(shifted), 23)));
}

/* e^x: x above 88 counts as 88, below -87 the result is 0. */
static inline vf vf_exp(vf x)
{
    const vf within = vf_max(vf_min(x, vf_set(88.0f)), vf_set(-87.0f));
    return vf_select(vf_lt(x, vf_set(-87.0f)), vf_set(0.0f), vf_exp_within(within));
}

/* ln x for positive, normal x. */
static inline vf vf_log(vf x)
{
    const vi half = vi_set(0x3f3504f3); /* sqrt(1/2): the mantissa lies in [sqrt(1/2), sqrt(2)) */
    const vi e = vi_sra(vi_sub(vi_bitcast(x), half), 23);
    const vf f = vf_sub(vf_bitcast(vi_sub(vi_bitcast(x), vi_shl(e, 23))), vf_set(1.0f));
    const vf n = vf_convert(e);
    vf q = vf_set(-0.07634474f);
    q = vf_fma(q, f, vf_set(0.12761568f));
    q = vf_fma(q, f, vf_set(-0.13160187f));
    q = vf_fma(q, f, vf_set(0.14201759f));
    q = vf_fma(q, f, vf_set(-0.16623357f));
    q = vf_fma(q, f, vf_set(0.20001227f));
    q = vf_fma(q, f, vf_set(-0.2500082f));
    q = vf_fma(q, f, vf_set(0.3333333f));
    const vf ff = vf_mul(f, f);
    vf y = vf_fma(vf_mul(f, ff), q, vf_mul(ff, vf_set(-0.5f)));
    y = vf_add(vf_fma(n, vf_set(-2.12194440e-4f), y), f);
    return vf_fma(n, vf_set(0.693359375f), y);
}

/* rise in tanh(a) = rise / (1 + e), with e = exp(-2 |a|). */
static inline vf vf_rise(vf a, vf *e)
{
    const vf zero = vf_set(0.0f), one = vf_set(1.0f);
    const vm negative = vf_lt(a, zero);
    const vf size = vf_min(vf_select(negative, vf_sub(zero, a), a), vf_set(40.0f));
    *e = vf_exp_within(vf_mul(size, vf_set(-2.0f)));
    return vf_select(negative, vf_sub(*e, one), vf_sub(one, *e));
}

/* tanh(a); NaN if a is not finite. */
static inline vf vf_tanh(vf a)
{
    vf e;
    const vf rise = vf_rise(a, &e);
    return vf_check(vf_div(rise, vf_add(vf_set(1.0f), e)), a);
}

/* tanh(a) * sigmoid(b) with one division; NaN if a or b is not finite, so that softmax_max finds
 * it. */
static inline vf vf_gate(vf a, vf b)
{
    const vf zero = vf_set(0.0f), one = vf_set(1.0f), limit = vf_set(40.0f);
    vf ea;
    const vf rise = vf_rise(a, &ea);
    const vf eb = vf_exp_within(vf_sub(zero, vf_max(vf_min(b, limit), vf_set(-40.0f))));
    const vf z = vf_div(rise, vf_mul(vf_add(one, ea), vf_add(one, eb)));
    return vf_check(vf_check(z, a), b);
}

#endif
