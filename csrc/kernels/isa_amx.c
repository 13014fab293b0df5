#if defined(__clang__) && defined(__AMXINT8__)
#define __AMX_INT8__ /* the name of newer clangs and of gcc */
#endif
#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512DQ__) || \
    !defined(__AVX512VL__) || !defined(__AVX512VNNI__) || !defined(__AMX_INT8__)
#error "compile this file with the flags of isa_vnni.c and -mamx-tile -mamx-int8"
#endif
#include <string.h>
#define FWN_HAS_VNNI
#include "simd_amx.h"
#include "flow.h"

FWN_KERNELS(amx)
