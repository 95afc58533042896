"""Native libraries that a source's build files ask for: CMake, Meson, setup.py."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Folders with other projects' build files, and with those of no wheel.
FOREIGN = frozenset((
    "third_party", "thirdparty", "3rdparty", "third-party", "extern", "external", "vendor", "vendored", "vendors",
    "deps", "subprojects", "submodules", "contrib", "node_modules", "test", "tests", "example", "examples", "doc",
    "docs", "benchmark", "benchmarks", "bench", "fuzz", "fuzzing",
))  # fmt: skip
MAX_DEPTH = 3
MAX_FILE_BYTES = 1024 * 1024
# Modules of CMake for what every build has: its compilers' parts and Python.
CMAKES_OWN = frozenset(
    ("python", "python2", "python3", "pythonlibs", "pythoninterp", "pythonextensions", "threads", "openmp")
)
# Words of a condition that tells systems apart: each branch counts.
_PLATFORM = re.compile(r"platform|os\.name|uname|\bwin|mac|darwin|linux|posix|msvc|nt\b", re.IGNORECASE)
_CMAKE = re.compile(
    r"\b(?P<open>if|endif)\s*\(|\b(?P<call>find_package|pkg_check_modules|pkg_search_module|find_library)\s*\("
    r"(?P<words>[^)]{0,2000})\)",
    re.IGNORECASE,
)
_MESON = re.compile(
    r"^[ \t]*(?P<open>if|endif)\b|\b(?P<call>dependency|find_library)\s*\(\s*'(?P<name>[^'\n]+)'(?P<rest>[^)]*)",
    re.MULTILINE,
)
_CALLS_PKG_CONFIG = re.compile(r"pkg-?config", re.IGNORECASE)
# Programs that tell a library's flags: pg_config, xml2-config.
_FLAGS_PROGRAM = re.compile(r"[a-z0-9]+[-_]config")
_WORD = re.compile(r"[A-Za-z0-9][\w.+-]*")


@dataclass(frozen=True, slots=True)
class AskedLibrary:
    """A library that a build file asks for, by a `kind` of Debian's index of files.

    It is `optional` if under a condition.
    """

    kind: str
    name: str
    file: str
    optional: bool = False


def asked_libraries(root: Path) -> tuple[AskedLibrary, ...]:
    """Return what the build files of a source ask for, each name of a kind once."""
    found: dict[tuple[str, str], AskedLibrary] = {}
    for path in sorted(_build_files(root)):
        text = path.read_text(encoding="utf-8", errors="replace")
        for asked in _read(path, text, path.relative_to(root).as_posix()):
            first = found.get((asked.kind, asked.name))
            if first is None or (first.optional and not asked.optional):
                found[asked.kind, asked.name] = asked
    return tuple(found.values())


def _build_files(root: Path) -> Iterator[Path]:
    """Yield the build files: CMake's and Meson's, and the Python files beside setup.py."""
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        depth = len(here.relative_to(root).parts)
        folders[:] = [each for each in folders if depth < MAX_DEPTH and each.lower() not in FOREIGN and each[0] != "."]
        for name in names:
            wanted = name in ("CMakeLists.txt", "meson.build") or (depth == 0 and name.endswith(".py"))
            path = here / name
            if wanted and path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_FILE_BYTES:
                yield path


def _read(path: Path, text: str, file: str) -> Iterable[AskedLibrary]:
    if path.name == "CMakeLists.txt":
        return _read_cmake(re.sub(r"#[^\n]*", "", text), file)
    if path.name == "meson.build":
        return _read_meson(re.sub(r"#[^\n]*", "", text), file)
    try:
        return list(_read_python(ast.parse(text), file))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _read_cmake(text: str, file: str) -> Iterator[AskedLibrary]:
    depth = 0
    for match in _CMAKE.finditer(text):
        if match["open"]:
            depth = max(0, depth + (1 if match["open"].lower() == "if" else -1))
            continue
        call, words = match["call"].lower(), match["words"].split()
        required = "REQUIRED" in words
        if call == "find_package":
            if words and words[0].lower() not in CMAKES_OWN and _WORD.fullmatch(words[0]):
                yield AskedLibrary("cmake", words[0], file, optional=bool(depth) or not required)
        elif call == "find_library":
            names = words[words.index("NAMES") + 1 :] if "NAMES" in words else words[1:2]
            if names and _WORD.fullmatch(names[0]):
                yield AskedLibrary("library", names[0], file, optional=bool(depth) or not required)
        else:
            modules = [word for word in words[1:] if not word.isupper() and word != "IMPORTED_TARGET"]
            for module in modules:
                name = re.split(r"[<>=]", module)[0]
                if _WORD.fullmatch(name):
                    yield AskedLibrary("pkg-config", name, file, optional=bool(depth) or not required)


def _read_meson(text: str, file: str) -> Iterator[AskedLibrary]:
    depth = 0
    for match in _MESON.finditer(text):
        if match["open"]:
            depth = max(0, depth + (1 if match["open"] == "if" else -1))
        elif match["name"].lower() not in CMAKES_OWN:
            kind = "pkg-config" if match["call"] == "dependency" else "library"
            optional = bool(depth) or re.search(r"required\s*:\s*(?!true)", match["rest"]) is not None
            yield AskedLibrary(kind, match["name"], file, optional=optional)


def _read_python(module: ast.Module, file: str) -> Iterator[AskedLibrary]:
    """Yield libraries in lists called `libraries`, and arguments of pkg-config's calls.

    Programs like pkg-config count too.
    """
    for node, optional in _with_conditions(module, optional=False):
        kind, names = _asked_by(node)
        tests = isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".exists", ".installed"))
        yield from (AskedLibrary(kind, name, file, optional or tests) for name in names if _WORD.fullmatch(name))


def _asked_by(node: ast.AST) -> tuple[str, list[str]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _FLAGS_PROGRAM.fullmatch(node.value):
        return "program", [node.value]
    if isinstance(node, ast.keyword) and node.arg == "libraries":
        return "library", _strings(node.value)
    if isinstance(node, ast.Assign) and any(map(_is_list_of_libraries, node.targets)):
        return "library", _strings(node.value)
    if isinstance(node, ast.Call) and _adds_library(node.func):
        return "library", [name for argument in node.args for name in _strings(argument)]
    if isinstance(node, ast.Call) and _CALLS_PKG_CONFIG.search(ast.unparse(node.func)):
        return "pkg-config", [name for argument in node.args[:1] for name in _strings(argument)]
    return "", []


def _with_conditions(node: ast.AST, *, optional: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Yield the nodes below one, with whether a condition decides about them.

    Conditions on the system alone do not count.
    """
    for child in ast.iter_child_nodes(node):
        conditional = optional
        if isinstance(node, ast.If | ast.IfExp) and child is not node.test:
            conditional = optional or not _PLATFORM.search(ast.unparse(node.test))
        yield child, conditional
        yield from _with_conditions(child, optional=conditional)


def _is_list_of_libraries(target: ast.expr) -> bool:
    name = target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else ""
    return name.lower() in ("libraries", "libs")


def _adds_library(function: ast.expr) -> bool:
    """Report whether a function is `libraries.append` or `.extend`."""
    return (
        isinstance(function, ast.Attribute)
        and function.attr in ("append", "extend")
        and _is_list_of_libraries(function.value)
    )


def _strings(value: ast.expr) -> list[str]:
    """Return the strings of a literal: one, or those of a list or tuple."""
    if isinstance(value, ast.Constant):
        return [value.value] if isinstance(value.value, str) else []
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return [name for element in value.elts for name in _strings(element)]
    return []
