/* Tests of csrc/fastwavenet.h from C, without Python; run by tests/engine/test_c_engine.py, which links
 * this with all other test_*.c and allocator.c, under sanitizers.  The names of tests are claims.
 * Every buffer has exactly the size of the contract, so that the sanitizer finds one element too
 * many. */
#include "claims.h"

static const claim *const FILES[] = {
    CALLS,      CODING, CONDITIONING,
#ifndef __wasm__ /* which has one floating-point mode */
    FLOAT_MODE,
#endif
    MEMORY,     MODELS, MULAW,        STATES, STEPPING,
#ifndef __wasm__ /* which has one thread */
    THREADS,
#endif
    UPSAMPLING,
};

/* Without an argument it prints the names of all claims; with a name it tests that claim. */
int main(int count, char **arguments)
{
    for (size_t i = 0; i < COUNT(FILES); i++)
        for (const claim *c = FILES[i]; c->name; c++) {
            if (count < 2) {
                puts(c->name);
            } else if (!strcmp(arguments[1], c->name)) {
                const long before = live;
                c->run();
                CHECK(live == before);
                return 0;
            }
        }
    return count >= 2;
}
