"""Time limit for a command inside a root: python3 time_limit.py SECONDS COMMAND...

When the time has passed, the command's main thread gets SIGINT, and llama.cpp's programs then print their timings. A
signal to the whole process, such as timeout sends, may be delivered to another thread, where their handler crashes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

TGKILL = 131  # system call number on riscv64
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
