"""The import rules of the design: commands -> bench -> pipeline, plan, publish -> stages -> model, errors."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FACTORY = Path(__file__).parent.parent / "factory"
STAGES = ("sources", "patches", "environments", "builders", "repair", "audit", "check", "store")
# What every module may use: values, errors and helpers that know nothing of stages.
GROUND = {"model", "errors", "process", "layout", "files", "serial", "hints", "package_index", "index_config"}
GROUND |= {"debian_mirror", "locks", "stopping", "process_tree", "tags", "elf_links", "linking", "gnu_patch"}
# Helpers that belong to one stage alone.
PARTS = {"audit": {"isa", "elf", "encodings", "audit_report", "wheel_file"}}

# What no distribution has to be there for: this package, and what type checkers alone know.
OWN = {"factory", "_typeshed"}


def imported(module: Path) -> set[str]:
    """The top names below `factory` that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "factory":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("factory.")}
    return found


def modules(name: str) -> list[Path]:
    folder = FACTORY / name
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [FACTORY / f"{name}.py"]


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


def test_every_library_that_is_imported_is_declared() -> None:
    declared = declared_libraries()
    undeclared = {path.name: imported_libraries(path) - declared for path in FACTORY.rglob("*.py")}
    assert not {name: libraries for name, libraries in undeclared.items() if libraries}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_no_other_stage(stage: str) -> None:
    allowed = GROUND | {stage} | PARTS.get(stage, set())
    for module in modules(stage):
        assert imported(module) <= allowed, f"{module.name} imports {imported(module) - allowed}"


def test_only_the_user_interface_imports_rich() -> None:
    users = [
        path.name
        for path in FACTORY.rglob("*.py")
        if "import rich" in path.read_text() or "from rich" in path.read_text()
    ]
    assert users == ["ui.py"]


def test_only_one_module_starts_subprocesses() -> None:
    users = [path.name for path in FACTORY.rglob("*.py") if "import subprocess" in path.read_text()]
    assert users == ["process.py"]


def test_publishing_reads_no_stage() -> None:
    for module in modules("publish"):
        assert imported(module) <= GROUND | {"publish"}


def test_the_site_reads_the_ledger_alone() -> None:
    for module in modules("site"):
        assert imported(module) <= GROUND | {"publish", "site", "board"}


def test_nothing_but_commands_imports_commands() -> None:
    others = [path for path in FACTORY.rglob("*.py") if "commands" not in path.parts and path.name != "cli.py"]
    assert not [path for path in others if "commands" in imported(path)]


def test_nothing_but_commands_imports_benchmarks() -> None:
    others = [
        path for path in FACTORY.rglob("*.py") if {"commands", "bench"}.isdisjoint(path.relative_to(FACTORY).parts)
    ]
    assert not [path for path in others if "bench" in imported(path)]


def test_only_one_module_draws() -> None:
    users = [path.name for path in FACTORY.rglob("*.py") if re.search("(import|from) matplotlib", path.read_text())]
    assert users == ["plots.py"]
