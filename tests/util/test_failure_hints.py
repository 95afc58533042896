"""Hints for known failures, and faults of the machine."""

from __future__ import annotations

import pytest

from factory.errors import RecipeChange
from factory.util.debian_names import package_of_header, package_of_library, package_of_program
from factory.util.failure_hints import find_hint, hint_for, is_machines_fault

CHILD = '  File "subprocess.py", line 1972, in _execute_child\n    raise child_exception_type(errno_num)\n'


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("src/x.c:3:10: fatal error: openssl/ssl.h: No such file or directory", "libssl-dev"),
        ("/opt/native/bin/ld: cannot find -lopenblas: No such file", "libopenblas-dev"),
        ("gcc: error: unrecognized command-line option '-mavx2'", "-mavx2"),
        ('meson.build:9:1: ERROR: Dependency "lapack" not found, tried pkgconfig', "lapack"),
        ("cc: fatal error: Killed signal terminated program cc1plus", "ran out of memory"),
        ("error: no matching package named `itoa` found\nnote: offline mode (via `--offline`)", "itoa was not fetched"),
        ("  no matching package named `itao` found", "have no crate itao"),
        ("  failed to select a version for the requirement `itoa = '9'`", "no version of the crate fits: itoa = '9'"),
        ("  checksum for `itoa v1.0.15` changed between lock files", "not the one that Cargo.lock names"),
        ("  failed to get `itoa` as a dependency of package", "crate itoa can't be fetched"),
        ("  a@1.0 requires rustc 1.99", "newer Rust than Debian has"),
        ("error[E0554]: `#![feature]` may not be used on the stable release channel", "unstable Rust"),
        ("curl: (6) Could not resolve host: example.org", "the network, which is off"),
    ],
)
def test_known_failures_get_a_hint(log: str, expected: str) -> None:
    assert expected in (hint_for(f"lines before\n{log}\nlines after") or "")


def test_requirement_with_a_recipe_is_to_be_built_before() -> None:
    log = (
        "hint: Wheels are required for `numpy` because building from source is disabled for `numpy` (i.e., with "
        "`--no-build-package numpy`)"
    )
    hint = find_hint(f"error: No solution found when resolving dependencies\n{log}")
    assert hint is not None
    assert 'add "numpy" to [build] requires' in hint.text
    assert hint.changes == (RecipeChange(key="build.requires", value="numpy"),)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("src/cchardet/_cchardet.cpp:196:12: fatal error: longintrepr.h: No such file or directory", "longintrepr.h"),
        (
            "_frozenlist.c:7582:53: error: \u2018PyLongObject\u2019 {aka \u2018struct _longobject\u2019} has no member "
            "named \u2018ob_digit\u2019",
            "ob_digit",
        ),
        (
            "frozenlist/_frozenlist.c:7723:27: error: too few arguments to function \u2018_PyLong_AsByteArray\u2019",
            "_PyLong_AsByteArray",
        ),
        (
            "yarl/_quoting_c.c:2:1: error: implicit declaration of function \u2018_PyUnicode_Ready\u2019; did you mean "
            "\u2018PyUnicode_READY\u2019? [-Wimplicit-function-declaration]",
            "_PyUnicode_Ready",
        ),
        ("a.c:1:2: error: 'PyUnicode_WCHAR_KIND' undeclared (first use in this function)", "PyUnicode_WCHAR_KIND"),
    ],
)
def test_source_for_an_older_python_gets_its_hint(line: str, name: str) -> None:
    assert f"the C API of an older Python ({name})" in (hint_for(line) or "")


RING = """   Compiling ring v0.16.20
error: failed to run custom build command for `{crate}`

Caused by:
  process didn't exit successfully: `/build/src/target/release/build/ring-d7bce7/build-script-build` (exit status: 101)
  --- stderr

  thread 'main' (391) panicked at /build/crates/{crate}/build.rs:358:10:
  called `Option::unwrap()` on a `None` value
"""


@pytest.mark.parametrize(("crate", "known"), [("ring v0.16.20", True), ("ring v0.9.1", True), ("ring v0.17.14", False)])
def test_old_ring_asks_for_a_version_that_knows_riscv64(crate: str, known: bool) -> None:
    """The log is that of a build with ring 0.16.20: it names neither CPU nor machine."""
    hint = hint_for(RING.format(crate=crate)) or ""
    assert (f"{crate} doesn't know riscv64, 0.17 does" in hint) == known


