"""Excerpts of a project's own tests that run alone.

An excerpt is a function with all that it uses of its file.
"""

from __future__ import annotations

import ast
import builtins
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from factory.recipes.proposal.syntax import bound_names, facts_of, first_name, imported_modules

MAX_FILE_BYTES = 512 * 1024
MAX_FILES = 300
MAX_LINES, MAX_TOTAL_LINES, MAX_TESTS = 40, 150, 5
# Modules whose use makes a test slow, or its result depend on the machine or on files that a wheel has not.
BANNED = frozenset((
    "asyncio", "concurrent", "ctypes", "doctest", "faulthandler", "gc", "glob", "http", "importlib", "inspect",
    "multiprocessing", "pathlib", "pkgutil", "platform", "resource", "select", "shutil", "signal", "site", "socket",
    "ssl", "subprocess", "sysconfig", "tempfile", "test", "threading", "time", "timeit", "tracemalloc", "urllib",
    "warnings", "weakref",
))  # fmt: skip
# Names whose use needs files, a terminal or the network.
BANNED_NAMES = frozenset(("__file__", "open", "input", "breakpoint", "exec", "eval", "exit", "quit", "print"))
TEST_CASE = "TestCase"
# Names of tests of other systems and of implementations in Python.
_OTHER_CODE = re.compile(r"fallback|pure|pypy|win32|windows|macos|darwin|python|deprecat", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Tests with all that they use: lines of code, and what runs each, by its name.

    `relevant` of them use names that compiled sources declare.
    """

    file: str
    code: str
    calls: Mapping[str, str]
    relevant: int = 0

    @property
    def lines(self) -> int:
        """Number of lines of code."""
        return self.code.count("\n") + 1


def find_excerpts(
    root: Path, modules: Collection[str], installed: Collection[str] = (), compiled: Collection[str] = ()
) -> tuple[Excerpt, ...]:
    """Return excerpts of test files that call functions of `modules`, the best first.

    Files may import the modules, those `installed` with them, and the standard library's harmless ones. Tests that use
    names of `compiled` come first.
    """
    allowed = frozenset(modules), frozenset(installed), frozenset(compiled)
    found = (_excerpt_of(path, root, *allowed) for path in _test_files(root))
    suitable = [each for each in found if each is not None]
    return tuple(sorted(suitable, key=lambda each: (-each.relevant, -len(each.calls), each.lines, each.file)))


def _test_files(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name.lower() not in _FOREIGN)
        for name in sorted(names):
            path = Path(folder, name)
            if name.endswith(".py") and "test" in name.lower() and name != "conftest.py" and _is_small_file(path):
                found.append(path)
    return found[:MAX_FILES]


def _is_small_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_FILE_BYTES


_FOREIGN = ("third_party", "thirdparty", "3rdparty", "extern", "external", "vendor", "vendored", "deps", "subprojects")


def _excerpt_of(
    path: Path, root: Path, modules: frozenset[str], installed: frozenset[str], compiled: frozenset[str]
) -> Excerpt | None:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        file = _TestFile(tree=tree, modules=modules, installed=installed, compiled=compiled)
        return file.excerpt(path.relative_to(root).as_posix())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@dataclass(frozen=True)
class _TestFile:
    """A test file's syntax tree, with what it may import."""

    tree: ast.Module
    modules: frozenset[str]
    installed: frozenset[str]
    compiled: frozenset[str]

    def excerpt(self, file: str) -> Excerpt | None:
        """Return an excerpt of the shortest suitable tests, None if there is none."""
        chosen: list[_Test] = []
        for test in sorted(self._suitable(), key=lambda each: (not each.is_relevant, each.lines, each.name)):
            more = [*chosen, test]
            needed = self._needed(more)
            if needed is None or sum(_lines(each, more) for each in needed) > MAX_TOTAL_LINES:
                continue
            chosen.append(test)
            if len(chosen) == MAX_TESTS:
                break
        needed = self._needed(chosen) if chosen else None
        if not needed:
            return None
        code = [ast.unparse(self._trimmed(statement, chosen)) for statement in needed]
        relevant = sum(each.is_relevant for each in chosen)
        return Excerpt(file, _joined(code), {test.name: test.call for test in chosen}, relevant)

    def _is_relevant(self, test: _Test) -> bool:
        """Report whether a test or a helper calls something whose name compiled sources declare."""
        names = (each.attr if isinstance(each, ast.Attribute) else first_name(each) for each in self._called(test))
        return any(name in self.compiled for name in names)

    def _suitable(self) -> Iterator[_Test]:
        """Yield tests that assert something, need no fixture and call the package."""
        for statement in self.tree.body:
            if isinstance(statement, ast.FunctionDef) and _is_test(statement, parameters=0):
                found = [_Test(statement.name, statement, statement)]
            elif isinstance(statement, ast.ClassDef) and self._is_collected(statement):
                methods = (each for each in self._methods(statement) if _is_test(each, parameters=1))
                case = self._is_test_case(statement)
                found = [_Test(f"{statement.name}.{each.name}", each, statement, case) for each in methods]
            else:
                continue
            yield from (replace(each, is_relevant=self._is_relevant(each)) for each in found if self._fits(each))

    def _is_collected(self, statement: ast.ClassDef) -> bool:
        """Report whether pytest takes a class for one of tests."""
        return _is_plain(statement) and (statement.name.startswith("Test") or self._is_test_case(statement))

    def _is_test_case(self, statement: ast.ClassDef) -> bool:
        """Report whether a class or one of its bases in the file is a TestCase of unittest."""
        names = [first_name(base) for base in statement.bases]
        bases = (self._definitions.get(name) for name in names if name != statement.name)
        return any(name == "unittest" or name.endswith(TEST_CASE) for name in names) or any(
            isinstance(base, ast.ClassDef) and base is not statement and self._is_test_case(base) for base in bases
        )

    def _methods(self, statement: ast.ClassDef) -> Iterator[ast.FunctionDef]:
        """Yield the methods of a class and of its bases in the file."""
        yield from (each for each in statement.body if isinstance(each, ast.FunctionDef))
        for base in statement.bases:
            found = self._definitions.get(first_name(base))
            if isinstance(found, ast.ClassDef) and found is not statement:
                yield from self._methods(found)

    def _fits(self, test: _Test) -> bool:
        """Report whether a test or its helpers call the package, and need nothing else."""
        if _OTHER_CODE.search(test.name) or test.lines > MAX_LINES:
            return False
        # Attributes of a class of tests that are a class or function of the package.
        classes = [each for each in self._needed([test]) or () if isinstance(each, ast.ClassDef)]
        own = {target for each in classes for target in self._package_attributes(each)}
        return any(first_name(each) in self._of_package or ast.unparse(each) in own for each in self._called(test))

    def _called(self, test: _Test) -> list[ast.expr]:
        """Return the functions that a test and its helpers call, if the file has all it needs."""
        needed = self._needed([test]) or ()
        return [
            called for statement in needed for piece in _pieces(statement, [test]) for called in facts_of(piece).called
        ]

    def _package_attributes(self, statement: ast.ClassDef) -> Iterator[str]:
        """Yield `self.NAME` for each attribute of a class that is of the package."""
        for node in statement.body:
            if isinstance(node, ast.Assign) and first_name(node.value) in self._of_package:
                yield from (f"self.{target.id}" for target in node.targets if isinstance(target, ast.Name))

    @cached_property
    def _definitions(self) -> dict[str, ast.stmt]:
        """Statements of the file that bind a name; the last one counts."""
        return {name: statement for statement in self.tree.body for name in bound_names(statement)}

    @cached_property
    def _of_package(self) -> frozenset[str]:
        """Names that imports bind to the package's modules and what they have."""
        return frozenset(
            name
            for statement in self.tree.body
            if any(root in self.modules for root in imported_modules(statement))
            for name in bound_names(statement)
        )

    @cached_property
    def _stars(self) -> list[ast.stmt]:
        """Imports of all names of the package."""
        stars = [each for each in self.tree.body if isinstance(each, ast.ImportFrom) and each.names[0].name == "*"]
        return [each for each in stars if facts_of(each).imported <= self._importable]

    @cached_property
    def _importable(self) -> frozenset[str]:
        return self.modules | self.installed | (sys.stdlib_module_names - BANNED)

    def _needed(self, tests: list[_Test]) -> list[ast.stmt] | None:
        """Return the statements that tests need, in order; None if the file cannot give all."""
        needed = self._closure([test.statement for test in tests], tests)
        if needed is None:
            return None
        for statement in self._registered(needed):
            needed |= self._closure([statement], tests) or set()
        return [each for each in self.tree.body if each in needed]

    def _registered(self, needed: Collection[ast.stmt]) -> list[ast.stmt]:
        """Return functions that decorators register for what is needed: `@compiles(Clause)`."""
        names = {each.name for each in needed if isinstance(each, ast.ClassDef | ast.FunctionDef)}
        return [each for each, decorators in self._decorated.items() if each not in needed and names & decorators]

    @cached_property
    def _decorated(self) -> dict[ast.stmt, set[str]]:
        """Functions of the file that are no tests, with the names in their decorators."""
        functions = [each for each in self.tree.body if isinstance(each, ast.FunctionDef) and each.decorator_list]
        return {
            each: {name for decorator in each.decorator_list for name in facts_of(decorator).used}
            for each in functions
            if not _is_method_of_tests(each)
        }

    def _closure(self, pending: list[ast.stmt], tests: list[_Test]) -> set[ast.stmt] | None:
        """Return statements with all that they need; None if the file cannot give it."""
        needed: set[ast.stmt] = set()
        while pending:
            statement = pending.pop()
            if statement in needed:
                continue
            needed.add(statement)
            if not all(facts_of(piece).imported <= self._importable for piece in _pieces(statement, tests)):
                return None
            for name in _used(statement, tests):
                if name in BANNED_NAMES:
                    return None
                if name in self._definitions:
                    pending.append(self._definitions[name])
                elif not hasattr(builtins, name) and name != "__name__":
                    if not self._stars:
                        return None
                    pending.extend(self._stars)
        return needed

    def _trimmed(self, statement: ast.stmt, tests: list[_Test]) -> ast.stmt:
        """Return a class without the tests that are not chosen."""
        if not isinstance(statement, ast.ClassDef):
            return statement
        left_out = _left_out(statement, tests)
        body = [each for each in statement.body if each not in left_out]
        return ast.ClassDef(**{**dict(ast.iter_fields(statement)), "body": body or [ast.Pass()]})


@dataclass(frozen=True, slots=True)
class _Test:
    """A test: a function, and the statement of the file that it is or is in.

    `is_case` for one of unittest, `is_relevant` for one that uses names of compiled sources.
    """

    name: str
    function: ast.FunctionDef
    statement: ast.stmt
    is_case: bool = False
    is_relevant: bool = False

    @property
    def lines(self) -> int:
        return _length(self.function)

    @property
    def call(self) -> str:
        """Expression of the function that runs the test."""
        if isinstance(self.statement, ast.ClassDef):
            if self.is_case:
                return f'{self.statement.name}("{self.function.name}").debug'
            return f"{self.statement.name}().{self.function.name}"
        return self.name


def _left_out(statement: ast.stmt, tests: list[_Test]) -> list[ast.stmt]:
    """Return the tests of a class that are not chosen."""
    chosen = [test.function for test in tests]
    body = statement.body if isinstance(statement, ast.ClassDef) else []
    return [each for each in body if _is_method_of_tests(each) and each not in chosen]


def _is_plain(statement: ast.ClassDef | ast.FunctionDef) -> bool:
    """Report whether nothing but unittest, which may skip it, decorates a definition."""
    return all(first_name(each) == "unittest" for each in statement.decorator_list)


def _is_test(function: ast.FunctionDef, *, parameters: int) -> bool:
    arguments = function.args
    plain = len(arguments.args) == parameters and not (arguments.vararg or arguments.kwarg or arguments.kwonlyargs)
    if not function.name.startswith("test") or not _is_plain(function) or not plain:
        return False
    return any(isinstance(node, ast.Assert) or _is_assertion(node) for node in ast.walk(function))


def _is_assertion(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr.startswith("assert")
        and first_name(node.func) == "self"
    )


def _is_method_of_tests(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name.startswith("test")


def _length(statement: ast.stmt) -> int:
    return (statement.end_lineno or statement.lineno) - statement.lineno + 1


def _lines(statement: ast.stmt, tests: list[_Test]) -> int:
    """Return the number of lines of a statement without the tests that are not chosen, and what is between them."""
    if not isinstance(statement, ast.ClassDef):
        return _length(statement)
    left_out = _left_out(statement, tests)
    return 1 + sum(_length(each) for each in statement.body if each not in left_out)


def _pieces(statement: ast.stmt, tests: list[_Test]) -> list[ast.AST]:
    """Return a class's parts without tests that are not chosen, or another statement."""
    if not isinstance(statement, ast.ClassDef):
        return [statement]
    left_out = _left_out(statement, tests)
    head = [*statement.bases, *(each.value for each in statement.keywords), *statement.decorator_list]
    return [*head, *(each for each in statement.body if each not in left_out)]


def _used(statement: ast.stmt, tests: list[_Test]) -> set[str]:
    """Return the names that a statement takes from outside.

    A class's own names are its own, except in `x = x`.
    """
    own = (
        {name for each in statement.body for name in bound_names(each)}
        if isinstance(statement, ast.ClassDef)
        else set()
    )
    used: set[str] = set()
    for piece in _pieces(statement, tests):
        if isinstance(piece, ast.Assign | ast.AnnAssign) and own and piece.value is not None:
            used |= facts_of(piece.value).used
        else:
            used |= facts_of(piece).used - own
    return used


def _joined(statements: list[str]) -> str:
    """Join statements: imports and assignments line by line, others two lines apart."""
    text = ""
    for statement in statements:
        apart = statement.startswith(("def ", "class ", "@")) or (text and "\n    " in text.rpartition("\n\n\n")[2])
        text += ("\n\n\n" if apart else "\n") + statement if text else statement
    return text
