/* The arithmetic of docs/arithmetic.md requires rounding to nearest and denormals: every entry
 * point that computes sets this mode and restores the host's. */
#ifndef FWN_FLOAT_MODE_H
#define FWN_FLOAT_MODE_H

#include <stdint.h>

/* For functions called between fwn_set_mode and fwn_restore_mode in the same file: inlined, their
 * arithmetic could be moved across these calls. */
#define FWN_IN_OUR_MODE __attribute__((noinline))

#if defined(__x86_64__)
#include <xmmintrin.h>
typedef unsigned int fwn_float_mode;
static inline fwn_float_mode fwn_set_mode(void)
{
    const fwn_float_mode host = _mm_getcsr();
    _mm_setcsr(0x1F80); /* nothing flushed, nothing trapped */
    return host;
}
static inline void fwn_restore_mode(fwn_float_mode host) { _mm_setcsr(host); }
#elif defined(__aarch64__)
typedef uint64_t fwn_float_mode;
static inline fwn_float_mode fwn_set_mode(void)
{
    fwn_float_mode host;
    const fwn_float_mode ours = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(host));
    __asm__ volatile("msr fpcr, %0" : : "r"(ours));
    return host;
}
static inline void fwn_restore_mode(fwn_float_mode host)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(host));
}
#elif defined(__wasm__)
typedef char fwn_float_mode; /* WebAssembly has one mode, ours */
static inline fwn_float_mode fwn_set_mode(void) { return 0; }
static inline void fwn_restore_mode(fwn_float_mode host) { (void)host; }
#else
#error "define how this CPU sets round-to-nearest without flush-to-zero"
#endif

#endif
