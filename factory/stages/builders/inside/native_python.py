"""Start of a build's native Python: it answers as the riscv64 one, and gives way to it.

The build's virtual environment imports this file whenever one of its Pythons starts. The native Python then tells what
the riscv64 one would: names, paths, machine, suffixes. Compiled modules and libraries that it is asked to load are
riscv64 code, so at that moment the riscv64 Python takes over and runs the same command from its start. That is safe
only as long as the process has changed nothing; else it leaves a note, and the factory runs the whole build again.

It needs `os`, `importlib.machinery` and built-in modules only: every start of a Python pays for its imports.
"""

from __future__ import annotations

import _imp
import _locale
import cmath
import math
import os
import posix
import sys
from importlib import machinery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn

VENV = "/build/venv"
NOTE = "/build/needs-riscv64-python"
# Links to each interpreter, and the folder of the launcher, which programs know.
NATIVE, RISCV64, SHOWN = (f"{VENV}/{name}" for name in ("native", "riscv64", "bin"))
TRIPLET, OWN_TRIPLET = "riscv64-linux-gnu", "x86_64-linux-gnu"
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
PROGRAM = "/opt/native/usr/bin/python"
# The first lets parents end without the trace of a machine that lacks memory; the second ends those that ignore it.
TERMINATE, KILL = 15, 9
GRACE, PAUSE = 1.0, 0.01
EXTENSIONS = f"/opt/native/usr/lib/{VERSION}/lib-dynload"
STANDARD = f"/usr/lib/{VERSION}/lib-dynload"
OWN_SUFFIX = machinery.EXTENSION_SUFFIXES[0]
# Exit status of a process that could neither go on nor start again.
STOPPED = 86

# Events of Python's audit hooks after which a process must not start again.
CHANGES = {
    *("os.chflags", "os.chmod", "os.chown", "os.link", "os.lockf", "os.mkdir", "os.remove", "os.removexattr"),
    *("os.rename", "os.rmdir", "os.setxattr", "os.symlink", "os.truncate", "os.utime", "sqlite3.connect"),
    *("os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg", "os.posix_spawn", "os.spawn", "os.system"),
    *("_thread.start_new_thread", "_thread.start_joinable_thread", "builtins.input", "pty.spawn", "subprocess.Popen"),
}
# Functions of `os` that change something without an event.
UNAUDITED = ("mkfifo", "mknod")
# Events of programs that start; the last argument is their environment.
STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn")
# The launcher is a script: shells set these variables themselves, and drop those whose names they cannot write.
OF_SHELLS = ("IFS", "OPTIND", "PPID")
CHANGING_MODULES = ("fcntl.", "socket.")
QUESTIONS = ("socket.gethostname", "socket.__new__", "socket.getaddrinfo")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# Answers of the C library that differ: `char` is unsigned on riscv64.
CONFSTR = {"CS_XBS5_LP64_OFF64_CFLAGS": "", "CS_XBS5_LP64_OFF64_LDFLAGS": ""}
SYSCONF = {"SC_CHAR_MIN": 0, "SC_CHAR_MAX": 255, "SC_MINSIGSTKSZ": 2048}
# Of /proc/self/status: what a process keeps when it starts another program.
KEPT = ("Umask:", "SigBlk:", "SigIgn:")

# Functions whose last bits differ between the C libraries of the two machines, or between their compilers.
INEXACT = {
    math: ("cbrt", "erf", "erfc", "exp2"),
    cmath: ("acos", "acosh", "asin", "asinh", "log", "log10", "polar", "sqrt"),
}


