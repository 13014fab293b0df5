/* no_system_call MODEL.dump ISA THREADS [control]: computes samples where the kernel kills the
 * process for any system call of any thread but its exit.  With `control` it makes one.  Exit code
 * 77: this kernel does not offer that.
 *
 * A second thread that sleeps is woken by a system call, before the first step: the engine is
 * compiled so that it stays awake. */
#define PROGRAM "no_system_call"
#include "../../examples/dump.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ROWS = 3, N = 100 }; /* more than a block */
static uint16_t codes[ROWS * N];
static float audio[ROWS * N], logp[ROWS * N];
static char state[1 << 20];

/* All that the contract offers between creating a stream and destroying it. */
static int use(fwn_stream *s)
{
    const fwn_io drawn = {.n = N, .temperature = 1, .top_k = 5, .codes = codes, .audio = audio};
    const fwn_io forced = {.n = N, .forced = codes, .logp = logp};
    size_t size = sizeof state;
    int error = fwn_run(s, &drawn);
    if (!error) error = fwn_run(s, &forced);
    if (!error) error = fwn_state_save(s, 0, state, &size);
    if (!error) error = fwn_state_load(s, 1, state, size);
    if (!error) error = fwn_stream_reset(s, 2, 1, 1);
    if (!error) error = fwn_stream_begin(s, 2, 1);
    return error;
}

static int forbid_system_calls(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    const struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 0;
    return !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
}

int main(int count, char **arguments)
{
    fwn_stream *stream;
    int isa = 0, error;
    if (count < 4) return 2;
    const uint32_t threads = (uint32_t)atoi(arguments[3]);
    fwn_model *model = load(arguments[1]).model;
    while (strcmp(fwn_isa_name(isa), arguments[2])) isa++;
    check("stream", fwn_stream_create(model, isa, ROWS, threads, &stream));
    check("threads", fwn_stream_set_threads(stream, threads));
    check("first run", use(stream)); /* the second thread wakes up */
    for (uint32_t row = 0; row < ROWS; row++) check("reset", fwn_stream_reset(stream, row, 1, row));
    if (!forbid_system_calls()) return 77;
    error = use(stream);
    if (count > 4) getppid();
    return (int)syscall(SYS_exit_group, error != FWN_OK); /* at once: exit() may do more */
}
