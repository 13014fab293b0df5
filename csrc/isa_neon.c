#if !defined(__aarch64__) || !defined(__ARM_NEON)
#error "compile this file for aarch64, where NEON is always there"
#endif
#include <string.h>
#include "simd_neon.h"
#include "flow.h"

const fwn_kernels fwn_kernels_neon = {block, encode_f32, encode_i16, decode_f32};
