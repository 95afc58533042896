"""Names that Python statements bind, use, import and call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache


def first_name(node: ast.expr) -> str:
    """Return the first name of a dotted expression, empty if it is none."""
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""


def imported_modules(statement: ast.AST) -> Iterator[str]:
    """Yield the modules that a statement imports, also inside; empty for the tests' own."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "" if node.level else (node.module or "").partition(".")[0]


def bound_names(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement of a file binds there."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((each.asname or each.name).partition(".")[0] for each in node.names if each.name != "*")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name


@dataclass(frozen=True, slots=True)
class Facts:
    """Names that code takes from outside, modules that it imports, and what it calls."""

    used: frozenset[str]
    imported: frozenset[str]
    called: tuple[ast.expr, ...]


@cache
def facts_of(code: ast.AST) -> Facts:
    """Return the facts of a function or statement; each is asked for many times."""
    own: set[str] = set()
    loaded: set[str] = set()
    for node in ast.walk(code):
        if isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, ast.Name):
            (loaded if isinstance(node.ctx, ast.Load) else own).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            own.update((each.asname or each.name).partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            own.add(node.name)
    called = tuple(node.func for node in ast.walk(code) if isinstance(node, ast.Call))
    return Facts(frozenset(loaded - own), frozenset(imported_modules(code)), called)
