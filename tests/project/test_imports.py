"""Imports between tests: only `tests.support` is shared."""

from __future__ import annotations

import re

from tests.support.checkouts import ROOT

# Tests also start scripts, given as text, that import helpers; so lines are searched, not syntax trees.
IMPORT = re.compile(r"^\s*(?:from|import) tests\.(?!support\b)[\w.]+", re.MULTILINE)


def test_modules_import_no_test_and_no_conftest() -> None:
    found = {path: IMPORT.findall(path.read_text()) for path in sorted((ROOT / "tests").rglob("*.py"))}
    assert {str(path.relative_to(ROOT)): lines for path, lines in found.items() if lines} == {}


def test_import_pattern_finds_tests_and_conftests() -> None:
    text = "from tests.support.logs import MemoryLog\nfrom tests.conftest import x\n    import tests.site.test_pages\n"
    assert IMPORT.findall(text) == ["from tests.conftest", "    import tests.site.test_pages"]
