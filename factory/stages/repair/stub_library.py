"""A library that stands in for those that a wheel leaves out: it has their symbols, and says what is missing if called.

What a distribution compiled in can't be taken out of a library again. This lets it load without what it needs for
that, as long as nobody uses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from factory.elf.patchelf import Wanted
from factory.model.protocols import BUILD, Command, Sandbox
from factory.util.log import LogSink

# Enough for the handles that programs only take the address of; 16 bytes is the strictest alignment.
DATA = "char {name}[256] __attribute__((aligned(16)));\n"
FUNCTION = 'void {name}(void) {{ left_out("{name}"); }}\n'
START = """
#include <stdio.h>
#include <stdlib.h>
static void left_out(const char *name)
{{
    fprintf(stderr, "%s: this wheel leaves out the library that has it, one of: {libraries}\\n", name);
    abort();
}}
"""


def source_of(symbols: Iterable[Wanted], libraries: Sequence[str]) -> str:
    """The C program of the stand-in for `libraries`."""
    listed = START.format(libraries=", ".join(libraries))
    return listed + "".join(
        (DATA if symbol.data else FUNCTION).format(name=symbol.name) for symbol in sorted(symbols, key=_key)
    )


def versions_of(symbols: Iterable[Wanted]) -> str:
    """The linker's script that gives symbols the versions that are wanted of them."""
    versioned = sorted((symbol for symbol in symbols if symbol.version), key=_key)
    return "".join(
        f"{version} {{ global: {' '.join(f'{symbol.name};' for symbol in group)} }};\n"
        for version, group in groupby(versioned, key=lambda symbol: symbol.version)
    )


def compile_stand_in(
    sandbox: Sandbox, name: str, symbols: Iterable[Wanted], libraries: Sequence[str], log: LogSink
) -> Path:
    """Compile the library `name` in the sandbox's work folder; returns where it is.

    Raises:
        CommandFailed: the compiler's output says why.
    """
    symbols = tuple(symbols)
    (sandbox.work / f"{name}.c").write_text(source_of(symbols, libraries))
    (sandbox.work / f"{name}.map").write_text(versions_of(symbols))
    script = [f"-Wl,--version-script={BUILD}/{name}.map"] if any(symbol.version for symbol in symbols) else []
    # Some of the names are known to the compiler as functions of other types.
    command = ["gcc", "-shared", "-fPIC", "-O2", "-w", "-fno-builtin", f"-Wl,-soname,{name}", *script]
    sandbox.run(Command([*command, "-o", f"{BUILD}/{name}", f"{BUILD}/{name}.c"]), log=log)
    return sandbox.work / name


def _key(symbol: Wanted) -> tuple[str, str]:
    return symbol.version, symbol.name
