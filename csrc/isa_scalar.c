#include <string.h>
#include "simd_scalar.h"
#include "flow.h"

const fwn_kernels fwn_kernels_scalar = {block, encode_f32, encode_i16, decode_f32};
