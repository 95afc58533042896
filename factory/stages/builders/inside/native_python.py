"""Start of a build's native Python: it answers as the riscv64 one, and gives way to it.

The build's virtual environment imports this file whenever one of its Pythons starts. The native Python then tells what
the riscv64 one would: names, paths, machine, suffixes. Compiled modules and libraries that it is asked to load are
riscv64 code, so at that moment the riscv64 Python takes over and runs the same command from its start. That is safe
only as long as the process has changed nothing; else it leaves a note, and the factory runs the whole build again.

It needs the standard library only, and `sys`, `os` and `importlib` alone until something compiled is met.
"""

from __future__ import annotations

import os
import sys
from importlib import machinery
from typing import Any, NoReturn

VENV = "/build/venv"
NOTE = "/build/needs-riscv64-python"
# Folders of the environment with links to each interpreter; programs know the launcher's, `bin`.
NATIVE, RISCV64, SHOWN = (f"{VENV}/{name}" for name in ("native", "riscv64", "bin"))
TRIPLET, OWN_TRIPLET = "riscv64-linux-gnu", "x86_64-linux-gnu"
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
EXTENSIONS = f"/opt/native/usr/lib/{VERSION}/lib-dynload"
# Exit status of a process that could neither go on nor start again.
STOPPED = 86

# Events of Python's audit hooks after which a process must not start again.
CHANGES = {
    *("os.chflags", "os.chmod", "os.chown", "os.link", "os.lockf", "os.mkdir", "os.remove", "os.removexattr"),
    *("os.rename", "os.rmdir", "os.setxattr", "os.symlink", "os.truncate", "os.utime", "sqlite3.connect"),
    *("os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg", "os.posix_spawn", "os.spawn", "os.system"),
    *("_thread.start_new_thread", "builtins.input", "pty.spawn", "subprocess.Popen"),
}
CHANGING_MODULES = ("fcntl.", "socket.")
QUESTIONS = ("socket.gethostname", "socket.__new__", "socket.getaddrinfo")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Process:
    """How the process was started, and the first thing that it changed."""

    def __init__(self) -> None:
        self.arguments = list(sys.orig_argv)
        self.variables = dict(os.environ)
        self.folder = current_folder()
        self.changed = ""

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note the first change; called by Python for each of its audit events."""
        if self.changed:
            return
        if event == "open":
            if isinstance(arguments[2], int) and arguments[2] & WRITING:
                self.changed = f"open {arguments[0]!r}"
        elif event == "ctypes.dlopen":
            if arguments[0] is not None:
                self.give_way(f"library {arguments[0]!r}")
        elif event in CHANGES or (event.startswith(CHANGING_MODULES) and event not in QUESTIONS):
            self.changed = event

    def printed(self) -> None:
        """Note that something was printed."""
        self.changed = self.changed or "print"

    def give_way(self, reason: str) -> NoReturn:
        """Run the same command on the riscv64 Python, or stop where that is too late."""
        if not self.changed and "multiprocessing" not in sys.modules:
            os.chdir(self.folder)
            program = f"{RISCV64}/{os.path.basename(sys.executable)}"  # noqa: PTH119
            os.execve(program, [program, *self.arguments[1:]], self.variables)
        note = f"{reason} is for riscv64 (this process had changed something: {self.changed or 'multiprocessing'})\n"
        try:
            with open(NOTE, "a", encoding="utf-8") as file:  # noqa: PTH123
                file.write(note)
        finally:
            sys.__stderr__ and sys.__stderr__.write(f"native Python: {note}")
            os._exit(STOPPED)


class ForRiscv64(machinery.ExtensionFileLoader):
    """Loader of compiled modules, none of which this process can load."""

    process: Process

    def create_module(self, spec: machinery.ModuleSpec) -> NoReturn:
        self.process.give_way(f"module {spec.name} in {spec.origin}")


class StandardModules:
    """Finder of the standard library's compiled modules, which are the native ones."""

    def __init__(self) -> None:
        ending = f".cpython-{sys.version_info.major}{sys.version_info.minor}-{OWN_TRIPLET}.so"
        names = os.listdir(EXTENSIONS) if os.path.isdir(EXTENSIONS) else []  # noqa: PTH208, PTH112
        self.files = {name.removesuffix(ending): f"{EXTENSIONS}/{name}" for name in names if name.endswith(ending)}

    def find_spec(self, name: str, path: object, target: object = None) -> machinery.ModuleSpec | None:
        """Return the module's place, or None for other modules."""
        if name not in self.files:
            return None
        loader = machinery.ExtensionFileLoader(name, self.files[name])
        spec = machinery.ModuleSpec(name, loader, origin=self.files[name])
        spec.has_location = True
        return spec


class Printing:
    """Method `write` of a stream that notes its first call and then steps aside."""

    def __init__(self, stream: Any, process: Process) -> None:
        self.stream, self.process = stream, process

    def __call__(self, text: str) -> int:
        self.process.printed()
        self.stream.__dict__.pop("write", None)
        return int(self.stream.write(text))


def current_folder() -> str:
    """Return the current folder, or the root where that is gone."""
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib takes 5 ms to import
    except OSError:
        return "/"


def show_names() -> None:
    """Show the launcher as this interpreter's file."""
    sys.executable = f"{SHOWN}/{os.path.basename(sys.executable)}"  # noqa: PTH119
    sys.orig_argv[0] = sys.executable


def show_machine() -> None:
    """Show the riscv64 Python's names and machine."""
    sys._base_executable = f"/usr/bin/{VERSION}"  # type: ignore[attr-defined]
    sys.implementation._multiarch = TRIPLET  # type: ignore[attr-defined]
    system = os.uname()
    os.uname = lambda: os.uname_result((*system[:4], "riscv64"))


def take_no_compiled_module(process: Process) -> None:
    """Find compiled modules under the riscv64 suffixes, and give way to load one."""
    ForRiscv64.process = process
    suffixes = [suffix.replace(OWN_TRIPLET, TRIPLET) for suffix in machinery.EXTENSION_SUFFIXES]
    machinery.EXTENSION_SUFFIXES[:] = suffixes
    sys.meta_path.insert(sys.meta_path.index(machinery.PathFinder), StandardModules())
    sys.path_hooks[-1] = machinery.FileFinder.path_hook(
        (ForRiscv64, suffixes),
        (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES),
        (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
    )
    sys.path_importer_cache.clear()


def start() -> None:
    """Make this interpreter show and behave as the environment's riscv64 one."""
    folder = os.path.dirname(sys.executable)  # noqa: PTH120
    if folder not in (NATIVE, RISCV64):
        return
    show_names()
    if folder == RISCV64:
        return
    process = Process()
    show_machine()
    take_no_compiled_module(process)
    if sys.stdout is not None:
        sys.stdout.__dict__["write"] = Printing(sys.stdout, process)
    sys.addaudithook(process.watch)


start()
