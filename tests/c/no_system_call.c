/* no_system_call MODEL.dump ISA [control]: computes samples where the kernel kills the process for
 * any system call but read, write and exit.  With `control` it makes one.  Exit code 77: this
 * kernel does not offer that. */
#define main example
#include "../../examples/generate.c" /* for load() */
#undef main
#include <linux/seccomp.h>
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

int main(int count, char **arguments)
{
    uint32_t rate;
    fwn_stream *stream;
    int isa = 0, error;
    if (count < 3) return 2;
    fwn_model *model = load(arguments[1], &rate);
    while (strcmp(fwn_isa_name(isa), arguments[2])) isa++;
    check("stream", fwn_stream_create(model, isa, ROWS, &stream));
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)) return 77;
    error = use(stream);
    if (count > 3) getppid();
    return (int)syscall(SYS_exit, error != FWN_OK); /* return would be exit_group, and is not allowed */
}
