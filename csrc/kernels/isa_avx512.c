#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512DQ__) || \
    !defined(__AVX512VL__)
#error "compile this file with -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma"
#endif
#include <string.h>
#include "simd_avx512.h"
#include "flow.h"

FWN_KERNELS(avx512)
