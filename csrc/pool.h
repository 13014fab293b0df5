/* A second thread for a stream: made once, asleep between runs, and within a run no further away than a
 * cache line.  The leader is the thread that calls fwn_run; the helper is ours.
 *
 * Both know in which order they speak, so that to say something is to count: hear() waits until the
 * other has said one thing more than was heard.  What was written before it was said can be read. */
#ifndef FWN_POOL_H
#define FWN_POOL_H

#include <stdatomic.h>
#include <stdint.h>

#define FWN_LINE 128       /* bytes that a CPU may fetch together: what each thread says stands alone */
#define FWN_LOOKS 40000000 /* in a second, about: how often a thread looks for what another says */
#define FWN_PATIENCE (FWN_LOOKS / 2500) /* then somebody else must have the helper's core */
#ifndef FWN_LINGER
#define FWN_LINGER (FWN_LOOKS / 10000) /* without a run: then the helper falls asleep */
#endif

typedef struct {
    char apart[FWN_LINE];
    _Atomic uint32_t said;
    char within[FWN_LINE];
    uint32_t heard; /* of what the other said */
} fwn_voice;

typedef struct fwn_pool fwn_pool;

/* A helper that calls work(argument) when the leader has said something.  NULL if there is no memory
 * or no thread to be had. */
fwn_pool *fwn_pool_create(void (*work)(void *), void *argument, const fwn_voice *leader,
                          fwn_voice *helper);
void fwn_pool_destroy(fwn_pool *pool);

/* The leader calls the helper, without waiting for it, and may speak once it is ready; it stays so until
 * it is dismissed.  A fork leaves the helper behind: it is never ready there. */
void fwn_pool_call(fwn_pool *pool);
int fwn_pool_ready(const fwn_pool *pool);
void fwn_pool_dismiss(fwn_pool *pool);
int fwn_pool_here(const fwn_pool *pool); /* whether there is a helper in this process; NULL: no */

static inline void fwn_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* `yield` does nothing on most CPUs */
#endif
}

static inline void fwn_say(fwn_voice *mine)
{
    const uint32_t said = atomic_load_explicit(&mine->said, memory_order_relaxed);
    atomic_store_explicit(&mine->said, said + 1, memory_order_release);
}

/* Whether the other has said something that was not heard yet. */
static inline int fwn_news(const fwn_voice *mine, const fwn_voice *other)
{
    return atomic_load_explicit(&other->said, memory_order_acquire) != mine->heard;
}

/* Returns how many looks it took. */
static inline uint32_t fwn_hear(fwn_voice *mine, const fwn_voice *other)
{
    uint32_t looks = 0;
    for (; !fwn_news(mine, other); looks++) fwn_pause();
    mine->heard++;
    return looks;
}

#endif
