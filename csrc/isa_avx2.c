#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma"
#endif
#include <string.h>
#include "simd_avx2.h"
#include "flow.h"

const fwn_kernels fwn_kernels_avx2 = {block, encode_f32, encode_i16, decode_f32};
