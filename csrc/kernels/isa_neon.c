#if !defined(__aarch64__) || !defined(__ARM_NEON)
#error "compile this file for aarch64, where NEON is always there"
#endif
#include <string.h>
#include "simd_neon.h"
#include "flow.h"

FWN_KERNELS(neon)
