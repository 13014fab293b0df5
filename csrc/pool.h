/* The helper thread of a stream, and the signals by which leader and helper alternate.  The leader
 * is the thread in fwn_run; the helper is created once and sleeps between runs.  Within a run both
 * poll, at the distance of a cache line.  All that the engine needs of an operating system but
 * memory is in pool.c. */
#ifndef FWN_POOL_H
#define FWN_POOL_H

#include <stdatomic.h>
#include <stdint.h>

/* Bytes that a CPU may fetch together; counters of different threads lie further apart. */
#define FWN_LINE 128
/* Polls in a second, about; in the patience of a leader, before it takes its helper's core for
 * busy; and in the time without a run after which the helper sleeps. */
#define FWN_POLLS 40000000
#define FWN_PATIENCE (FWN_POLLS / 2500)
#ifndef FWN_LINGER
#define FWN_LINGER (FWN_POLLS / 10000)
#endif

/* A counter with release and acquire.  One thread posts, one other waits; memory written before a
 * post can be read after the wait for it. */
typedef struct {
    char apart[FWN_LINE];
    _Atomic uint32_t posted;
    char within[FWN_LINE];
    uint32_t consumed; /* posts, by the waiting thread */
} fwn_signal;

typedef struct fwn_pool fwn_pool;

/* A helper that calls work(argument) for each post of `start` that work itself does not wait for.
 * NULL if there is no memory or no thread to be had. */
fwn_pool *fwn_pool_create(void (*work)(void *), void *argument, fwn_signal *start);
void fwn_pool_destroy(fwn_pool *pool);

/* The leader calls the helper, without waiting for it, and may post once it is ready; it stays
 * ready until it is dismissed.  After a fork there is no helper in the child: it is never ready
 * there. */
void fwn_pool_call(fwn_pool *pool);
int fwn_pool_ready(const fwn_pool *pool);
void fwn_pool_dismiss(fwn_pool *pool);
int fwn_pool_here(const fwn_pool *pool); /* whether there is a helper in this process; NULL: no */

double fwn_seconds(void); /* of a clock that never goes back */
void fwn_nap(void);       /* sleeps for two milliseconds */

static inline void fwn_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* `yield` does nothing on most CPUs */
#endif
}

static inline void signal_post(fwn_signal *s)
{
    const uint32_t posted = atomic_load_explicit(&s->posted, memory_order_relaxed);
    atomic_store_explicit(&s->posted, posted + 1, memory_order_release);
}

/* Whether there is a post that is not consumed yet. */
static inline int signal_pending(const fwn_signal *s)
{
    return atomic_load_explicit(&s->posted, memory_order_acquire) != s->consumed;
}

/* Consumes one post; returns the number of polls it took. */
static inline uint32_t signal_wait(fwn_signal *s)
{
    uint32_t polls = 0;
    for (; !signal_pending(s); polls++) fwn_pause();
    s->consumed++;
    return polls;
}

#endif
