/* The instruction sets and precisions, and the kernels compiled for each. */
#include "dispatch.h"

/* clang-format off */
#define FWN_EVERY_PRECISION(isa) \
    extern const fwn_kernels fwn_kernels_##isa##_0, fwn_kernels_##isa##_1, fwn_kernels_##isa##_2, \
        fwn_kernels_##isa##_3, fwn_kernels_##isa##_4; \
    static const fwn_kernels *const isa[FWN_PRECISIONS] = { \
        &fwn_kernels_##isa##_0, &fwn_kernels_##isa##_1, &fwn_kernels_##isa##_2, \
        &fwn_kernels_##isa##_3, &fwn_kernels_##isa##_4};
/* clang-format on */

/* Compiled with vectors in its common files, a module of WebAssembly runs only where they are. */
#ifndef __wasm_simd128__
FWN_EVERY_PRECISION(scalar)
#endif
#ifdef __x86_64__
FWN_EVERY_PRECISION(avx2)
FWN_EVERY_PRECISION(avx512)
/* They multiply bytes. */
extern const fwn_kernels fwn_kernels_avxvnni_2, fwn_kernels_vnni_2, fwn_kernels_amx_2;
extern const fwn_kernels fwn_kernels_avxvnni_4, fwn_kernels_vnni_4, fwn_kernels_amx_4;
extern const fwn_kernels fwn_kernels_avx512bf16_3; /* pairs of bfloat16 */
#elif defined(__aarch64__)
FWN_EVERY_PRECISION(neon)
#elif defined(__wasm__)
FWN_EVERY_PRECISION(wasm)
#endif

#ifdef __x86_64__
#include <cpuid.h>

/* clang has no name of it for __builtin_cpu_supports. */
static int has_avxvnni(void)
{
    const unsigned avxvnni = 1u << 4;
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & avxvnni);
}
#endif

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

/* Linux requires a request, once per process, before tiles are used: their state is 8 KB. */
static int tiles_allowed(void)
{
    const unsigned tile = 1u << 24, int8 = 1u << 25;
    const long request_permission = 0x1023, tile_data = 18;
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & tile) && (d & int8) &&
           syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}
#elif defined(__x86_64__)
static int tiles_allowed(void) { return 0; }
#endif

/* The compiler's run-time library reads CPUID and, for the wide registers, XGETBV: whether the
 * operating system saves them. */
static int supported(int isa)
{
    switch (isa) {
#ifndef __wasm_simd128__
    case FWN_SCALAR: return 1;
#endif
#ifdef __x86_64__
    case FWN_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case FWN_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("fma");
    case FWN_AVXVNNI: return supported(FWN_AVX2) && has_avxvnni();
    case FWN_VNNI: return supported(FWN_AVX512) && __builtin_cpu_supports("avx512vnni");
    case FWN_AMX: return supported(FWN_VNNI) && tiles_allowed();
    case FWN_AVX512BF16: return supported(FWN_VNNI) && __builtin_cpu_supports("avx512bf16");
#elif defined(__aarch64__)
    case FWN_NEON: return 1;
#elif defined(__wasm__)
    case FWN_WASM: return 1; /* a browser without vectors refuses the module */
#endif
    default: return 0;
    }
}

const fwn_kernels *fwn_kernels_of(int isa, int precision)
{
    if (!supported(isa) || precision < 0 || precision >= FWN_PRECISIONS) return NULL;
    switch (isa) {
#ifdef __x86_64__
    case FWN_AVXVNNI:
        if (precision == FWN_INT8) return &fwn_kernels_avxvnni_2;
        if (precision == FWN_INT8X8) return &fwn_kernels_avxvnni_4; /* fall through */
    case FWN_AVX2: return avx2[precision];
    case FWN_AVX512BF16:
        if (precision == FWN_BFLOAT16X16) return &fwn_kernels_avx512bf16_3; /* fall through */
    case FWN_AMX:
        if (precision == FWN_INT8 && isa == FWN_AMX) return &fwn_kernels_amx_2;
        if (precision == FWN_INT8X8 && isa == FWN_AMX) return &fwn_kernels_amx_4; /* fall through */
    case FWN_VNNI:
        if (precision == FWN_INT8) return &fwn_kernels_vnni_2;
        if (precision == FWN_INT8X8) return &fwn_kernels_vnni_4; /* fall through */
    case FWN_AVX512: return avx512[precision];
#elif defined(__aarch64__)
    case FWN_NEON: return neon[precision];
#elif defined(__wasm__)
    case FWN_WASM: return wasm[precision];
#endif
#ifndef __wasm_simd128__
    case FWN_SCALAR: return scalar[precision];
#endif
    default: return NULL;
    }
}

int fwn_isa_list(int *out, int max)
{
    static const int slowest_first[FWN_ISAS] = {FWN_SCALAR, FWN_AVX2, FWN_AVXVNNI,
                                                FWN_AVX512, FWN_VNNI, FWN_AVX512BF16,
                                                FWN_AMX,    FWN_NEON, FWN_WASM};
    int count = 0;
    for (int i = 0; i < FWN_ISAS; i++)
        if (supported(slowest_first[i]) && count++ < max) out[count - 1] = slowest_first[i];
    return count;
}

const char *fwn_isa_name(int isa)
{
    static const char *const names[FWN_ISAS] = {"scalar", "avx2", "avx512",  "neon",      "vnni",
                                                "amx",    "wasm", "avxvnni", "avx512bf16"};
    return isa >= 0 && isa < FWN_ISAS ? names[isa] : NULL;
}

const char *fwn_precision_name(int precision)
{
    static const char *const names[FWN_PRECISIONS] = {"float32", "bfloat16", "int8", "bfloat16x16",
                                                      "int8x8"};
    return precision >= 0 && precision < FWN_PRECISIONS ? names[precision] : NULL;
}

const char *fwn_strerror(int error)
{
    switch (error) {
    case FWN_OK: return "no error";
    case FWN_NO_MEMORY: return "out of memory";
    case FWN_BAD_SPEC: return "a size of the network is outside its bounds";
    case FWN_BAD_TENSOR: return "a tensor is missing, extra, misshapen or not finite";
    case FWN_BAD_ARGUMENT: return "an argument is outside its range";
    case FWN_BAD_CODE: return "a code is not below the number of levels";
    case FWN_BAD_AUDIO: return "the audio holds NaN or infinity";
    case FWN_BAD_STATE: return "the state was not saved from this model, or is damaged";
    case FWN_BAD_ISA: return "the instruction set is unknown or not supported here";
    case FWN_BUSY: return "the generator is already in use by another call";
    case FWN_STARTED: return "the first sample can only be given before the first step";
    case FWN_NOT_FINITE: return "the network's outputs overflowed: its weights are too large";
    case FWN_FORKED:
        return "the process forked while the generator was in a call: reset it, or load a state";
    case FWN_BAD_BYTES: return "the bytes were not encoded with this model, or are damaged";
    default: return "unknown error";
    }
}
