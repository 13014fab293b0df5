#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma"
#endif
#include <string.h>
#include "simd_avx2.h"
#include "flow.h"

FWN_KERNELS(avx2)
