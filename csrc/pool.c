/* The helper thread of a stream, and the clock: see pool.h. */
#ifdef __wasm__
/* WebAssembly has neither threads nor a clock of its own: there is never a helper. */
#include <stddef.h>
#include "pool.h"

fwn_pool *fwn_pool_create(void (*work)(void *), void *argument, fwn_signal *start)
{
    (void)work, (void)argument, (void)start;
    return NULL;
}
void fwn_pool_destroy(fwn_pool *p) { (void)p; }
void fwn_pool_call(fwn_pool *p) { (void)p; }
int fwn_pool_ready(const fwn_pool *p) { return p != NULL; }
void fwn_pool_dismiss(fwn_pool *p) { (void)p; }
int fwn_pool_here(const fwn_pool *p) { return p != NULL; }
double fwn_seconds(void) { return 0; }
void fwn_nap(void) {}
#else

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "float_mode.h"
#include "pool.h"

struct fwn_pool {
    void (*work)(void *);
    void *argument;
    fwn_signal *start;
    pthread_t thread;
    pid_t process;
    uint32_t calls;          /* number of the leader's last call */
    _Atomic uint32_t called; /* number of the call in force; 0: none */
    _Atomic uint32_t ready;  /* number of the call that the helper has answered */
    atomic_int asleep, quit;
    sem_t wake;
};

/* Each thread writes its own flag (`called`, `asleep`) before it reads the other's, sequentially
 * consistent: no call is missed.  A spurious wake-up costs the helper one more poll. */
static void sleep_until_called(fwn_pool *p)
{
    atomic_store(&p->asleep, 1);
    if (!atomic_load(&p->called) && !atomic_load(&p->quit)) sem_wait(&p->wake);
    atomic_store(&p->asleep, 0);
}

static void *helper_loop(void *argument)
{
    fwn_pool *p = argument;
    uint32_t answered = 0, polls = 0;
    (void)fwn_set_mode(); /* never restored: this thread runs no code of the host */
    while (!atomic_load_explicit(&p->quit, memory_order_relaxed)) {
        const uint32_t called = atomic_load_explicit(&p->called, memory_order_acquire);
        if (called != answered)
            atomic_store_explicit(&p->ready, answered = called, memory_order_release);
        if (signal_pending(p->start)) {
            signal_wait(p->start);
            p->work(p->argument);
        } else if (called || polls++ < FWN_LINGER) {
            fwn_pause();
        } else {
            sleep_until_called(p);
        }
        if (called) polls = 0;
    }
    return NULL;
}

/* The helper blocks all of the host's POSIX signals except faults: a blocked fault would end the
 * process without running the host's handler. */
static int start_thread(fwn_pool *p)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    sigset_t all, before;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&all, faults[i]);
    if (pthread_sigmask(SIG_SETMASK, &all, &before)) return 0;
    const int error = pthread_create(&p->thread, NULL, helper_loop, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !error;
}

fwn_pool *fwn_pool_create(void (*work)(void *), void *argument, fwn_signal *start)
{
    fwn_pool *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->work = work;
    p->argument = argument;
    p->start = start;
    p->process = getpid();
    if (!sem_init(&p->wake, 0, 0)) {
        if (start_thread(p)) return p;
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

double fwn_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void fwn_nap(void)
{
    const struct timespec time = {0, 2000000};
    nanosleep(&time, NULL);
}

#endif
