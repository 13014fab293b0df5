#include <string.h>
#include "simd_scalar.h"
#include "flow.h"

FWN_KERNELS(scalar)
