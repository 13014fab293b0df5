/* Compares pairs_dot with two fused multiply-adds, on as many random operands as its argument; run by
 * tests/engine/test_other_cpus.py.  Factors are those of bfloat16x16: 0 or at least 2^-48, up to
 * infinity and NaN; sums are multiples of 2^-119, many of them near the product of the upper halves
 * with the other sign, so that little is left. */
#include "networks.h"
#include "kernels/simd_avx512bf16.h"

static uint64_t state = 1;

static uint32_t word(void) /* splitmix64: philox would take most of the time */
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)(z >> 32);
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The upper half of a factor; `spread` of the exponents around 1, or all of them. */
static uint32_t factor(int spread)
{
    const uint32_t bits = word(), zero = bits % 16 == 0;
    const uint32_t exponent = spread ? 124 + (bits >> 8) % 8 : 79 + (bits >> 8) % 177;
    return zero ? bits & 0x8000 : (bits & 0x807F) | exponent << 7;
}

static float sum_near(float product)
{
    const uint32_t bits = word();
    const float random =
        ldexpf((float)(int32_t)(bits & 0xFFFFFF) - 0x800000, (int)(bits >> 25) - 90);
    if (bits % 2 || !isfinite(product)) return random;
    return -product * (float)(1 + bits / 2 % 2 * 0x1p-20);
}

static void check(const vi x, const vi w, const vf sum)
{
    const vi upper = vi_set(-65536);
    vf expected = vf_fma(vf_bitcast(vi_and(x, upper)), vf_bitcast(vi_and(w, upper)), sum);
    expected = vf_fma(vf_bitcast(vi_shl(x, 16)), vf_bitcast(vi_shl(w, 16)), expected);
    float a[16], b[16];
    vf_store(a, pairs_dot(sum, x, w));
    vf_store(b, expected);
    for (int l = 0; l < 16; l++) {
        if (!memcmp(&a[l], &b[l], sizeof *a) || (isnan(a[l]) && isnan(b[l]))) continue;
        printf("lane %d: expected %a, found %a\n", l, b[l], a[l]);
        exit(1);
    }
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    for (long left = atol(arguments[1]); left > 0; left -= 16) {
        uint32_t x[16], w[16];
        float sum[16];
        const int spread = (int)(word() % 2);
        for (int l = 0; l < 16; l++) {
            x[l] = factor(spread) << 16 | factor(spread);
            w[l] = factor(spread) << 16 | factor(spread);
            sum[l] = sum_near(float_of(x[l] & 0xFFFF0000) * float_of(w[l] & 0xFFFF0000));
        }
        check(vi_load(x), vi_load(w), vf_load(sum));
    }
    return 0;
}
