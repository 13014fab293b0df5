/* How fast this core reads memory and multiplies, with the instructions of the kernels. */
#include "float_mode.h"
#include "dispatch.h"

int fwn_probe_reading(int isa, const void *memory, size_t size, size_t times)
{
    const fwn_kernels *kernels = fwn_kernels_of(isa, FWN_FLOAT32);
    if (!memory || size % 64) return FWN_BAD_ARGUMENT;
    if (!kernels) return FWN_BAD_ISA;
    kernels->read(memory, size, times);
    return FWN_OK;
}

int fwn_probe_products(int isa, int precision, size_t times, uint64_t *products)
{
    static const float zeros[4096];
    const fwn_kernels *kernels = fwn_kernels_of(isa, precision);
    if (!products) return FWN_BAD_ARGUMENT;
    if (!kernels) return FWN_BAD_ISA;
    const fwn_float_mode host = fwn_set_mode();
    *products = kernels->multiply(zeros, times);
    fwn_restore_mode(host);
    return FWN_OK;
}
