"""Every library that the factory imports is declared in pyproject.toml."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FACTORY = Path(__file__).parents[2] / "factory"

# Names of no distribution: this package, and modules known to type checkers alone.
OWN = {"factory", "_typeshed"}


def imported_libraries(module: Path) -> set[str]:
    """The top names that a module imports from other distributions."""
    nodes = list(ast.walk(ast.parse(module.read_text())))
    names = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {name.partition(".")[0] for name in names} - OWN - sys.stdlib_module_names


def declared_libraries() -> set[str]:
    """The top names of what pyproject.toml requires; of what this Python needs not have, those of its distribution."""
    project = tomllib.loads((FACTORY.parent / "pyproject.toml").read_text())["project"]
    required = [
        *project["dependencies"],
        *(text for extra in project["optional-dependencies"].values() for text in extra),
    ]
    names = {canonicalize_name(Requirement(text).name) for text in required}
    installed = {
        name for name, owners in packages_distributions().items() if names & set(map(canonicalize_name, owners))
    }
    return installed | {name.partition("-")[0] for name in names}


def test_imported_libraries_are_declared() -> None:
    declared = declared_libraries()
    undeclared = {path.name: imported_libraries(path) - declared for path in FACTORY.rglob("*.py")}
    assert not {name: libraries for name, libraries in undeclared.items() if libraries}
