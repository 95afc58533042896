"""Tests of pyproject.toml: every imported library is declared."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FACTORY = Path(__file__).parents[2] / "factory"

# Names without a distribution: this package, and a module of type checkers.
OWN = {"factory", "_typeshed"}


def imported_libraries(module: Path) -> set[str]:
    """List the top-level names that a module imports from other distributions."""
    nodes = list(ast.walk(ast.parse(module.read_text())))
    names = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {name.partition(".")[0] for name in names} - OWN - sys.stdlib_module_names


def declared_libraries() -> set[str]:
    """List the top-level names of the libraries that pyproject.toml requires.

    A library that is not installed for this Python counts by its distribution's name.
    """
    project = tomllib.loads((FACTORY.parent / "pyproject.toml").read_text())["project"]
    required = [
        *project["dependencies"],
        *(text for extra in project["optional-dependencies"].values() for text in extra),
    ]
    names = {canonicalize_name(Requirement(text).name) for text in required}
    installed = {
        name for name, owners in packages_distributions().items() if names & set(map(canonicalize_name, owners))
    }
    return installed | {name.partition("-")[0] for name in names} | {name.replace("-", "_") for name in names}


def test_imported_libraries_are_declared() -> None:
    declared = declared_libraries()
    undeclared = {path.name: imported_libraries(path) - declared for path in FACTORY.rglob("*.py")}
    assert not {name: libraries for name, libraries in undeclared.items() if libraries}
