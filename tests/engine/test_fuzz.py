"""The standing adversary in C: random calls of csrc/fastwavenet.h under sanitizers, and forks.

`make fuzz MINUTES=60` runs it for so long, and keeps in .fuzz/ the inputs that reached new code.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from c_build import compiles, link, run, run_under_thread_sanitizer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses GNU ld and libFuzzer")

SECONDS = int(os.environ.get("FASTWAVENET_FUZZ_SECONDS", "5"))
CORPUS = os.environ.get("FASTWAVENET_FUZZ_CORPUS")
# Short runs are compiled without optimization, which takes clang a tenth of the time.  The address
# sanitizer has checks of pointers of its own.
OPTIMIZE = "-O1" if SECONDS > 60 else "-O0"
SANITIZE = [OPTIMIZE, "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
            "-fno-sanitize=null,alignment,object-size,pointer-overflow"]  # fmt: skip
COVERAGE = "-fsanitize-coverage=inline-8bit-counters,pc-table"
# Edges alone: their counts depend on the sizes of networks, and cost a third of the rate.
OPTIONS = ["-use_counters=0", "-entropic=0", "-max_len=128", "-print_final_stats=1"]
# The address sanitizer keeps freed memory, up to a sum of the sizes that were asked for: by default
# 256 MB, which are 1.2 GiB if all blocks have two bytes.  The rest of the process is 0.1 GiB.
FREED = {"ASAN_OPTIONS": "quarantine_size_mb=64"}
OPTIONS += ["-rss_limit_mb=2048", "-malloc_limit_mb=256"]


@pytest.fixture(scope="session")
def fuzzed_engine(compile_engine, tmp_path_factory):
    if not compiles("clang", tmp_path_factory.mktemp("empty"), *SANITIZE, COVERAGE):
        pytest.skip("this machine has no clang with sanitizers")
    probe = tmp_path_factory.mktemp("probe") / "probe.c"
    probe.write_text("int LLVMFuzzerTestOneInput(void) { return 0; }\n")
    command = ["clang", "-fsanitize=fuzzer", str(probe), "-o", str(probe.with_suffix(""))]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this machine's clang has no libFuzzer")
    return compile_engine("clang", *SANITIZE, COVERAGE)


def fuzz(program: Path, seconds: int, *corpus: object) -> subprocess.CompletedProcess:
    limits = [f"-max_total_time={seconds}", f"-artifact_prefix={program.parent}/"]
    command = [str(part) for part in (program, *corpus, *OPTIONS, *limits)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | FREED)


def test_no_sequence_of_calls_breaks_the_engine_or_differs_from_its_twin(fuzzed_engine, tmp_path):
    program = link("clang", "fuzz", fuzzed_engine, tmp_path, *SANITIZE, "-fsanitize=fuzzer")
    corpus = [CORPUS] if CORPUS else []
    for folder in corpus:
        Path(folder).mkdir(parents=True, exist_ok=True)
    done = fuzz(program, SECONDS, *corpus)
    assert done.returncode == 0, done.stdout + done.stderr[-8000:]
    print(*done.stderr.splitlines()[-5:], sep="\n")
    (executions,) = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
    assert int(executions) > 100


def test_a_wrong_second_thread_is_found(fuzzed_engine, tmp_path):
    """Two threads run, and their bits are compared: the second has the first one's weights."""
    planted = ["-DPLANTED", "-Wl,--wrap=fwn_mat_part"]
    program = link(
        "clang", "fuzz", fuzzed_engine, tmp_path, *SANITIZE, *planted, "-fsanitize=fuzzer"
    )
    done = fuzz(program, 500)  # one execution in many has two threads, if a core is free for both
    assert done.returncode != 0
    assert "not true" in done.stderr and "fuzz_twin.h" in done.stderr


@pytest.mark.parametrize("forks", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_forks_at_any_moment_leave_children_whole_copies(compile_engine, tmp_path, forks):
    run_under_thread_sanitizer(compile_engine, tmp_path, "forks", f"-DFORKS={forks}")


def test_children_of_forks_at_any_moment_free_their_copies(compile_engine, tmp_path):
    run(link("gcc", "forks", compile_engine("gcc"), tmp_path, "-DFORKS=40"))
