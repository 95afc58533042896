"""Kernels that several Python threads call at once, and kernels in a forked process."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import torch

from checks.attention import Case, Problem
from checks.comparison import Mismatch, Report, ratio_of, require, rounding

ROUNDS = 6
# Of sizes that need more scratch memory from one to the next.
CASES = (
    Case(head=32, kind="bf16", heads=(4, 1), lengths=((1, 40), (1, 7))),
    Case(head=128, kind="fp16", heads=(8, 2), lengths=((20, 90), (1, 300)), split=True),
    Case(head=64, kind="fp32", heads=(6, 2), lengths=((33, 65), (17, 17))),
)
CHILD_SECONDS = 300  # under emulation


def threads(report: Report) -> None:
    """Check attention that three threads call at the same time."""
    problems = [Problem(case) for case in CASES]
    with rounding("nearest"):  # makes the function that sets the mode
        pass
    with ThreadPoolExecutor(len(problems)) as pool:
        results = list(pool.map(lambda problem: [problem.run() for _ in range(ROUNDS)], problems))
    for problem, rounds in zip(problems, results, strict=True):
        exact = problem.exact()
        for number, found in enumerate(rounds):
            require(report, f"in threads, round {number}: {problem.case.name}", ratio_of(found, exact))


def forked(report: Report) -> None:
    """Check attention in a child that was forked after kernels ran.

    libgomp's threads do not survive a fork: the parent ends them before, as vLLM does, or the child takes one thread.
    """
    from vllm.utils.system_utils import _release_libgomp_threads

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        problem = Problem(CASES[1])
        exact = problem.exact()
        require(report, "before the fork", ratio_of(problem.run(), exact))
        _require_child("a forked child with one thread", lambda: _run(problem, exact, 1))
        _release_libgomp_threads()
        _require_child("a forked child with two threads", lambda: _run(problem, exact, 2))
        require(report, "after the fork", ratio_of(problem.run(), exact))
    finally:
        torch.set_num_threads(before)
    report.add("forked", 0.0)


def _run(problem: Problem, exact: torch.Tensor, count: int) -> None:
    torch.set_num_threads(count)
    require(Report(), problem.case.name, ratio_of(problem.run(), exact))


def _require_child(name: str, run: Callable[[], None]) -> None:
    """Run a function in a forked process, with a limit of time.

    Raises:
        Mismatch: it hangs or fails.
    """
    process = os.fork()
    if process == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(CHILD_SECONDS)
            run()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, ended = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(ended)
    if code != 0:
        raise Mismatch(f"{name}: " + ("hangs" if code == -signal.SIGALRM else f"exit status {code}"))


CHECKS: Mapping[str, Callable[[Report], None]] = {"threads": threads, "forked": forked}