class Process:
    """Start of this process (command, folder, inherited state), and its first change."""

    def __init__(self) -> None:
        self.arguments = list(sys.orig_argv)
        self.folder = current_folder()
        self.state = kept_state()
        self.changed = ""

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note the first change, and give way to code for riscv64; an audit hook of Python."""
        if event == "import":
            # With a path where a compiled module is loaded, however that was asked for.
            if arguments[1] is not None and not str(arguments[1]).startswith(EXTENSIONS):
                self.give_way(f"module {arguments[0]} in {arguments[1]}")
        elif event == "ctypes.dlopen":
            if arguments[0] is not None:
                self.give_way(f"library {arguments[0]!r}")
        elif event.startswith("ctypes.dlsym"):
            # The C library answers for this machine.
            self.give_way(f"function {arguments[1]!r}")
        elif event in STARTS and (lost := lost_variables(arguments[-1])):
            self.stop(f"variable {lost[0]!r} of a program would be lost before the native Python starts")
        elif self.changed:
            return
        elif event == "open":
            if isinstance(arguments[2], int) and arguments[2] & WRITING:
                self.changed = f"open {arguments[0]!r}"
        elif event in CHANGES or (event.startswith(CHANGING_MODULES) and event not in QUESTIONS):
            self.changed = event

    def obstacle(self) -> str:
        """Return the reason for which the process must not start again; empty if there is none."""
        if self.changed or "multiprocessing" in sys.modules:
            return self.changed or "multiprocessing"
        if inputs(self.state[0]):
            return "a pipe or file as input, which may be read"
        return "" if kept_state(self.state[0]) == self.state else "output, or what programs inherit"

    def give_way(self, reason: str) -> NoReturn:
        """Run the same command on the riscv64 Python, or stop where that is too late."""
        obstacle = self.obstacle()
        if not obstacle:
            try:
                self.start_again()
            except OSError as error:  # a file or folder is gone
                obstacle = str(error)
        self.stop(f"{reason} is for riscv64 (this process had changed something: {obstacle})")

    def start_again(self) -> NoReturn:
        """Run the same command on the riscv64 Python."""
        os.chdir(self.folder)
        with open("/proc/self/environ", "rb") as file:  # noqa: PTH123
            variables = [line.partition(b"=") for line in file.read().split(b"\0") if line]
        os.execve(RISCV64, self.arguments, {name: value for name, _, value in variables})

    def stop(self, reason: str) -> NoReturn:
        """End this process with a note: the whole build needs the riscv64 Python."""
        try:
            with open(NOTE, "a", encoding="utf-8") as file:  # noqa: PTH123
                file.write(f"{reason}\n")
        finally:
            sys.__stderr__ and sys.__stderr__.write(f"native Python: {reason}\n")
            stop_parents()
            os._exit(STOPPED)


class StandardModules(machinery.FileFinder):
    """Finder of the standard library's compiled modules.

    They are the native ones, as far as there are.
    """

    def find_spec(self, name: str, target: object = None) -> machinery.ModuleSpec | None:
        """Return the module's place, or None for other modules."""
        file = f"{EXTENSIONS}/{name}{OWN_SUFFIX}"
        if not os.path.isfile(file):  # noqa: PTH113
            return super().find_spec(name, target)  # type: ignore[arg-type]
        spec = machinery.ModuleSpec(name, machinery.ExtensionFileLoader(name, file), origin=file)
        spec.has_location = True
        return spec


def lost_variables(environment: Iterable[str | bytes] | None) -> list[str]:
    """Return the variables of a program that it would not get through a shell."""
    names = map(os.fsdecode, os.environ if environment is None else environment)
    return [name for name in names if not (name.isascii() and name.isidentifier()) or name in OF_SHELLS]


def current_folder() -> str:
    """Return the current folder, or the root where that is gone."""
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib takes 5 ms to import
    except OSError:
        return "/"


def lines(name: str, starts: tuple[str, ...], process: int | str = "self") -> list[str]:
    """Return the lines of a file of a process in /proc that begin so."""
    with open(f"/proc/{process}/{name}", encoding="utf-8") as file:  # noqa: PTH123
        return [line for line in file if line.startswith(starts)]


def inputs(files: dict[str, str]) -> list[str]:
    """Return the files that this process may have read, and that cannot be read twice."""
    return [
        name
        for number, name in files.items()
        if number not in ("1", "2")
        and (name.startswith(("pipe:", "socket:")) or (number == "0" and not name.startswith("/dev/")))
    ]


def kept_state(numbers: Iterable[str] = ()) -> tuple[dict[str, str], list[str], list[str], list[int]]:
    """Return the open files by number, kept settings, counts of writing, and groups.

    Of the files, only those with `numbers` if there are any.
    """
    names = {}
    for number in numbers or os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            names[number] = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
        except OSError:
            continue  # the folder itself, or closed
    return names, lines("status", KEPT), lines("io", ("syscw:",)), [os.getsid(0), os.getpgrp(), os.nice(0)]


def stop_parents() -> None:
    """End the Pythons that started this one.

    They may wait for its answer, as a pool of multiprocessing does.
    """
    import time

    numbers = parents()
    for signal in (TERMINATE, KILL):
        for number in filter(runs_python, numbers):
            os.kill(number, signal)
        end = time.monotonic() + GRACE
        while time.monotonic() < end and any(map(runs_python, numbers)):
            time.sleep(PAUSE)


