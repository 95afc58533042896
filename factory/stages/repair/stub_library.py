"""Stub libraries: symbols of left-out libraries, which report an error if called.

A dependency that a distribution compiled into a library cannot be removed from it. With the stub, the library loads as
long as nothing uses that dependency.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from factory.elf.symbols import NeededSymbol
from factory.model.protocols import BUILD, Command, Sandbox
from factory.util.log import LogSink

# Large enough for handles of which programs only take the address; 16 bytes is the strictest alignment.
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


def stub_source(symbols: Iterable[NeededSymbol], libraries: Sequence[str]) -> str:
    """Return the C source of the stub for `libraries`."""
    listed = START.format(libraries=", ".join(libraries))
    return listed + "".join(
        (DATA if symbol.data else FUNCTION).format(name=symbol.name) for symbol in sorted(symbols, key=_key)
    )


def version_script(symbols: Iterable[NeededSymbol]) -> str:
    """Return the linker's version script of the stub's symbols."""
    versioned = sorted((symbol for symbol in symbols if symbol.version), key=_key)
    return "".join(
        f"{version} {{ global: {' '.join(f'{symbol.name};' for symbol in group)} }};\n"
        for version, group in groupby(versioned, key=lambda symbol: symbol.version)
    )


def compile_stub(
    sandbox: Sandbox, name: str, symbols: Iterable[NeededSymbol], libraries: Sequence[str], log: LogSink
) -> Path:
    """Compile the library `name` in the sandbox's work folder; return its path.

    Raises:
        CommandFailed: the compiler failed.
    """
    symbols = tuple(symbols)
    (sandbox.work / f"{name}.c").write_text(stub_source(symbols, libraries))
    (sandbox.work / f"{name}.map").write_text(version_script(symbols))
    script = [f"-Wl,--version-script={BUILD}/{name}.map"] if any(symbol.version for symbol in symbols) else []
    # The compiler knows some of the names as builtin functions of other types.
    command = ["gcc", "-shared", "-fPIC", "-O2", "-w", "-fno-builtin", f"-Wl,-soname,{name}", *script]
    sandbox.run(Command([*command, "-o", f"{BUILD}/{name}", f"{BUILD}/{name}.c"]), log=log)
    return sandbox.work / name


def _key(symbol: NeededSymbol) -> tuple[str, str]:
    return symbol.version, symbol.name
