#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512DQ__) || \
    !defined(__AVX512VL__) || !defined(__AVX512VNNI__)
#error "compile this file with -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mavx512vnni"
#endif
#include <string.h>
#define FWN_HAS_VNNI
#include "simd_avx512.h"
#include "flow.h"

FWN_KERNELS(vnni)
