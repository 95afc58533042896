"""Progress lines: whole compiler commands are shortened to the compiler and its file."""

from __future__ import annotations

import pytest

from factory.cli.progress_text import LONGEST, shorten

INCLUDES = " ".join(f"-I/build/src/third_party/folder{number}" for number in range(30))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            f"riscv64-linux-gnu-gcc -fno-strict-overflow -DNDEBUG {INCLUDES} -c src/a/x.c -o build/x.o",
            "riscv64-linux-gnu-gcc x.c",
        ),
        (
            f"[12/345] /opt/native/ccache/c++ {INCLUDES} -MD -MT x.cpp.o -MF x.cpp.o.d -o x.cpp.o -c /s/x.cpp",
            "[12/345] c++ x.cpp",
        ),
        (f"[ 45%] ccache clang++-22 {INCLUDES} -o CMakeFiles/a.dir/b.cc.o -c /s/b.cc", "[ 45%] clang++-22 b.cc"),
        (f"libtool: compile:  gcc -DHAVE_CONFIG_H {INCLUDES} -c src/unix/fs.c  -fPIC -o .libs/fs.o", "gcc fs.c"),
        (f"/bin/bash ./libtool  --tag=CC   --mode=compile gcc {INCLUDES} -c -o fs.lo src/fs.c", "gcc fs.c"),
        (f"     Running `CARGO=/usr/bin/cargo rustc --crate-name itoa --edition=2021 lib.rs {INCLUDES}`", "rustc itoa"),
        (f"gcc -shared {INCLUDES} build/a.o build/b.o -o build/lib/demo.so", "gcc demo.so"),
        (f"ar rcs libx.a {INCLUDES} a.o", None),
        ("[5/9] Building CXX object CMakeFiles/a.dir/x.cpp.o", "[5/9] Building CXX object CMakeFiles/a.dir/x.cpp.o"),
        ("checking for gcc... gcc", "checking for gcc... gcc"),
        ("gcc: error: x.c: No such file or directory", "gcc: error: x.c: No such file or directory"),
        ("   Compiling itoa v1.0.15", "   Compiling itoa v1.0.15"),
        ("", ""),
        ("x" * 500, None),
    ],
)
def test_long_commands_are_shortened_to_their_file(line: str, expected: str | None) -> None:
    if expected is None:
        assert shorten(line) == f"{line[: LONGEST - 3]}..."
    else:
        assert shorten(line) == expected
