/* The helper thread of a stream: see pool.h. */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "float_mode.h"
#include "pool.h"

struct fwn_pool {
    void (*work)(void *);
    void *argument;
    const fwn_voice *leader;
    fwn_voice *helper;
    pthread_t thread;
    pid_t process;
    uint32_t calls;          /* the leader's count of them */
    _Atomic uint32_t called; /* which call stands; 0: none */
    _Atomic uint32_t ready;  /* which call the helper has answered: in a forked process none is */
    atomic_int asleep, quit;
    sem_t wake;
};

/* Leader and helper write `called` or `asleep` before they read the other's, in one order for both: no
 * call is slept through.  A wake too many only makes the helper look once more. */
static void sleep_until_called(fwn_pool *p)
{
    atomic_store(&p->asleep, 1);
    if (!atomic_load(&p->called) && !atomic_load(&p->quit)) sem_wait(&p->wake);
    atomic_store(&p->asleep, 0);
}

static void *help(void *argument)
{
    fwn_pool *p = argument;
    uint32_t answered = 0, looks = 0;
    (void)fwn_set_mode(); /* for good: the thread is ours */
    while (!atomic_load_explicit(&p->quit, memory_order_relaxed)) {
        const uint32_t called = atomic_load_explicit(&p->called, memory_order_acquire);
        if (called != answered) atomic_store_explicit(&p->ready, answered = called, memory_order_release);
        if (fwn_news(p->helper, p->leader)) {
            p->helper->heard++;
            p->work(p->argument);
        } else if (called || looks++ < FWN_LINGER) {
            fwn_pause();
        } else {
            sleep_until_called(p);
        }
        if (called) looks = 0;
    }
    return NULL;
}

/* With all signals blocked, which are the host's, but those of a fault: blocked, they would end the process
 * without a word of the host's handlers. */
static int start(fwn_pool *p)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    sigset_t all, before;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&all, faults[i]);
    if (pthread_sigmask(SIG_SETMASK, &all, &before)) return 0;
    const int error = pthread_create(&p->thread, NULL, help, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !error;
}

fwn_pool *fwn_pool_create(void (*work)(void *), void *argument, const fwn_voice *leader,
                          fwn_voice *helper)
{
    fwn_pool *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->work = work;
    p->argument = argument;
    p->leader = leader;
    p->helper = helper;
    p->process = getpid();
    if (!sem_init(&p->wake, 0, 0)) {
        if (start(p)) return p;
        sem_destroy(&p->wake);
    }
    free(p);
    return NULL;
}

int fwn_pool_here(const fwn_pool *p) { return p && p->process == getpid(); }

void fwn_pool_destroy(fwn_pool *p)
{
    if (fwn_pool_here(p)) {
        atomic_store(&p->quit, 1);
        sem_post(&p->wake);
        pthread_join(p->thread, NULL);
        sem_destroy(&p->wake);
    }
    free(p);
}

void fwn_pool_call(fwn_pool *p)
{
    if (!++p->calls) p->calls = 1;
    atomic_store(&p->called, p->calls);
    if (atomic_load(&p->asleep)) sem_post(&p->wake);
}

int fwn_pool_ready(const fwn_pool *p)
{
    const uint32_t called = atomic_load_explicit(&p->called, memory_order_relaxed);
    return called && atomic_load_explicit(&p->ready, memory_order_acquire) == called;
}

void fwn_pool_dismiss(fwn_pool *p) { atomic_store(&p->called, 0); }
