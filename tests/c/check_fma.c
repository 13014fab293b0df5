/* Compares vf_fma of the portable code with the C library's fmaf, on as many random operands as its
 * argument; run by tests/engine/test_other_cpus.py.  Two thirds of them are made so that sums lie on or
 * beside the edges of rounding, of normal and of denormal numbers. */
#include "networks.h"
#include "kernels/simd_scalar.h"

static uint64_t state = 1;

static uint32_t word(void) /* splitmix64: philox would take most of the time */
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)(z >> 32);
}

static uint32_t mantissa(void)
{
    const uint32_t bits = word();
    switch (bits >> 30) {
    case 0: return bits & 0x7FFFFF;
    case 1: return (1u << bits % 24 | 1u << (bits >> 8) % 24) & 0x7FFFFF;
    case 2: return ((1u << bits % 24) - 1) & 0x7FFFFF;
    default: return ~(1u << bits % 24 | 1u << (bits >> 8) % 24) & 0x7FFFFF;
    }
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static float float_from(int exponent)
{
    exponent = exponent < 0 ? 0 : exponent > 255 ? 255 : exponent;
    return float_of((word() & 1) << 31 | (uint32_t)exponent << 23 | mantissa());
}

/* `spread` numbers around the middle */
static int around(int middle, uint32_t spread)
{
    return middle + (int)(word() % spread) - (int)spread / 2;
}

static void fill(float *a, float *b, float *c)
{
    const int x = (int)(word() & 255), tiny = 127 - 150; /* half of the least denormal */
    switch (word() % 3) {
    case 0: *a = float_of(word()), *b = float_of(word()), *c = float_of(word()); break;
    case 1: { /* any product, and a third operand near it */
        const int y = (int)(word() & 255);
        *a = float_from(x), *b = float_from(y), *c = float_from(around(x + y - 127, 120));
        break;
    }
    default: /* a denormal one, and a product far below it, often half a unit in its last place */
        *a = float_from(around(64, 60)), *c = float_from((int)(word() & 1));
        *b = float_from(around(tiny + 127, 8) - (int)(bits_of(*a) >> 23 & 255));
    }
}

static void check(const float *a, const float *b, const float *c)
{
    float found[16];
    vf_store(found, vf_fma(vf_load(a), vf_load(b), vf_load(c)));
    for (int l = 0; l < 16; l++) {
        const float expected = fmaf(a[l], b[l], c[l]);
        if (!memcmp(&found[l], &expected, sizeof expected)) continue;
        if (isnan(found[l]) && isnan(expected)) continue;
        printf("fma(%a, %a, %a): expected %a, found %a\n", a[l], b[l], c[l], expected, found[l]);
        exit(1);
    }
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    for (long left = atol(arguments[1]); left > 0; left -= 16) {
        float a[16], b[16], c[16];
        for (int l = 0; l < 16; l++) fill(&a[l], &b[l], &c[l]);
        check(a, b, c);
    }
    return 0;
}
