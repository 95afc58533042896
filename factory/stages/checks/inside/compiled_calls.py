"""Run tests in a check, and require that each calls compiled code of the package.

For scripts of checks, beside which this file is: `from compiled_calls import run_tests`. Calls are seen by
`sys.monitoring`; operators and attributes of compiled types are not.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import files, version
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, ModuleType
from typing import Any

Test = Callable[[], object]
# For one test of a survey, under QEMU, and for all.
SURVEY_SECONDS, ALL_SECONDS = 60, 600
# Good tests of an excerpt.
ENOUGH = 3


def run_tests(project: str, tests: Mapping[str, Test]) -> None:
    """Run tests by their names, and write the check's result.

    The script ends with a line that names the tests that failed, and those that called no compiled code.
    """
    failed, idle, called = [], [], set()
    for name, test in tests.items():
        print(f"# {name}", flush=True)
        try:
            seen = _callables_of(test)
        except BaseException:
            traceback.print_exc()
            failed.append(name)
            continue
        compiled = _compiled(project, seen)
        if not compiled:
            idle.append(name)
        called |= compiled
    words = [f"tests failed: {', '.join(failed)}"] if failed else []
    words += [f"tests without compiled code: {', '.join(idle)}"] if idle else []
    if words or not tests:
        print("; ".join(words) or "no tests", file=sys.stderr, flush=True)
        os._exit(1)  # what objects print at the end would hide it
    _report(
        f"{project} {version(project)}: tests passed: {len(tests)}; they called {', '.join(sorted(called)[:6])}", {}
    )


def survey(project: str, modules: Collection[str], excerpts: Sequence[tuple[str, Mapping[str, str]]]) -> None:
    """Report which tests of excerpts pass and call compiled code.

    `good` has their names, for each excerpt.

    An excerpt is its code and, by the names of tests, expressions of functions. Each test runs in a process of its own.
    Excerpts after one with enough good tests are not tried, nor those after ALL_SECONDS.
    """
    end = time.monotonic() + ALL_SECONDS
    for module in modules:  # once for all processes
        with suppress(Exception):
            import_module(module)
    good: list[list[str]] = []
    for code, calls in excerpts:
        if any(len(names) >= ENOUGH for names in good) or time.monotonic() > end:
            good.append([])
            continue
        _import(code)
        good.append([name for name in calls if _is_good(project, code, calls[name])])
    _report(f"tests that call compiled code: {sum(map(len, good))}", {"good": good})


def _import(code: str) -> None:
    """Import the modules that code imports, once for all processes: under QEMU this may take a minute."""
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            with suppress(Exception):
                exec(ast.unparse(statement), {})


def _is_good(project: str, code: str, call: str) -> bool:
    print(f"# {call}", flush=True)
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    signal.alarm(SURVEY_SECONDS)
    try:
        names: dict[str, Any] = {"__name__": "excerpt"}
        exec(code, names)
        good = bool(_compiled(project, _callables_of(eval(call, names))))
    except BaseException as error:
        print(f"#   {error!r}", flush=True)
        good = False
    os._exit(0 if good else 1)


def _report(shown: str, facts: Mapping[str, object]) -> None:
    result = {"shown": shown, "facts": facts, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")


def _callables_of(test: Test) -> list[Any]:
    """Run a test and return all that it called, each once."""
    seen: dict[int, object] = {}
    monitoring: Any = getattr(sys, "monitoring")  # noqa: B009 - of Python 3.12

    def note(_code: object, _offset: int, called: object, _first: object) -> None:
        seen.setdefault(id(called), called)

    tool, event = monitoring.PROFILER_ID, monitoring.events.CALL
    monitoring.use_tool_id(tool, "compiled calls")
    monitoring.register_callback(tool, event, note)
    monitoring.set_events(tool, event)
    try:
        test()
    finally:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)
    return list(seen.values())


def _compiled(project: str, called: Collection[Any]) -> set[str]:
    """Return the names of what is defined in the project's libraries."""
    libraries = {str(file.locate()) for file in files(project) or () if ".so" in file.suffixes}
    modules = [each for each in list(sys.modules.values()) if getattr(each, "__file__", None) in libraries]
    loaded = any(library in Path("/proc/self/maps").read_text() for library in libraries)
    known = _Known(modules)
    return {_name(each) for each in called if known.has(each) or (loaded and _is_foreign(each))}


class _Known:
    """Functions and types that compiled modules define."""

    def __init__(self, modules: Collection[ModuleType]) -> None:
        self.packages = {each.__name__.partition(".")[0] for each in modules}
        self.names = {each.__name__ for each in modules} | {f"{each.__name__}.lib" for each in modules}
        own = [value for module in modules for value in vars(module).values() if self._is_own(value)]
        self.types = {id(each) for each in own if isinstance(each, type)}
        self.functions = {id(each) for each in own if not isinstance(each, type)}
        self.functions |= {id(value) for each in own if isinstance(each, type) for value in vars(each).values()}

    def has(self, called: Any) -> bool:
        """Report whether a function is compiled, or belongs to a compiled type or its object."""
        kind = type(called)
        if id(called) in self.functions or self._is_derived(kind):
            return True
        if issubclass(kind, type):
            return self._is_derived(called)
        if kind is BuiltinFunctionType:
            return called.__module__ in self.names or self._is_derived(type(called.__self__))
        return kind is MethodDescriptorType and _package(called.__objclass__) in self.packages

    def _is_derived(self, kind: type) -> bool:
        return kind is not type and any(id(base) in self.types for base in kind.__mro__)

    def _is_own(self, value: object) -> bool:
        """Report whether a module's value is compiled and from nowhere else.

        Types may name no module or any.

        Exceptions run none of the package's code.
        """
        if not callable(value) or "__firstlineno__" in getattr(value, "__dict__", ()):
            return False
        if isinstance(value, type) and issubclass(value, BaseException):
            return False
        package, name = _package(value), getattr(value, "__name__", "")
        defined = getattr(sys.modules.get(str(getattr(value, "__module__", None))), name, None) is value
        is_python = isinstance(getattr(value, "__wrapped__", value), FunctionType)
        return not is_python and (package in self.packages or not defined)


def _package(value: object) -> str:
    return str(getattr(value, "__module__", None)).partition(".")[0]


def _name(called: Any) -> str:
    for named in (called, type(called)):
        with suppress(Exception):  # of objects that pretend to be others
            if isinstance(named.__qualname__, str):
                return named.__qualname__
    return ""


def _is_foreign(value: object) -> bool:
    """Report whether a function of a library is called by ctypes or cffi."""
    kinds = type(value).__mro__
    return any(kind.__module__ in ("_ctypes", "_cffi_backend") and kind.__name__ in _FOREIGN for kind in kinds)


_FOREIGN = ("CFuncPtr", "_CDataBase", "CField")
