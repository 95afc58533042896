"""Confinement of commands that run a package's code or read its files.

bubblewrap gives them namespaces of their own, no capabilities and no way to new ones. They cannot become more than they
are: a process with the number 0 of root but without capabilities still owns root's files, so kernel settings in /proc
are read-only too. Limits end a fork bomb or a runaway linker before the machine suffers; when memory runs out, the
kernel kills confined processes first.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from factory.errors import CommandFailed, EnvironmentSetupError
from factory.util.log import LogSink
from factory.util.process import run, with_own_programs
from factory.util.system_calls import seccomp_program

# Files and folders of /proc that root's processes may write without a capability. bubblewrap covers some of them, by
# a test that a user namespace misleads.
PROC_SETTINGS = ("sys", "sysrq-trigger", "irq", "bus", "fs", "mtrr", "scsi", "acpi", "driver", "pressure")
# Keys, memory and timers of the machine.
PROC_PRIVATE = ("keys", "kcore", "timer_list")
NAMESPACES = ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent")
# Linux's own user namespace: settings and keys of the machine's root are not those of the command's root.
USER_NAMESPACE = ("--unshare-user", "--uid", "0", "--gid", "0", "--disable-userns")
NO_CAPABILITIES = ("--cap-drop", "ALL")
# Threads count too. Builds with 128 compilers need some 700.
PROCESSES_VARIABLE = "FACTORY_PROCESSES"
PROCESSES, PROCESSES_PER_PROCESSOR = 4096, 64
MEMORY_VARIABLE = "FACTORY_MEMORY"
# The rest is for the machine itself.
MEMORY_SHARE = 0.9
FILE_BYTES = 64 << 30
# Folders of the system's programs and libraries.
SYSTEM = ("usr", "bin", "sbin", "lib", "lib64", "etc")
# Files and folders of /etc in which machines keep passwords; no command that sees the machine's /etc needs them.
PRIVATE = (
    *("environment", "fstab", "gitconfig", "gshadow", "netrc", "pip.conf", "shadow", "wgetrc"),
    *("apt/apt.conf", "apt/auth.conf", "apt/sources.list", "uv/uv.toml", "xdg/pip/pip.conf", "xdg/uv/uv.toml"),
    *("apt/apt.conf.d", "apt/auth.conf.d", "apt/sources.list.d", "docker", "profile.d", "ssl/private", "sudoers.d"),
)
# The kernel chooses by this score, of -1000 to 1000, whom to kill when memory runs out.
FIRST_TO_BE_KILLED = "1000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a command: processes with threads, bytes of memory, bytes of one file."""

    processes: int
    memory: int
    file_bytes: int = FILE_BYTES


def default_limits() -> Limits:
    """Return the limits for this machine; variables set those of processes and memory.

    Raises:
        EnvironmentSetupError: a variable is not a number, or not a size.
    """
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    processes = PROCESSES + PROCESSES_PER_PROCESSOR * (os.cpu_count() or 1)
    try:
        processes = int(os.environ.get(PROCESSES_VARIABLE) or processes)
    except ValueError as error:
        raise EnvironmentSetupError(f"{PROCESSES_VARIABLE}: {error}", hint="use a number such as 4096") from error
    set_memory = os.environ.get(MEMORY_VARIABLE)
    return Limits(processes=processes, memory=_bytes(set_memory) if set_memory else int(total * MEMORY_SHARE))


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgt])b?", text, re.IGNORECASE)
    if match is None:
        raise EnvironmentSetupError(f"{MEMORY_VARIABLE}: {text!r} is not a size", hint="use one such as 6g or 800m")
    return int(float(match[1]) * 1024 ** (1 + "kmgt".index(match[2].lower())))


def sealed_options() -> list[str]:
    """Return bubblewrap's options for a command in its own namespaces, without capabilities.

    There is no user namespace where the machine allows none.
    """
    return [*NAMESPACES, *(USER_NAMESPACE if has_user_namespaces() else ()), *NO_CAPABILITIES]


def proc_options() -> list[str]:
    """Return bubblewrap's options for /proc: settings are read-only, private files hidden."""
    settings = [f"/proc/{name}" for name in PROC_SETTINGS if Path("/proc", name).exists()]
    shown = [(path, path) for path in settings]
    hidden = [("/dev/null", f"/proc/{name}") for name in PROC_PRIVATE if Path("/proc", name).exists()]
    return ["--proc", "/proc", *(word for bind in (*shown, *hidden) for word in ("--ro-bind", *bind))]


