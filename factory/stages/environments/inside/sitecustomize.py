"""Hands pip and the like over to the native Python, where one of this version is in the root.

Every riscv64 Python of the root imports this file when it starts. Tools in pure Python that only move files and ask
which platform they are on need no emulation: as_riscv64.py runs them natively and tells them that they run on this very
interpreter. Whatever they start in turn, build backends above all, is started with this interpreter again.
"""

import os
import sys

NATIVE = f"/opt/native/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
RUNNER = "/opt/native/lib/as_riscv64.py"
MODULES = ("auditwheel", "build", "compileall", "pip", "virtualenv")
SCRIPTS = ("auditwheel", "pip", "pip3", "pyproject-build", "virtualenv")
# pip starts itself with the Python of another environment by this file.
PIP_RUNNER = "__pip-runner__.py"
# Options of Python itself that change nothing for these tools.
HARMLESS = ("-I", "-E", "-s", "-B", "-u", "-P")
SHOWN = (
    "prefix",
    "exec_prefix",
    "base_prefix",
    "base_exec_prefix",
    "platlibdir",
    "executable",
    "_base_executable",
    "path",
)


def tool(words: list[str]) -> tuple[str | None, str | None, list[str]] | None:
    """The tool that Python's command line names, as (module, None, arguments) or (None, script, arguments)."""
    position = next((index for index, word in enumerate(words) if word not in HARMLESS), len(words))
    first, rest = words[position : position + 1], words[position + 1 :]
    if first in (["-m"], ["-Im"]) and rest and rest[0] in MODULES:
        return rest[0], None, rest[1:]
    if not first or first[0].startswith("-"):
        return None
    folder, name = os.path.split(os.path.realpath(first[0]))
    if name == PIP_RUNNER or (name in SCRIPTS and folder == os.path.realpath(f"{sys.prefix}/bin")):
        return None, first[0], rest
    return None


def hand_over() -> None:
    """Replace this process by the native one, where the command line is that of a tool."""
    found = tool(sys.orig_argv[1:])
    if found is None or not os.access(NATIVE, os.X_OK):
        return
    module, script, arguments = found
    caller = {name: getattr(sys, name) for name in SHOWN}
    machine, triplet = os.uname().machine, vars(sys.implementation)["_multiarch"]
    request = repr({"module": module, "script": script, "machine": machine, "triplet": triplet, "sys": caller})
    os.execv(NATIVE, [NATIVE, "-I", "-S", RUNNER, request, *arguments])


if __name__ == "sitecustomize":
    hand_over()
