#if !defined(__AVX2__) || !defined(__FMA__) || !defined(__AVXVNNI__)
#error "compile this file with -mavx2 -mfma -mavxvnni"
#endif
#include <string.h>
#define FWN_HAS_VNNI
#include "simd_avx2.h"
#include "flow.h"

FWN_KERNELS(avxvnni)
