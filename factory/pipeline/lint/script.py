"""Scripts of checks: whether they call anything of the package."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from factory.model.recipe import MODULES_FOLDER, CheckOptions, Recipe
from factory.pipeline.lint.finding import Finding, RecipeText

# The standard library's ways to run a package that a script does not import by name.
LOADERS = frozenset({"import_module", "__import__", "CDLL", "find_spec", "run_module", "run_path"})
PROGRAMS = frozenset({"subprocess"})
ONLY_IMPORTS = "calls nothing of the package: an import alone runs none of its compiled code"


def check_script(text: RecipeText, others: Collection[str]) -> Iterator[Finding]:
    """Iterate over the mistakes of a recipe's check script.

    `others` are the projects of other recipes: calls of these are not calls of the package. A script that runs tests
    with `compiled_calls` is sound: that module requires calls when it runs.
    """
    check = text.recipe.check
    if check.script is None:
        message = "is missing: a wheel is published only after it was run; write smoke.py beside the recipe"
        yield text.finding(("check", "script"), message)
        return
    trees: dict[Path, ast.Module] = {}
    for file in (check.script, *check.modules):
        try:
            trees[file] = ast.parse(file.read_bytes(), str(file))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = error.lineno or 1 if isinstance(error, SyntaxError) else 1
            reason = error.args[0] if error.args else "too large"
            yield Finding(file=file, line=line, key="script", message=f"is not Python: {reason}")
            return
    foreign = _foreign(text.recipe, check, others)
    if not any(_Calls(foreign).of(tree) for tree in trees.values()):
        yield Finding(file=check.script, line=1, key="script", message=ONLY_IMPORTS)


def _foreign(recipe: Recipe, check: CheckOptions, others: Collection[str]) -> frozenset[str]:
    """Return the names of modules that are not the package's, as far as names tell."""
    required = (Requirement(each).name for each in check.requires)
    projects = {canonicalize_name(name) for name in (*others, *required)} - {canonicalize_name(recipe.project)}
    return frozenset(project.replace("-", "_") for project in projects) | {MODULES_FOLDER}


class _Calls:
    """Calls of a package in a module: of imported names, and of what these return."""

    def __init__(self, foreign: Collection[str]) -> None:
        self._foreign = foreign
        self._names: set[str] = set()

    def of(self, tree: ast.Module) -> bool:
        """Report whether the module calls the package, or runs programs."""
        nodes = list(ast.walk(tree))
        for node in nodes:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._names |= set(self._bound(node))
        while self._add_assigned(nodes):
            pass
        return any(isinstance(node, ast.Call) and self._is_package(node.func) for node in nodes)

    def _bound(self, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        """Iterate over the names that an import of the package, or of `subprocess`, binds."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                if self._counts(alias.name):
                    yield alias.asname or alias.name.partition(".")[0]
        elif node.level == 0 and self._counts(node.module or ""):
            yield from (alias.asname or alias.name for alias in node.names)

    def _counts(self, module: str) -> bool:
        top = module.partition(".")[0]
        return top in PROGRAMS or (top not in sys.stdlib_module_names and top not in self._foreign)

    def _add_assigned(self, nodes: Sequence[ast.AST]) -> bool:
        """Add variables that hold objects of the package; report whether there are new ones."""
        before = len(self._names)
        for node in nodes:
            if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if self._holds(node.value):
                    named = (each for target in targets for each in ast.walk(target))
                    self._names |= {each.id for each in named if isinstance(each, ast.Name)}
        return len(self._names) > before

    def _holds(self, value: ast.expr) -> bool:
        if isinstance(value, ast.Call):
            return self._is_package(value.func) or _last_name(value.func) in LOADERS
        if isinstance(value, (ast.Tuple, ast.List)):
            return any(map(self._holds, value.elts))
        return self._is_package(value)

    def _is_package(self, value: ast.expr) -> bool:
        """Report whether an expression is the package's, and no text like `__version__`."""
        while not isinstance(value, ast.Name):
            if isinstance(value, ast.Attribute) and not value.attr.startswith("__"):
                value = value.value
            elif isinstance(value, (ast.Call, ast.Subscript)):
                value = value.func if isinstance(value, ast.Call) else value.value
            else:
                return False
        return value.id in self._names


def _last_name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
