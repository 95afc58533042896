"""Imports between tests: only `tests.support` is shared."""

from __future__ import annotations

import re
from importlib import import_module

from tests.support.checkouts import ROOT

# Tests also start scripts, given as text, that import helpers; so lines are searched, not syntax trees.
IMPORT = re.compile(r"^\s*(?:from|import) tests\.(?!support\b)[\w.]+", re.MULTILINE)
FACTORY_IMPORT = re.compile(r"^\s*from (factory[\w.]*) import (\w+(?:, \w+)*)$", re.MULTILINE)


def test_modules_import_no_test_and_no_conftest() -> None:
    found = {path: IMPORT.findall(path.read_text()) for path in sorted((ROOT / "tests").rglob("*.py"))}
    assert {str(path.relative_to(ROOT)): lines for path, lines in found.items() if lines} == {}


def test_import_pattern_finds_tests_and_conftests() -> None:
    text = "from tests.support.logs import MemoryLog\nfrom tests.conftest import x\n    import tests.site.test_pages\n"
    assert IMPORT.findall(text) == ["from tests.conftest", "    import tests.site.test_pages"]


def test_names_imported_by_tests_and_their_scripts_exist() -> None:
    """Check scripts that tests start as text, too: mypy does not read them."""
    found = [
        (path.relative_to(ROOT), module, name)
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for module, names in FACTORY_IMPORT.findall(path.read_text())
        for name in names.split(", ")
    ]
    missing = [f"{path}: from {module} import {name}" for path, module, name in found if not is_defined(module, name)]
    assert missing == []


def is_defined(module: str, name: str) -> bool:
    for candidate in (module, f"{module}.{name}"):
        try:
            found = import_module(candidate)
        except ModuleNotFoundError:
            return False
        if hasattr(found, name) or candidate != module:
            return True
    return False
