/* Prints "name digest" for each name of the vector vocabulary as the header SIMD defines it; run by
 * tests/engine/test_other_cpus.py for each instruction set.  Operands are every pair of special values and
 * then random bits. */
#include "networks.h"
#include SIMD

enum { SETS = 600 };
static struct operands {
    float a[16], b[16], c[16], other[16];
    int32_t n[16], m[16], at[16], quads[16], highs[16], lows[16];
    int16_t samples[16];
    uint16_t words[16];
    uint8_t bytes[16];
} sets[SETS], *now;
static float table[1024], mirrored[256];
static int32_t pairs[1024][2];

static const uint32_t SPECIAL[] = {
    0,          1,          0x7FFFFF,   0x800000,   0x3F800000, 0x3F800001, 0x4B000000,
    0x7F7FFFFF, 0x7F800000, 0x7FC00000, 0x80000000, 0x80000001, 0x807FFFFF, 0x80800000,
    0xBF800000, 0xBF800001, 0xCB000000, 0xFF7FFFFF, 0xFF800000, 0xFFC00000,
};

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void fill_lane(struct operands *o, uint32_t l, uint32_t pair)
{
    const uint32_t kinds = COUNT(SPECIAL);
    o->a[l] = float_of(pair < kinds * kinds ? SPECIAL[pair / kinds] : random_word());
    o->b[l] = float_of(pair < kinds * kinds ? SPECIAL[pair % kinds] : random_word());
    switch (below(4)) {
    case 0: o->c[l] = float_of(SPECIAL[below(kinds)]); break;
    case 1: o->c[l] = float_of(random_word()); break;
    default: o->c[l] = -(o->a[l] * o->b[l]); /* only a fused sum leaves something */
    }
    o->other[l] = random_float();
    o->n[l] = (int32_t)random_word();
    o->m[l] = (int32_t)random_word();
    o->quads[l] = (int32_t)random_word();
    o->highs[l] = (int32_t)(below(2) ? 0x81818181 : 0x7F7F7F7F);
    o->lows[l] = below(4) ? (int32_t)0x81818181 : (int32_t)random_word();
    o->at[l] = (int32_t)below(COUNT(table));
    o->samples[l] = (int16_t)random_word();
    o->words[l] = (uint16_t)random_word();
    o->bytes[l] = (uint8_t)random_word();
}

static void fill(void)
{
    for (uint32_t i = 0; i < 16 * SETS; i++) fill_lane(&sets[i / 16], i % 16, i);
    for (int i = 0; i < 128; i++) mirrored[127 - i] = -(mirrored[128 + i] = (float)i + 1.0f);
    for (size_t i = 0; i < COUNT(table); i++)
        table[i] = (float)i, pairs[i][0] = (int32_t)i, pairs[i][1] = -(int32_t)i;
}

static uint64_t of_bits(uint64_t h, vf x)
{
    float f[16];
    vf_store(f, x);
    return digest(h, f, sizeof f);
}
static uint64_t of_ints(uint64_t h, vi x) { return of_bits(h, vf_bitcast(x)); }
/* Which NaN an operation makes is the CPU's choice. */
static uint64_t of_floats(uint64_t h, vf x)
{
    float f[16];
    vf_store(f, x);
    for (int l = 0; l < 16; l++)
        if (isnan(f[l])) f[l] = float_of(0x7FC00000);
    return digest(h, f, sizeof f);
}
static uint64_t of_bytes(uint64_t h, vi x)
{
    uint8_t codes[16];
    vi_store_u8(codes, x);
    return digest(h, codes, sizeof codes);
}
static uint64_t of_words(uint64_t h, vi x)
{
    uint16_t codes[16];
    vi_store_u16(codes, x);
    return digest(h, codes, sizeof codes);
}

static uint64_t of_samples(uint64_t h, vi x)
{
    int16_t samples[16];
    vi_store_i16(samples, x);
    return digest(h, samples, sizeof samples);
}

static uint64_t of_largest(uint64_t h, vi x)
{
    const int32_t largest = vi_largest(x);
    return digest(h, &largest, sizeof largest);
}

static uint64_t of_truth(uint64_t h, vm x)
{
    const int32_t any = vm_any(x);
    return digest(h, &any, sizeof any);
}

/* acc + products of the bytes at x, stored as the instruction set multiplies them, and w: without
 * those of the offset.  -128 is not among the bytes. */
static vi dot_of(vi acc, const int32_t x[16], const int32_t w[16])
{
    uint8_t inputs[64], weights[64], offset[64];
    memcpy(inputs, x, sizeof inputs);
    memcpy(weights, w, sizeof weights);
    for (int i = 0; i < 64; i++) {
        if (inputs[i] == 0x80) inputs[i] = 0x81;
        if (weights[i] == 0x80) weights[i] = 0x81;
        inputs[i] = (uint8_t)(inputs[i] + FWN_BYTE_OFFSET);
        offset[i] = FWN_BYTE_OFFSET;
    }
    const vi zero_point = vi_dot(vi_set(0), vi_load(offset), vi_load(weights));
    return vi_sub(vi_dot(acc, vi_load(inputs), vi_load(weights)), zero_point);
}

static uint64_t of_pairs(uint64_t h, vi where)
{
    vi first, second;
    vi_gather2((const int32_t (*)[2])pairs, where, &first, &second);
    return of_ints(of_ints(h, first), second);
}

