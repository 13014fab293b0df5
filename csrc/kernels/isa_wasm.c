#ifndef __wasm_simd128__
#error "compile this file for wasm32 with -msimd128"
#endif
#include <string.h>
#include "simd_wasm.h"
#include "flow.h"

FWN_KERNELS(wasm)