@contextmanager
def memory_file(name: str, content: bytes) -> Iterator[int]:
    """Provide an open file in memory, for a program that reads it once."""
    with os.fdopen(os.memfd_create(name), "wb+") as file:
        file.write(content)
        file.flush()
        file.seek(0)
        yield file.fileno()


@contextmanager
def call_filter() -> Iterator[int]:
    """Provide an open file with the filter of system calls, for bubblewrap's option --seccomp."""
    with memory_file("seccomp", seccomp_program()) as descriptor:
        yield descriptor


def private_options() -> list[str]:
    """Return bubblewrap's options that hide passwords in the machine's /etc."""
    found = [path for path in (Path("/etc", name) for name in PRIVATE) if path.exists() and not path.is_symlink()]
    folders = [word for path in found if path.is_dir() for word in ("--tmpfs", str(path))]
    return folders + [word for path in found if path.is_file() for word in ("--ro-bind", "/dev/null", str(path))]


def limited(argv: Sequence[str], limits: Limits) -> list[str]:
    """Return the command line with resource limits, which its child processes inherit."""
    resources = [f"--fsize={limits.file_bytes}", "--core=0"]
    return ["prlimit", *resources, "choom", "--adjust", FIRST_TO_BE_KILLED, "--", *argv]


def counted(argv: Sequence[str], limits: Limits) -> list[str]:
    """Return the command line with limits of processes and of each one's private memory.

    They are for a user's namespace. Linux counts a user's processes in each namespace: in one of its own, a command
    does not use up what others may start. It exempts the machine's root: see `factory.host.control_groups`.
    """
    if not in_user_namespace():
        return list(argv)
    resources = [f"--nproc={limits.processes}", f"--data={limits.memory}"]
    return ["unshare", "--user", "--map-root-user", "--", "prlimit", *resources, *argv]


def in_user_namespace() -> bool:
    """Report if this is a user namespace, where overlayfs needs the option userxattr."""
    return Path("/proc/self/uid_map").read_text().split() != ["0", "0", str(2**32 - 1)]


def run_tool(
    argv: Sequence[str],
    *,
    readable: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    env: Mapping[str, str] | None = None,
    log: LogSink | None = None,
    what: str | None = None,
    network: bool = False,
    limits: Limits | None = None,
    output_limit: int | None = None,
) -> str:
    """Run a program of this machine that reads strangers' files, confined; returns its output.

    It sees the system's programs, this Python and the folders `readable`, and may write the folders `writable`; its
    temporary files are in the first of these. Of this process's environment it has nothing but PATH. Without `limits`,
    the machine's memory is the limit. `output_limit` is as in `factory.util.process.run`.

    Raises:
        CommandFailed: see `factory.util.process.run`.
    """
    shown = [Path(sys.prefix), Path(sys.base_prefix), *readable]
    mounts = system_options(SYSTEM)
    mounts += [*private_options(), "--dev", "/dev", *proc_options()]
    mounts += [word for path in dict.fromkeys(shown) for word in ("--ro-bind-try", str(path), str(path))]
    mounts += [word for path in writable for word in ("--bind", str(path), str(path))]
    variables = {**with_own_programs(os.environ), **(env or {})}
    kept = {name: variables[name] for name in ("PATH", *(env or {}))} | {"LANG": "C.UTF-8"}
    if writable:
        kept["TMPDIR"] = str(writable[0])
    if log is not None:
        log.write(f"$ {shlex.join(argv)}\n")
    with call_filter() as calls:
        offline = () if network else ("--unshare-net",)
        seal = [*sealed_options(), *offline, "--new-session", "--seccomp", str(calls)]
        memory = ["prlimit", f"--data={limits.memory}"] if limits else []
        command = limited(["bwrap", *seal, *mounts, "--", *memory, *argv], limits or default_limits())
        name = what or argv[0]
        return run(
            command, env=kept, log=log, what=name, show_command=False, inherited=(calls,), output_limit=output_limit
        )


def system_options(names: Iterable[str]) -> list[str]:
    """Return bubblewrap's options that show folders of the machine's root, read-only.

    Links stay links.
    """
    options: list[str] = []
    for path in (Path("/", name) for name in names):
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            options += ["--ro-bind", str(path), str(path)]
    return options


@cache
def has_user_namespaces() -> bool:
    """Report if the machine allows a command's own user namespace."""
    try:
        run(["bwrap", *NAMESPACES, *USER_NAMESPACE, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "true"])
    except CommandFailed:
        return False
    return True