/* One line: the digest of `result`, as `of` sees it, for all operands. */
#define PRINT(name, of, result)                                       \
    do {                                                              \
        uint64_t h = EMPTY;                                           \
        for (now = sets; now < sets + SETS; now++) h = of(h, result); \
        printf("%s %016llx\n", #name, (unsigned long long)h);         \
    } while (0)
#define A vf_load(now->a)
#define B vf_load(now->b)
#define C vf_load(now->c)
#define N vi_load(now->n)
#define M vi_load(now->m)
/* Of magnitudes below 2^22, the domain of vi_nearest: multiples of 1/2, and anything. */
#define NEAR                                                               \
    vf_select(vf_lt(A, B), vf_mul(vf_convert(vi_sra(N, 9)), vf_set(0.5f)), \
              vf_mul(vf_load(now->other), vf_set(32768.0f)))
#define LEAST vi_set(INT32_MIN)
/* Normal numbers above 0. */
#define NORMAL                                                                               \
    vf_bitcast(vi_min(vi_max(vi_and(vi_bitcast(A), vi_set(0x7FFFFFFF)), vi_set(0x00800000)), \
                      vi_set(0x7F7FFFFF)))

int main(void)
{
    fill();
    PRINT(vf_load, of_bits, A);
    PRINT(vi_bitcast, of_ints, vi_bitcast(A));
    PRINT(vi_load, of_ints, N);
    PRINT(vi_load_once, of_ints, vi_load_once(now->m));
    PRINT(vf_set, of_bits, vf_set(now->a[3]));
    PRINT(vf_add, of_floats, vf_add(A, B));
    PRINT(vf_sub, of_floats, vf_sub(A, B));
    PRINT(vf_mul, of_floats, vf_mul(A, B));
    PRINT(vf_div, of_floats, vf_div(A, B));
    PRINT(vf_max, of_bits, vf_max(A, B));
    PRINT(vf_min, of_bits, vf_min(A, B));
    PRINT(vf_fma, of_floats, vf_fma(A, B, C));
    PRINT(vf_check, of_floats, vf_check(C, A));
    PRINT(vi_set, of_ints, vi_set(now->n[3]));
    PRINT(vi_add, of_ints, vi_add(N, M));
    PRINT(vi_sub, of_ints, vi_sub(N, M));
    PRINT(vi_shl, of_ints, vi_shl(N, 23));
    PRINT(vi_sra, of_ints, vi_sra(N, 23));
    PRINT(vi_and, of_ints, vi_and(N, M));
    PRINT(vi_max, of_ints, vi_max(N, vi_select(vf_lt(A, B), M, LEAST)));
    PRINT(vi_min, of_ints, vi_min(N, vi_select(vf_lt(A, B), M, LEAST)));
    PRINT(vi_largest, of_largest, vi_select(vf_lt(A, vf_set(0.0f)), N, LEAST));
    PRINT(vi_dot, of_ints, dot_of(N, now->m, now->quads));
    PRINT(extreme_dots, of_ints, dot_of(N, now->highs, now->lows));
    PRINT(vi_load2, of_ints, vi_load2(now->m + 4));
    PRINT(vi_load_words, of_ints, vi_load_words(now->quads));
    PRINT(vi_dot2, of_ints, vi_dot2(N, M, vi_load(now->quads)));
    PRINT(vi_add_pairs, of_ints, vi_add_pairs(N, M));
    PRINT(vi_nearest, of_ints, vi_nearest(NEAR));
    PRINT(vf_nearest, of_bits, vf_nearest(NEAR));
    PRINT(vi_floor, of_ints, vi_floor(NEAR));
    PRINT(vf_abs, of_bits, vf_abs(A));
    PRINT(vf_with_sign, of_bits, vf_with_sign(vf_abs(A), B));
    PRINT(vf_exponent, of_bits, vf_exponent(NORMAL));
    PRINT(vf_mantissa, of_bits, vf_mantissa(NORMAL));
    PRINT(vm_any, of_truth, vf_lt(A, B));
    PRINT(vf_mirrored, of_bits, vf_mirrored(mirrored, now->bytes));
    PRINT(vf_convert, of_bits, vf_convert(N));
    PRINT(vf_select, of_bits, vf_select(vf_lt(A, B), vf_load(now->other), A));
    PRINT(vi_select, of_ints, vi_select(vf_lt(B, A), N, M));
    PRINT(vf_gather, of_bits, vf_gather(table, vi_load(now->at)));
    PRINT(vf_look_up, of_bits, vf_look_up(table, N));
    PRINT(vi_store_u8, of_bytes, vi_sub(vi_set(255), vi_sub(N, vi_shl(vi_sra(N, 8), 8))));
    PRINT(vi_store_u16, of_words, vi_sub(vi_set(65535), vi_sub(N, vi_shl(vi_sra(N, 16), 16))));
    PRINT(vi_store_i16, of_samples, vi_sra(N, 16));
    PRINT(vi_gather2, of_pairs, vi_load(now->at));
    PRINT(vi_load_u8, of_ints, vi_load_u8(now->bytes));
    PRINT(vi_load_u16, of_ints, vi_load_u16(now->words));
    PRINT(vi_load_i16, of_ints, vi_load_i16(now->samples));
    return 0;
}