def parents() -> list[int]:
    """Return the numbers of the processes above this one, as far as they can be seen."""
    numbers = [os.getppid()]
    try:
        while numbers[-1] > 1:
            (parent,) = lines("status", ("PPid:",), numbers[-1])
            numbers.append(int(parent.split()[1]))
    except OSError:
        pass  # it has ended already
    return numbers


def runs_python(number: int) -> bool:
    """Report if a process is a native Python of this build that has not ended."""
    try:
        return os.readlink(f"/proc/{number}/exe").startswith(PROGRAM)  # noqa: PTH115
    except OSError:
        return False


def show_names() -> None:
    """Show the launcher as this interpreter's file."""
    sys.executable = f"{SHOWN}/{os.path.basename(sys.executable)}"  # noqa: PTH119
    sys.orig_argv[0] = sys.executable


def show_machine() -> None:
    """Show the riscv64 Python's names and machine."""
    sys.implementation._multiarch = TRIPLET  # type: ignore[attr-defined]
    system = os.uname()
    os.uname = posix.uname = lambda: os.uname_result((*system[:4], "riscv64"))


def show_limits() -> None:
    """Show the values that the riscv64 Python has from its C library."""

    def known(function: Callable[[Any], Any], answers: dict[Any, Any]) -> Callable[[Any], Any]:
        return lambda name, /: answers[name] if isinstance(name, (str, int)) and name in answers else function(name)

    for question, numbers, answers in (
        ("confstr", os.confstr_names, CONFSTR),
        ("sysconf", os.sysconf_names, SYSCONF),
    ):
        by_number = {numbers[name]: answer for name, answer in answers.items()}
        answer = known(getattr(posix, question), {**answers, **by_number})
        setattr(os, question, answer)
        setattr(posix, question, answer)
    convention, own, shown = _locale.localeconv, _locale.CHAR_MAX, SYSCONF["SC_CHAR_MAX"]

    def limit(value: Any) -> Any:
        return [limit(each) for each in value] if isinstance(value, list) else shown if value == own else value

    _locale.CHAR_MAX = shown  # type: ignore[misc]
    _locale.localeconv = lambda: {name: limit(value) for name, value in convention().items()}  # type: ignore


def find_riscv64_modules() -> None:
    """Find compiled modules under the riscv64 suffixes."""
    suffixes = [suffix.replace(OWN_TRIPLET, TRIPLET) for suffix in machinery.EXTENSION_SUFFIXES]
    machinery.EXTENSION_SUFFIXES[:] = suffixes
    _imp.extension_suffixes = lambda: list(suffixes)
    loaders = (
        (machinery.ExtensionFileLoader, suffixes),
        (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES),
        (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
    )

    def standard_modules(folder: str) -> StandardModules:
        """Return the finder for that folder alone.

        A build's own modules of the same names may come before it.
        """
        if folder != STANDARD:
            raise ImportError(folder)
        return StandardModules(folder, *loaders)

    sys.path_hooks[:] = [standard_modules, *sys.path_hooks[:-1], machinery.FileFinder.path_hook(*loaders)]
    sys.path_importer_cache.clear()


def note_unaudited_changes(process: Process) -> None:
    """Note calls of functions that the audit hook does not see."""

    def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            process.changed = process.changed or f"os.{name}"
            return function(*arguments, **options)

        return call

    for name in UNAUDITED:
        setattr(os, name, noted(name, getattr(os, name)))


def refuse_inexact_functions(process: Process) -> None:
    """Give way where the last bits of a result would differ."""
    for module, names in INEXACT.items():
        for name in names:
            reason = f"function {module.__name__}.{name}"
            setattr(module, name, lambda *_, reason=reason: process.give_way(reason))


def start() -> None:
    """Make this interpreter show and behave as the environment's riscv64 one."""
    if sys.prefix == VENV:
        sys._base_executable = f"/usr/bin/{VERSION}"  # type: ignore[attr-defined]
    if os.path.dirname(sys.executable) != NATIVE:  # noqa: PTH120
        return
    show_names()
    try:
        process = Process()
    except OSError:  # a kernel without these files in /proc: nothing would tell what was changed
        os.execv(RISCV64, sys.orig_argv)
    show_machine()
    show_limits()
    find_riscv64_modules()
    note_unaudited_changes(process)
    refuse_inexact_functions(process)
    sys.addaudithook(process.watch)


start()
