#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512DQ__) || \
    !defined(__AVX512VL__) || !defined(__AVX512BF16__)
#error "compile this file with -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mavx512bf16"
#endif
#include <string.h>
#include "simd_avx512bf16.h"
#include "flow.h"

FWN_KERNELS(avx512bf16)
