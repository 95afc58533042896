"""Short forms of output lines, for progress."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

# Progress lines longer than this are cut.
LONGEST = 160
# `[12/345]` of ninja, `[ 45%]` of make under CMake.
_COUNT = re.compile(r"\[ *\d+(?:/\d+|%)\] ")
_COMPILER = re.compile(
    r"(?:[\w.]+-)*(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|gfortran|flang|rustc|cython|ar|ld|ld\.lld|nasm)(?:-[\d.]+)?"
)
# Words before the compiler: launchers, and what libtool and cargo print before their commands.
_BEFORE = re.compile(
    r"\w+=.*|ccache|sccache|time|env|libtool:|compile:|link:|Running|(?:\S*/)?(?:ba|da)?sh|\S*/libtool|-\S+"
)
_SOURCE = re.compile(r"[^-\s]\S*\.(?:c|cc|cpp|cxx|C|f|f90|F90|f95|for|s|S|asm|m|cu|rs|pyx)")
# Options whose value is a file that is not compiled.
_OF_OUTPUT = ("-o", "-MT", "-MF", "-MQ", "-include", "-x", "-arch")


def shorten(line: str) -> str:
    """Return the compiler and file of a compiler command, the beginning of other lines."""
    count = _COUNT.match(line)
    start = count[0] if count else ""
    words = _words(line[len(start) :])
    command = next((index for index, word in enumerate(words) if not _BEFORE.fullmatch(word)), len(words))
    if command < len(words) and _COMPILER.fullmatch(name := PurePosixPath(words[command]).name):
        file = _file(words[command + 1 :])
        line = f"{start}{name} {file}" if file else line
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


def _words(command: str) -> Sequence[str]:
    return [word.strip("`") for word in command.split(" ") if word]


def _file(arguments: Sequence[str]) -> str:
    """Return the name of the crate or file that a command compiles, else of its output."""
    pairs = list(zip(("", *arguments), arguments, strict=False))
    for wanted in (
        (value for option, value in pairs if option == "--crate-name"),
        (value for option, value in pairs if _SOURCE.fullmatch(value) and option not in _OF_OUTPUT),
        (value for option, value in pairs if option == "-o"),
    ):
        if found := next(wanted, ""):
            return PurePosixPath(found).name
    return ""