def test_hint_tells_silent_server_from_sealed_build() -> None:
    log = "  cause: dns error\n  cause: Temporary failure in name resolution"
    assert "the network, which is off" in (hint_for(log) or "")
    assert "a server can't be reached: check the network" in (hint_for(log, network=True) or "")


@pytest.mark.parametrize(
    "line",
    [
        "error: expected ';' before '}' token",
        "FileNotFoundError: [Errno 2] No such file or directory: 'data.txt'",
        "riscv64-unknown-linux-gnu-gcc: error: expected expression",
        "copying build/lib.linux-riscv64-cpython-314/unsupported.py",
    ],
)
def test_unknown_failures_get_none(line: str) -> None:
    assert hint_for(line) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"{CHILD}FileNotFoundError: [Errno 2] No such file or directory: 'git'", 'add "git" to [build] apt'),
        (f"{CHILD}FileNotFoundError: [Errno 2] No such file or directory: 'cargo'", "rust = true in [build]"),
        (f"{CHILD}FileNotFoundError: [Errno 2] No such file or directory: 'cmake'", 'add "cmake" to [build] requires'),
        (f"{CHILD}FileNotFoundError: [Errno 2] No such file or directory: 'pg_config'", '"libpq-dev" to [build] apt'),
        (
            f"{CHILD}FileNotFoundError: [Errno 2] No such file or directory: 'frob'",
            "calls frob: add the Debian package",
        ),
        ("/bin/sh: 1: swig: not found", '"swig"'),
        ("bash: line 1: bison: command not found", '"bison"'),
        ("/usr/bin/env: 'perl': No such file or directory", '"perl"'),
        ("make[1]: nasm: No such file or directory", '"nasm"'),
        ("meson.build:3:0: ERROR: Program 'flex' not found or not executable", '"flex"'),
        ("error: can't find Rust compiler", "rust = true"),
        ("meson.build:91:2: ERROR: Executables created by fortran compiler gfortran are not runnable.", "libgfortran5"),
        ("fatal: not a git repository (or any of the parent directories): .git", "SETUPTOOLS_SCM_PRETEND_VERSION"),
        ("ld: cannot find -lyajl: No such file or directory", '"libyajl-dev"'),
        ("ld.lld: error: unable to find library -lz", '"zlib1g-dev"'),
        ("error: libhdf5.so: cannot open shared object file: No such file or directory", '"libhdf5-dev"'),
        ("Package 'libffi', required by 'virtual:world', not found", '"libffi-dev"'),
        ("x.c:1:10: fatal error: 'zlib.h' file not found", '"zlib1g-dev"'),
        ("x.c:1:10: fatal error: boost/any.hpp: No such file or directory", '"libboost-all-dev"'),
        ("x.c:1:10: fatal error: pybind11/pybind11.h: No such file", 'add "pybind11" to [build] requires'),
        ("x.c:1:10: fatal error: immintrin.h: No such file", "of another CPU"),
        ("x.c:1:10: fatal error: arm_neon.h: No such file", "of another CPU"),
        ("gcc: error: \u2018-march=native\u2019: ISA string must begin with rv32 or rv64", "-march=native is for"),
        ("gcc: error: unrecognized command-line option \u2018-msse2\u2019", "-msse2 is for another CPU: take it out"),
        ("cc1: error: unknown cpu \u2018skylake\u2019 for \u2018-mtune\u2019", "-mtune=skylake is for another CPU"),
        ("clang: error: unsupported argument 'native' to option '-march='", "-march=native is for another CPU"),
        ("clang: error: unsupported option '-mavx2' for target 'riscv64'", "-mavx2 is for another CPU"),
        ("configure: error: unsupported architecture riscv64", "doesn't know riscv64"),
        ("  error: could not find git for clone of fmt-populate", '"cmake.define.FETCHCONTENT_SOURCE_DIR_FMT" = "/'),
        ("  CMake step for fmt failed: 1", "the network is off"),
        ("error: downloading 'https://example.com/x.zip' failed", "wanted to download https://example.com/x.zip"),
        ("cc1: error: ISA string must begin with rv32 or rv64", "take -march=native or"),
        ("/usr/bin/ld: a.cpp:(.text+0x2): undefined reference to `__atomic_load_16'", "-latomic after the objects"),
        ("ld.lld: error: undefined symbol: __atomic_compare_exchange_16", "-latomic after the objects"),
        ("ImportError: /x/a.so: undefined symbol: __atomic_fetch_add_8", "-latomic after the objects"),
        ("error: [Errno 2] No such file or directory: 'git'", 'add "git" to [build] apt'),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'git'", "SETUPTOOLS_SCM_PRETEND_VERSION"),
        ("meson.build:3:0: ERROR: Git program not found.", 'add "git" to [build] apt'),
        ("-- Could NOT find Git (missing: GIT_EXECUTABLE)", 'add "git" to [build] apt'),
        ("-- Could NOT find SWIG (missing: SWIG_EXECUTABLE SWIG_DIR)", 'add "swig" to [build] apt'),
        ("-- Could NOT find OpenMP_C (missing: OpenMP_C_FLAGS)", "CMake misses OpenMP_C"),
        ("LookupError: vcs-versioning was unable to detect version for /build/src.", "without history"),
        ("Exception: Versioning for this project requires either an sdist tarball, or", "without history"),
        ("fatal: unable to access 'https://h.example/fmt.git/': Could not resolve host: h.example", "clone https://h."),
        ("  Build step for fmt failed: 2", "FETCHCONTENT_SOURCE_DIR_FMT"),
        ("RuntimeError: Unsupported machine: riscv64", "doesn't know riscv64"),
        ("  Unsupported architecture: riscv64", "doesn't know riscv64"),
        ("meson.build:33:4: ERROR: Problem encountered: Unknown CPU family riscv64", "doesn't know riscv64"),
        ("OSError: linux-riscv64 is not supported yet", "doesn't know riscv64"),
        ("KeyError: 'riscv64'", "doesn't know riscv64"),
        ('src/cpu.h:21:2: error: #error "Unsupported CPU"', "doesn't know riscv64"),
        (
            "Invalid configuration `riscv64-unknown-linux-gnu': machine `riscv64-unknown' not recognized",
            "autotools-dev",
        ),
        ("config.guess: unable to guess system type", "autotools-dev"),
        ("the build hangs: nothing printed for 4 h", "waits for something"),
    ],
)
def test_hint_names_what_to_change(line: str, expected: str) -> None:
    log = f"lines before\n{line}\nlines after"
    assert expected in (hint_for(log) or "")
    assert not is_machines_fault(log)


