/* Forks at any moment, for tests/engine/test_fuzz.py to build with and without the thread sanitizer:
 * threads share models, make streams and meet on some, others fork meanwhile.  A child has a copy of
 * every stream, none of its threads, and goes on.  -DFORKS=n: children, one after the other. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>
#include "networks.h"

enum { WORKERS = 2, FORKERS = 1, MET = 2, STEPS = 24 };

typedef struct {
    fwn_model *model;
    fwn_stream *met;           /* by all workers */
    uint16_t codes[2 * STEPS]; /* of seed 7 */
    uint8_t *state;            /* after STEPS of them */
    size_t size;
} shared;

static shared all[MET];
static atomic_int forking = FORKERS, runs, refusals;

/* ---- steps ----------------------------------------------------------------------------------- */

static fwn_stream *new_stream(const fwn_model *model, uint32_t threads)
{
    fwn_stream *stream;
    CHECK(!fwn_stream_create(model, FWN_SCALAR, 1, threads, &stream));
    CHECK(!fwn_stream_set_threads(stream, threads) && !fwn_stream_reset(stream, 0, 7, 0));
    return stream;
}

/* The samples from `done` on are those that were made before there were threads. */
static void continues(fwn_stream *stream, const shared *from, uint32_t done)
{
    uint16_t codes[STEPS];
    const fwn_io io = {.n = STEPS, .temperature = 1.0f, .codes = codes};
    CHECK(!fwn_run(stream, &io));
    CHECK(!memcmp(codes, from->codes + done, sizeof codes));
}

static void make(shared *one, size_t which, int precision, uint32_t threads)
{
    const fwn_io io = {.n = STEPS, .temperature = 1.0f, .codes = one->codes};
    one->model = random_model(which, precision);
    fwn_stream *alone = new_stream(one->model, 1);
    CHECK(!fwn_run(alone, &io) && !fwn_state_save(alone, 0, NULL, &one->size));
    one->state = malloc(one->size);
    CHECK(one->state && !fwn_state_save(alone, 0, one->state, &one->size));
    fwn_io rest = io;
    rest.codes += STEPS;
    CHECK(!fwn_run(alone, &rest));
    fwn_stream_destroy(alone);
    one->met = new_stream(one->model, threads);
}

/* ---- the parent's threads -------------------------------------------------------------------- */

static void meet(shared *one, uint32_t what)
{
    const fwn_io io = {.n = STEPS, .temperature = 1.0f};
    fwn_row_info info;
    const int error =
        what == 0   ? fwn_stream_reset(one->met, 0, 7, 0)
        : what == 1 ? fwn_state_load(one->met, 0, one->state, one->size)
        : what == 2 ? fwn_stream_set_threads(one->met, one == all ? 1 + (uint32_t)runs % 2 : 1)
                    : fwn_run(one->met, &io);
    CHECK(!error || error == FWN_BUSY);
    CHECK(!fwn_stream_info(one->met, 0, &info) && info.seed == 7 &&
          !fwn_state_check(one->met, one->state, one->size, &info));
    atomic_fetch_add(error ? &refusals : &runs, 1);
}

static void *work(void *argument)
{
    const uint32_t own = *(uint32_t *)argument;
    for (uint32_t round = own; forking; round++) {
        shared *one = &all[round % MET];
        for (uint32_t i = 0; i < 6; i++) meet(one, (round + i) % 6);
        fwn_stream *stream = new_stream(one->model, 1);
        continues(stream, one, 0);
        fwn_stream_destroy(stream);
    }
    return NULL;
}

/* ---- a child --------------------------------------------------------------------------------- */

/* The copy of a stream that another thread was perhaps using. */
static void go_on(shared *one, int load)
{
    const fwn_io io = {.n = 1, .temperature = 1.0f};
    CHECK(!fwn_stream_forked(one->met) && fwn_stream_threads(one->met) == 1);
    CHECK(fwn_run(one->met, &io) == FWN_FORKED &&
          fwn_stream_set_threads(one->met, 2) == FWN_BAD_ARGUMENT);
    if (load) CHECK(!fwn_state_load(one->met, 0, one->state, one->size));
    else CHECK(!fwn_stream_reset(one->met, 0, 7, 0));
    continues(one->met, one, load ? STEPS : 0);
}

/* The thread sanitizer's allocator does not expect forks: a lock that another thread holds stays
 * locked in the child, where free would wait for ever. */
static void destroy_in_child(fwn_stream *stream)
{
#ifndef __SANITIZE_THREAD__
    fwn_stream_destroy(stream);
#else
    (void)stream;
#endif
}

static void child(const shared *from, fwn_stream *own, uint32_t which)
{
    CHECK(fwn_stream_threads(own) == 1);
    continues(own, from, STEPS); /* it was in no call: it goes on where it was */
    for (uint32_t i = 0; i < MET; i++) {
        go_on(&all[i], (which + i) % 2);
        destroy_in_child(all[i].met);
    }
    destroy_in_child(own);
    _exit(0);
}

static void *fork_often(void *argument)
{
    for (uint32_t i = *(uint32_t *)argument; i < FORKS; i++) {
        const shared *from = &all[i % MET];
        const struct timespec moment = {0, (long)(i * 7919 % 31) * 50000};
        int status;
        fwn_stream *own = new_stream(from->model, 1 + i % 4 / 3);
        continues(own, from, 0);
        nanosleep(&moment, NULL);
        const pid_t process = fork();
        CHECK(process >= 0);
        if (!process) child(from, own, i);
        CHECK(waitpid(process, &status, 0) == process && WIFEXITED(status) && !WEXITSTATUS(status));
        continues(own, from, STEPS);
        fwn_stream_destroy(own);
    }
    forking--;
    return NULL;
}

int main(void)
{
    pthread_t threads[WORKERS + FORKERS];
    uint32_t numbers[WORKERS + FORKERS];
    make(&all[0], 0, FWN_FLOAT32, 2);
    make(&all[1], 0, FWN_INT8, 1);
    for (uint32_t i = 0; i < WORKERS + FORKERS; i++) {
        numbers[i] = i < WORKERS ? i : i - WORKERS;
        CHECK(!pthread_create(&threads[i], NULL, i < WORKERS ? work : fork_often, &numbers[i]));
    }
    for (int i = 0; i < WORKERS + FORKERS; i++) CHECK(!pthread_join(threads[i], NULL));
    CHECK(runs);
    for (int i = 0; i < MET; i++) {
        CHECK(!fwn_stream_reset(all[i].met, 0, 7, 0));
        continues(all[i].met, &all[i], 0);
        fwn_stream_destroy(all[i].met);
        fwn_model_destroy(all[i].model);
        free(all[i].state);
    }
    return 0;
}
