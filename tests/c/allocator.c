/* The allocator of test_engine, counted and made to fail: the program is linked with --wrap for
 * each of these functions. */
#include <stdlib.h>
#include "claims.h"

long allocations, live, fail_at;
int no_threads;

void *__real_malloc(size_t), *__real_calloc(size_t, size_t), *__real_realloc(void *, size_t);
void *__real_aligned_alloc(size_t, size_t);
void __real_free(void *);
void *__wrap_malloc(size_t), *__wrap_calloc(size_t, size_t), *__wrap_realloc(void *, size_t);
void *__wrap_aligned_alloc(size_t, size_t);
void __wrap_free(void *);

static int refused(void) { return ++allocations == fail_at; }
static void *counted(void *p)
{
    live += p != NULL;
    return p;
}
void *__wrap_malloc(size_t n) { return refused() ? NULL : counted(__real_malloc(n)); }
void *__wrap_calloc(size_t n, size_t m) { return refused() ? NULL : counted(__real_calloc(n, m)); }
void *__wrap_realloc(void *p, size_t n)
{
    live -= p != NULL;
    return refused() ? NULL : counted(__real_realloc(p, n));
}
void *__wrap_aligned_alloc(size_t a, size_t n)
{
    return refused() ? NULL : counted(__real_aligned_alloc(a, n));
}
void __wrap_free(void *p)
{
    live -= p != NULL;
    __real_free(p);
}

#ifndef __wasm__
#include <errno.h>
#include <pthread.h>

int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*work)(void *),
                          void *on)
{
    return no_threads ? EAGAIN : __real_pthread_create(thread, how, work, on);
}
#endif