STACK = """  error: could not find git for clone of abseil-cpp-populate
Call Stack (most recent call first):
  CMakeLists.txt:29 (ExternalProject_Add)

CMake Error at /v/cmake/data/share/cmake-4.4/Modules/FetchContent.cmake:1921 (message):
  CMake step for abseil-cpp failed: 1
Call Stack (most recent call first):
  /v/cmake/data/share/cmake-4.4/Modules/FetchContent.cmake:2012 (__FetchContent_doPopulation)
  {caller}

Traceback (most recent call last):
  File "{backend}", line 438, in build_wheel
"""
SETUPTOOLS = "/build/venv/lib/python3.14/site-packages/setuptools/build_meta.py"
SCIKIT = "/build/venv/lib/python3.14/site-packages/scikit_build_core/build/__init__.py"
OLD_CMAKE = "/v/cmake-3.28/Modules/FetchContent.cmake:1918:EVAL:1 (FetchContent_Populate)\n  CMakeLists.txt:9 (F)"


@pytest.mark.parametrize(
    ("caller", "backend", "expected"),
    [
        ("CMakeLists.txt:190 (FetchContent_Populate)", SETUPTOOLS, "patch the call of FetchContent_Populate"),
        ("CMakeLists.txt:190 (FetchContent_Populate)", SCIKIT, "patch the call of FetchContent_Populate"),
        ("CMakeLists.txt:5 (FetchContent_MakeAvailable)", SETUPTOOLS, "CMAKE_ARGS in [build.environment]"),
        ("CMakeLists.txt:5 (FetchContent_MakeAvailable)", SCIKIT, "cmake.define.FETCHCONTENT_SOURCE_DIR_ABSEIL-CPP"),
        (OLD_CMAKE, SCIKIT, "cmake.define.FETCHCONTENT_SOURCE_DIR_ABSEIL-CPP"),
    ],
)
def test_hint_on_fetchcontent_names_what_its_caller_obeys(caller: str, backend: str, expected: str) -> None:
    """As sentencepiece 0.2.2: setup.py calls CMake, and a call names an address."""
    hint = hint_for(STACK.format(caller=caller, backend=backend)) or ""
    assert expected in hint
    assert '[source.parts."third_party/abseil-cpp"]' in hint
    assert ("cmake.define" in hint) == ("cmake.define" in expected)


