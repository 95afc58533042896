"""Runs a command in the root for at most so many seconds: python3 time_limit.py SECONDS COMMAND...

Then its main thread is interrupted, after which llama.cpp's programs print their timings. A signal to the process, as
timeout sends it, can reach another thread of theirs, in which their handler dies.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

TGKILL = 131  # the number of the system call on riscv64
GRACE_SECONDS = 60


def main() -> int:
    seconds, *command = sys.argv[1:]
    null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    child = os.posix_spawn(command[0], command, os.environ, file_actions=[null])
    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        if interrupted:
            os.kill(child, signal.SIGKILL)
            return
        interrupted = True
        ctypes.CDLL(None).syscall(TGKILL, child, child, int(signal.SIGINT))
        signal.alarm(GRACE_SECONDS)

    signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(int(seconds))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return 0 if interrupted and code == 128 + signal.SIGINT else abs(code)


if __name__ == "__main__":
    sys.exit(main())
