"""Hints for known failures, by patterns in logs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from factory.errors import RecipeChange
from factory.util.debian_names import (
    FROM_INDEX,
    PROGRAMS,
    PYTHON_HEADERS,
    RUST,
    package_of_header,
    package_of_library,
    package_of_program,
)
from factory.util.full_disk import MESSAGES


@dataclass(frozen=True, slots=True)
class Hint:
    """A hint, and the changes of the recipe that it names."""

    text: str
    changes: tuple[RecipeChange, ...] = ()


# A pattern, and its hint: text with the pattern's groups as {0}, {1}, or a function of the groups.
Known = Sequence[tuple[str, str | Callable[..., Hint | str]]]
APT, REQUIRES, RUST_KEY = "build.apt", "build.requires", "build.rust"


def _apt(text: str, package: str | None, kind: str, name: str) -> Hint:
    return Hint(text, (RecipeChange(key=APT, value=package or "", kind=kind, name=name),))


def _requires(text: str, requirement: str) -> Hint:
    return Hint(text, (RecipeChange(key=REQUIRES, value=requirement),))


def _missing_program(name: str) -> Hint:
    if name in RUST:
        text = f"the build calls {name}, which no build requirement shows: set rust = true in [build]"
        return Hint(text, (RecipeChange(key=RUST_KEY, value="true"),))
    if name in FROM_INDEX:
        return _requires(f'the build calls {name}: add "{FROM_INDEX[name]}" to [build] requires', FROM_INDEX[name])
    package = package_of_program(name)
    history = f"; {_NO_HISTORY.text}" if name == "git" else ""
    if package is None:
        text = f"the build calls {name}: add the Debian package that has it to [build] apt"
    else:
        text = f'the build calls {name}: add "{package}" to [build] apt{history}'
    return _apt(text, package, "program", name)


def _missing_in_cmake(name: str) -> Hint:
    if package_of_program(name.lower()):
        return _missing_program(name.lower())
    return _apt(f"CMake misses {name}: add its -dev package to [build] apt, or switch it off", None, "cmake", name)


def _missing_library(name: str) -> Hint:
    package = package_of_library(name)
    text = f'the library {name} is missing: add "{package}" to [build] apt, or what Debian calls its -dev package'
    return _apt(text, package, "library", name)


def _missing_module(name: str) -> Hint:
    """Return the hint for a module of pkg-config."""
    hint = _missing_library(name)
    return _apt(hint.text, hint.changes[0].value, "pkg-config", name)


def _missing_header(name: str) -> Hint:
    top = name.split("/", maxsplit=1)[0]
    if name.endswith("intrin.h") or name in ("arm_neon.h", "cpuid.h"):
        return Hint(f"{name} is of another CPU: patch it out, or switch the code that needs it off")
    if top in PYTHON_HEADERS:
        required = PYTHON_HEADERS[top]
        return _requires(f'add "{required}" to [build] requires, whose headers have {name}', required)
    package = package_of_header(name)
    if package is None:
        text = f"add the Debian package that has {name} to [build] apt"
    else:
        text = f'add "{package}", which has {name}, to [build] apt'
    return _apt(text, package, "header", name)


def _has_recipe(name: str) -> Hint:
    text = f'{name} has a recipe here: add "{name}" to [build] requires, and it is built before'
    return _requires(text, name)


def _fetched(name: str) -> str:
    setting = f'[build.config-settings] "cmake.define.{_source_setting(name)}" = "{_part_folder(name)}"'
    return f"{_pinned(name)}, and hand it in with {setting}"


def _fetched_by_setup(name: str) -> str:
    return (
        f"{_pinned(name)}, and give setup.py's call of CMake -D{_source_setting(name)}={_part_folder(name)}: with "
        f"CMAKE_ARGS in [build.environment] if setup.py reads it, else with a patch"
    )


def _populated(name: str) -> str:
    return (
        f"{_pinned(name)}, and patch the call of FetchContent_Populate to take that folder: "
        f"{_source_setting(name)} has no effect where the call itself names the address"
    )


def _pinned(name: str) -> str:
    return (
        f"the build wanted to download {name}, and the network is off: pin its source in the recipe as "
        f'[source.parts."third_party/{name}"]'
    )


def _source_setting(name: str) -> str:
    return f"FETCHCONTENT_SOURCE_DIR_{name.upper()}"


def _part_folder(name: str) -> str:
    return f"/build/src/third_party/{name}"


_NO_HISTORY = Hint(
    "if it asks git for the version, which a source without history cannot tell, give the version in "
    "[build.environment] (SETUPTOOLS_SCM_PRETEND_VERSION for setuptools-scm), or patch the question out",
    (RecipeChange(key="build.environment.SETUPTOOLS_SCM_PRETEND_VERSION", value="{version}"),),
)
# Without --no-as-needed the linker drops a library that stands before the objects.
_LIBATOMIC = Hint(
    "link libatomic, which has the atomic operations that riscv64's instructions lack: -latomic after the objects, "
    'with [build.config-settings] "cmake.define.CMAKE_CXX_STANDARD_LIBRARIES" = "-latomic" under scikit-build-core, '
    "else with LDFLAGS in [build.environment], with LIBS or a patch of the build",
    (RecipeChange(key="build.environment.LDFLAGS", value="-Wl,--no-as-needed -latomic -Wl,--as-needed"),),
)
_NO_LIBC = Hint(
    'an extension needs no library, by which auditwheel tells the C library: set LDFLAGS = "-Wl,--no-as-needed" in '
    "[build.environment]",
    (RecipeChange(key="build.environment.LDFLAGS", value="-Wl,--no-as-needed"),),
)
_NO_PORT = (
    "the source doesn't know riscv64: look for the place that compares the machine's name, and patch it; generic C "
    "code or the branch of aarch64 often fits"
)
# Headers that Python had once. Debian's package with longintrepr.h is PyPy's.
_OLD_HEADERS = r"longintrepr\.h|pyarena\.h"


def _older_python(name: str) -> str:
    return (
        f"the source was written for the C API of an older Python ({name}): build a newer version of the package; C "
        "files with __Pyx_ come from an older Cython, and can be generated again from the .pyx files by a newer one"
    )


_KNOWN_PROGRAMS = "|".join(map(re.escape, sorted({*PROGRAMS, *FROM_INDEX, *RUST})))
# Lines that the factory itself adds to a failed command's output (see factory.util.process).
KILLED = r"^# (?:out of memory: |.* is out of memory$)"
# Resources that this machine lacks, whatever it builds.
LACKING: Known = (
    (MESSAGES.pattern,
     "the disk is full: make room, or set FACTORY_CACHE to a folder on another one"),
    (r"container reached its memory limit",
     "give it more with FACTORY_DOCKER_MEMORY, or let fewer compilers run, with --jobs"),
    (r"Killed signal terminated program|cc1(?:plus)?.*Killed|virtual memory exhausted|Killed \(program "
     r"|terminated with signal 9|signal: 9, SIGKILL|LLVM ERROR: out of memory|out of memory allocating \d"
     r"|rustc-LLVM ERROR: out of memory|(?:^|\s)ld: .*memory exhausted|: Cannot allocate memory$",
     "a compiler ran out of memory: let fewer run, with [build] memory-per-job or --jobs"),
    (KILLED,
     "the machine ran out of memory: let less run at once, with --jobs, --recipes or [build] memory-per-job"),
)  # fmt: skip
# Output of uv, pip, cargo and curl about unreachable servers, for commands with network.
UNREACHABLE: Known = (
    (r"Failed to fetch: |error sending request for url|Retry\(total=|spurious network error"
     r"|Could(?:n't| not) (?:resolve|connect)|Temporary failure in name resolution|Network is unreachable"
     r"|^(?:the installation|pip install) hangs: ",
     "a server can't be reached: check the network, the proxy variables, and the package index that pip and uv, or the "
     "registries that cargo is configured with; then run again"),
)  # fmt: skip
# CMake's FetchContent without network; a call by its own module is no call of the project.
_FETCH = r"(?:could not find git for clone of (\S+?)(?:-populate)?$|(?:CMake|Build) step for (\S+) failed)"
_POPULATE = r"^(?!.*FetchContent\.cmake:).* \(FetchContent_Populate\)$"
# For commands without network.
SEALED: Known = (
    (rf"{_FETCH}[\s\S]*?{_POPULATE}", _populated),
    (rf"{_FETCH}[\s\S]*?/setuptools/", _fetched_by_setup),
    (_FETCH, _fetched),
    (r"Failed to clone repository: '([^']+)'|fatal: unable to access '([^']+)': Could not resolve host",
     "the build wanted to clone {0}, and the network is off: pin that source in the recipe as [source.parts.FOLDER]"),
    (r"(?:CMake Error[^\n]*\n\s*)?error: downloading '([^']+)' failed",
     "the build wanted to download {0}, and the network is off: pin it in the recipe as [source.parts.FOLDER]"),
    (r"Temporary failure in name resolution|Could not resolve host|Network is unreachable|Name or service not known",
     "the build wanted the network, which is off: give it the file as a source or a patch that looks elsewhere"),
)  # fmt: skip
# Straight quotes, and those that GCC prints in a UTF-8 locale.
_QUOTE = "['\"`\u2018\u2019]?"
# The first pattern that matches wins; the most specific ones come first.
HINTS: Known = (
    (r"fatal error: Python\.h: No such file", "the root lacks Python's headers: report this, it should have them"),
    (rf"fatal error: '?({_OLD_HEADERS})'?(?:: No such file| file not found)", _older_python),
    (rf"error: (?:implicit declaration of|too (?:few|many) arguments to) function {_QUOTE}(_?Py\w+)", _older_python),
    (rf"error: {_QUOTE}_?Py\w+{_QUOTE}(?: \{{aka [^}}]*\}})? has no member named {_QUOTE}(\w+)", _older_python),
    (rf"error: {_QUOTE}(_?Py\w+){_QUOTE} undeclared|unknown type name {_QUOTE}(_?Py\w+)", _older_python),
    (r"fatal error: '?([\w./+-]+\.(?:h|hpp|hh|inc))'?(?:: No such file| file not found)", _missing_header),
    (r"cannot find -l([\w+.-]+)|unable to find library -l([\w+.-]+)", _missing_library),
    # Without a version it is the file of a -dev package, which a build loads to ask it something.
    (r"\blib([\w+-]+)\.so: cannot open shared object file", _missing_library),
    (r"Package '?([\w.+-]+)'?,? (?:required by .*)?(?:was )?not found", _missing_module),
    (r"fatal: not a git repository|fatal: No names found|LookupError: [\w-]+ was unable to detect version"
     r"|Versioning for this project requires either an sdist", lambda: _NO_HISTORY),
    (r"in _execute_child\n[\s\S]*FileNotFoundError: \[Errno 2\] No such file or directory: '([\w.+-]+)'",
     _missing_program),
    (rf"[Ee]rror: \[Errno 2\] No such file or directory: '({_KNOWN_PROGRAMS})'$", _missing_program),
    (r"Git program not found|Cannot find command 'git'|[Gg]it executable not found|Bad git executable",
     lambda: _missing_program("git")),
    (r"(?:^|: )([\w.+-]+): (?:command )?not found$", _missing_program),
    (rf"(?:^|\s|/)env: {_QUOTE}([\w.+-]+){_QUOTE}: No such file or directory", _missing_program),
    (r"make(?:\[\d+\])?: ([\w.+-]+): No such file or directory", _missing_program),
    (r"Program '([\w.+-]+)[^']*' not found", _missing_program),
    (r"can't find Rust compiler", lambda: _missing_program("cargo")),
    (r"No CMAKE_Fortran_COMPILER could be found|Unknown compiler\(s\): \[\['gfortran'",
     lambda: _missing_program("gfortran")),
    # The root has the compiler without the library that its programs load.
    (r"Executables created by fortran compiler \S+ are not runnable",
     lambda: _apt('Meson runs a program in Fortran: add "libgfortran5" to [build] apt', "libgfortran5", "library",
                  "gfortran")),
    (r"Could NOT find (\w+)", _missing_in_cmake),
    (r'Dependency "([\w.+-]+)" not found', _missing_module),
    (r"no matching package named `([^`]+)` found[\s\S]*offline mode",
     "the crate {0} was not fetched with the others: no Cargo.toml beside a Cargo.lock of the source asks for it"),
    (r"no matching package named `([^`]+)` found",
     "the registries that this machine's cargo is configured with have no crate {0}"),
    (r"failed to select a version for the requirement `([^`]+)`", "no version of the crate fits: {0}"),
    (r"checksum for `([^`]+)` changed|failed to verify the checksum of `([^`]+)`",
     "the registry's crate is not the one that Cargo.lock names: find out why before anything else"),
    (r"failed to (?:get|download) `([^`]+)`",
     "the crate {0} can't be fetched: check the network and the registries in this machine's cargo configuration"),
    (r"requires rustc [\d.]+|rustc [\d.]+ is not supported by",
     "a crate wants a newer Rust than Debian has: build an older version of the package"),
    # ring's build script looks the CPU up in a list, and panics.
    (r"failed to run custom build command for `(ring v0\.(?:\d|1[0-6])\.\d+)",
     "{0} doesn't know riscv64, 0.17 does: build a newer version of the package, or require ring 0.17, and what "
     "needs the older one in a version that needs this, in a patch of Cargo.toml and Cargo.lock"),
    (r"may not be used on the (?:stable|beta) release channel", "the source wants unstable Rust, which Debian has not"),
    (r"Wheels are required for `([\w.-]+)` because building from source is disabled",
     _has_recipe),
    (r"No solution found when resolving dependencies",
     "a build requirement has no version for this Python, or our own recipe builds another version than it asks for: "
     "add a recipe of that version with package.distribution, or replace it in [build.replaced-requires]"),
    (rf"unrecognized (?:command-line|command line) option {_QUOTE}(-m[\w=.+-]+)|error: {_QUOTE}"
     rf"(-m(?:arch|cpu|tune|abi)=[\w.+-]+){_QUOTE}: |unsupported option {_QUOTE}(-m[\w=.+-]+)",
     "{0} is for another CPU: take it out of the build's flags, by a setting or a patch"),
    (rf"unknown cpu {_QUOTE}([\w.+-]+){_QUOTE} for {_QUOTE}(-m\w+)"
     r"|unsupported argument '([\w.+-]+)' to option '(-m\w+)=?'",
     lambda value, option: f"{option}={value} is for another CPU: take it out of the build's flags, by a setting or a "
     "patch"),
    (r"ISA string must begin with",
     "a flag names another CPU: take -march=native or the like out of the build's flags, by a setting or a patch"),
    (r"undefined (?:reference to|symbol: ) ?[`'\u2018]?__atomic_\w+", lambda: _LIBATOMIC),
    (r"couldn't detect libc for python extension", lambda: _NO_LIBC),
    (r"Invalid configuration `riscv64[^\n]*not recognized|config\.guess: unable to (?:guess|identify)",
     "config.sub and config.guess are too old for riscv64: copy those of Debian's autotools-dev over them in a patch"),
    (r"error: unknown (?:architecture|target)|#error [^\n]*(?:[Aa]rchitecture|[Pp]latform|CPU|[Pp]rocessor|[Mm]achine)"
     r"|configure: error: [^\n]*(?:architecture|machine|riscv64)"
     r"|(?i:\b(?:unsupported|unknown|unrecogni[sz]ed|unexpected|invalid) [a-z][^\n]{0,60}\briscv64)"
     r"|(?i:\briscv64\b[^\n]{0,40} (?:is |are )?(?:not supported|unsupported|not recogni[sz]ed))"
     r"|KeyError: '(?:linux[-_])?riscv64'", _NO_PORT),
    (r"^MemoryError|std::bad_alloc",
     "a program asked for more memory than a command gets: see FACTORY_MEMORY, or let less run at once, with --jobs"),
    (r"Illegal instruction|SIGILL", "code beyond the baseline ran: look for -march in the build's command lines"),
    (r"^the build hangs: ",
     "if it waits for something that can't come, patch that out; if it only prints nothing, make it print"),
)  # fmt: skip


def is_machines_fault(log: str, *, network: bool = False) -> bool:
    """Report whether a log shows a failure of this machine, not of the package."""
    return any(_search(pattern, log) for pattern, _ in (*LACKING, *(UNREACHABLE if network else ())))


def hint_for(log: str, *, network: bool = False) -> str | None:
    """Return the text of the hint for the first known failure in a command's log, or None."""
    hint = find_hint(log, network=network)
    return None if hint is None else hint.text


def find_hint(log: str, *, network: bool = False) -> Hint | None:
    """Return the hint for the first known failure in a command's log, or None."""
    for pattern, known in (*LACKING, *(() if network else SEALED), *HINTS, *(UNREACHABLE if network else ())):
        if match := _search(pattern, log):
            groups = [group for group in match.groups() if group]
            hint = known(*groups) if callable(known) else known.format(*groups)
            return hint if isinstance(hint, Hint) else Hint(hint)
    return None


def _search(pattern: str, log: str) -> re.Match[str] | None:
    return re.search(pattern, log, re.MULTILINE)