@pytest.mark.parametrize(
    "line",
    [
        "c++: fatal error: Killed signal terminated program cc1plus",
        "g++: internal compiler error: Killed (program cc1plus)",
        "collect2: fatal error: ld terminated with signal 9 [Killed]",
        "  process didn't exit successfully: `rustc` (signal: 9, SIGKILL: kill)",
        "cc1plus: out of memory allocating 65536 bytes after a total of 1 bytes",
        "LLVM ERROR: out of memory",
        "# out of memory: the kernel ended a program while python ran",
        "# python was killed, as the kernel does when a machine is out of memory",
        "/usr/bin/ld: final link failed: No space left on device",
        "OSError: [Errno 122] Disk quota exceeded",
    ],
)
def test_lack_of_memory_and_disk_is_the_machines_fault(line: str) -> None:
    log = f"lines before\n{line}\nlines after"
    assert is_machines_fault(log)
    assert hint_for(log)


def test_hanging_installation_is_the_networks_fault() -> None:
    log = "Resolved 3 packages\nthe installation hangs: nothing printed for 60 min"
    assert is_machines_fault(log, network=True)
    assert not is_machines_fault(log)


@pytest.mark.parametrize("text", ["MemoryError: out of memory", "test_out_of_memory PASSED", "Killed 3 bugs"])
def test_words_of_the_package_are_no_fault_of_the_machine(text: str) -> None:
    assert not is_machines_fault(text)


def test_debian_names_of_each_kind() -> None:
    assert package_of_library("ssl") == package_of_header("openssl/ssl.h") == "libssl-dev"
    assert package_of_library("libzmq") == "libzmq3-dev"
    assert package_of_library("foo_bar") == "libfoo-bar-dev"
    assert package_of_header("nothing.h") is None
    assert package_of_program("msgfmt") == "gettext"
    assert package_of_program("frob") is None


@pytest.mark.parametrize(
    ("line", "change"),
    [
        (
            "x.c:3:10: fatal error: openssl/ssl.h: No such file or directory",
            RecipeChange(key="build.apt", value="libssl-dev", kind="header", name="openssl/ssl.h"),
        ),
        (
            "x.c:3:10: fatal error: strange.h: No such file",
            RecipeChange(key="build.apt", value="", kind="header", name="strange.h"),
        ),
        (
            "ld: cannot find -lz: No such file",
            RecipeChange(key="build.apt", value="zlib1g-dev", kind="library", name="z"),
        ),
        (
            "Package 'libffi' not found",
            RecipeChange(key="build.apt", value="libffi-dev", kind="pkg-config", name="libffi"),
        ),
        ("-- Could NOT find GEOS (missing: X)", RecipeChange(key="build.apt", value="", kind="cmake", name="GEOS")),
        ("/bin/sh: 1: swig: not found", RecipeChange(key="build.apt", value="swig", kind="program", name="swig")),
        ("error: can't find Rust compiler", RecipeChange(key="build.rust", value="true")),
        (
            "auditwheel.error.InvalidLibcError: couldn't detect libc for python extension tornado/speedups.abi3.so",
            RecipeChange(key="build.environment.LDFLAGS", value="-Wl,--no-as-needed"),
        ),
        ("/bin/sh: 1: cmake: not found", RecipeChange(key="build.requires", value="cmake")),
        (
            "fatal: not a git repository",
            RecipeChange(key="build.environment.SETUPTOOLS_SCM_PRETEND_VERSION", value="{version}"),
        ),
    ],
)
def test_hint_has_the_change_that_it_names(line: str, change: RecipeChange) -> None:
    hint = find_hint(line)
    assert hint is not None
    assert hint.changes == (change,)


@pytest.mark.parametrize("line", ["gcc: error: unrecognized command-line option '-mavx2'", "KeyError: 'riscv64'"])
def test_hint_for_a_patch_has_no_change(line: str) -> None:
    hint = find_hint(line)
    assert hint is not None
    assert hint.changes == ()
