"""Tests of llama-completion's command line and timings."""

import pytest

from factory.bench.qemu.llama_completion import TIME_LIMIT, Request, read_timings
from factory.errors import CommandFailed

PRINTED = """\
load_backend: loaded CPU backend from /build/llama_cpp_tools/bin/libggml-cpu-riscv64_v_zvfh.so
hello, how are you?<812><77>

common_perf_print:    sampling time =     120.50 ms
common_perf_print:    samplers time =      80.10 ms /    24 tokens
common_perf_print:        load time =    5120.00 ms
common_perf_print: prompt eval time =    4000.00 ms /    16 tokens (  250.00 ms per token,     4.00 tokens per second)
common_perf_print:        eval time =    3500.00 ms /     7 runs   (  500.00 ms per token,     2.00 tokens per second)
common_perf_print:       total time =    9100.00 ms /    23 tokens
"""


def test_read_timings_has_rates() -> None:
    timings = read_timings(PRINTED)
    assert timings.backend == "riscv64_v_zvfh"
    assert (timings.prompt.per_second, timings.prompt.tokens) == (4.0, 16)
    assert (timings.generation.per_second, timings.generation.tokens) == (2.0, 7)
    assert timings.sampling.per_second == pytest.approx(24 / 0.1205)


def test_read_timings_of_one_token_has_no_rate() -> None:
    cut = PRINTED.replace("3500.00 ms /     7 runs", "0.00 ms /     1 runs")
    generation = read_timings(cut).generation
    assert (generation.tokens, generation.per_second) == (0, None)


def test_read_timings_without_timings_shows_last_lines() -> None:
    with pytest.raises(CommandFailed, match="printed no timings") as raised:
        read_timings("loading\nerror: failed to load model\n")
    assert "failed to load model" in raised.value.output


def test_limited_command_is_the_published_one() -> None:
    request = Request(prompt="hello", tokens=100, threads=2, seconds=90)
    command = request.limited_command("/build", "/build/llama-completion", "/build/model.gguf")
    assert command[:3] == ["python3", "/build/time_limit.py", "90"]
    assert TIME_LIMIT.is_file()
    assert command[3:10] == ["/build/llama-completion", "-m", "/build/model.gguf", "-p", "hello", "-n", "100"]
    assert command[-2:] == ["-t", "2"]
