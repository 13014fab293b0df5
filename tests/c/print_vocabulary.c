/* Prints "name digest" for each name of the vector vocabulary as the header SIMD defines it; run by
 * tests/test_other_cpus.py for each instruction set.  Operands are every pair of special values and
 * then random bits. */
#include "networks.h"
#include SIMD

enum { SETS = 600 };
static float a[16], b[16], c[16], other[16], table[1024];
static int32_t n[16], m[16], at[16], pairs[1024][2];
static int16_t samples[16];
static uint16_t words[16];
static uint8_t bytes[16];

static const uint32_t SPECIAL[] = {
    0,          1,          0x7FFFFF,   0x800000,   0x3F800000, 0x3F800001, 0x4B000000, 0x7F7FFFFF,
    0x7F800000, 0x7FC00000, 0x80000000, 0x80000001, 0x807FFFFF, 0x80800000, 0xBF800000, 0xBF800001,
    0xCB000000, 0xFF7FFFFF, 0xFF800000, 0xFFC00000,
};

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void fill_lane(uint32_t l, uint32_t pair)
{
    const uint32_t kinds = COUNT(SPECIAL);
    a[l] = float_of(pair < kinds * kinds ? SPECIAL[pair / kinds] : random_word());
    b[l] = float_of(pair < kinds * kinds ? SPECIAL[pair % kinds] : random_word());
    switch (below(4)) {
    case 0: c[l] = float_of(SPECIAL[below(kinds)]); break;
    case 1: c[l] = float_of(random_word()); break;
    default: c[l] = -(a[l] * b[l]); /* only a fused sum leaves something */
    }
    other[l] = random_float();
    n[l] = (int32_t)random_word();
    m[l] = (int32_t)random_word();
    at[l] = (int32_t)below(COUNT(table));
    samples[l] = (int16_t)random_word();
    words[l] = (uint16_t)random_word();
    bytes[l] = (uint8_t)random_word();
}

static void fill(uint32_t set)
{
    for (uint32_t l = 0; l < 16; l++) fill_lane(l, 16 * set + l);
    for (size_t i = 0; i < COUNT(table); i++)
        table[i] = (float)i, pairs[i][0] = (int32_t)i, pairs[i][1] = -(int32_t)i;
}

static vi ints(const int32_t *p)
{
    float f[16];
    memcpy(f, p, sizeof f);
    return vf_bits(vf_load(f));
}

static uint64_t of_bits(uint64_t h, vf x)
{
    float f[16];
    vf_store(f, x);
    return digest(h, f, sizeof f);
}
static uint64_t of_ints(uint64_t h, vi x) { return of_bits(h, vi_float(x)); }
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

static uint64_t of_pairs(uint64_t h, vi where)
{
    vi first, second;
    vi_gather2((const int32_t(*)[2])pairs, where, &first, &second);
    return of_ints(of_ints(h, first), second);
}

/* One line: the digest of `result`, as `of` sees it, for all operands. */
#define PRINT(name, of, result)                                               \
    do {                                                                      \
        uint64_t h = EMPTY;                                                   \
        random_step = 0;                                                      \
        for (uint32_t set = 0; set < SETS; set++) {                           \
            fill(set);                                                        \
            h = of(h, result);                                                \
        }                                                                     \
        printf("%s %016llx\n", #name, (unsigned long long)h);                 \
    } while (0)
#define A vf_load(a)
#define B vf_load(b)
#define C vf_load(c)
#define N ints(n)
#define M ints(m)

int main(void)
{
    PRINT(vf_load, of_bits, A);
    PRINT(vf_set, of_bits, vf_set(a[3]));
    PRINT(vf_add, of_floats, vf_add(A, B));
    PRINT(vf_sub, of_floats, vf_sub(A, B));
    PRINT(vf_mul, of_floats, vf_mul(A, B));
    PRINT(vf_div, of_floats, vf_div(A, B));
    PRINT(vf_max, of_bits, vf_max(A, B));
    PRINT(vf_min, of_bits, vf_min(A, B));
    PRINT(vf_fma, of_floats, vf_fma(A, B, C));
    PRINT(vi_set, of_ints, vi_set(n[3]));
    PRINT(vi_add, of_ints, vi_add(N, M));
    PRINT(vi_sub, of_ints, vi_sub(N, M));
    PRINT(vi_shl, of_ints, vi_shl(N, 23));
    PRINT(vi_sra, of_ints, vi_sra(N, 23));
    PRINT(vi_to_float, of_bits, vi_to_float(N));
    PRINT(vf_select, of_bits, vf_select(vf_lt(A, B), vf_load(other), A));
    PRINT(vi_select, of_ints, vi_select(vf_lt(B, A), N, M));
    PRINT(vf_gather, of_bits, vf_gather(table, ints(at)));
    PRINT(vi_store_u8, of_bytes, vi_sub(vi_set(255), vi_sub(N, vi_shl(vi_sra(N, 8), 8))));
    PRINT(vi_store_u16, of_words, vi_sub(vi_set(65535), vi_sub(N, vi_shl(vi_sra(N, 16), 16))));
    PRINT(vi_gather2, of_pairs, ints(at));
    PRINT(vi_load_u8, of_ints, vi_load_u8(bytes));
    PRINT(vi_load_u16, of_ints, vi_load_u16(words));
    PRINT(vi_load_i16, of_ints, vi_load_i16(samples));
    return 0;
}
