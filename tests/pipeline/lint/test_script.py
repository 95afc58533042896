"""Scripts of checks: calls of the package are told from mere imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.pipeline.lint.lint import lint
from tests.support.projects import make_project
from tests.support.recipes import SMALLEST, write


def findings(root: Path, smoke: str, more: str = "") -> list[str]:
    _, found = lint(["spam"], make_project(root, SMALLEST + more, smoke=smoke))
    return [str(each).replace(f"{root}/recipes/spam/", "") for each in found]


def test_script_too_large_to_parse_is_found(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, f"x = {'+'.join('1' * 20000)}\n")
    assert finding.startswith("smoke.py:1: script: is not Python: ")


@pytest.mark.parametrize(
    "smoke",
    [
        "import spam",
        "import spam\nprint(spam.__version__)",
        "import spam\nassert spam.__version__.startswith('1')",
        "import spam, json\nprint(json.dumps(spam.NAME))",
        "from importlib.metadata import version\nprint(version('spam'))",
        "import spam\nanswer = 1\nprint(answer)",
        "import eggs, spam\neggs.boil()",
        "import spam, pytest\npytest.skip('x')",
        "import spam\nraise SystemExit('smoke.py calls no compiled code yet')",
    ],
)
def test_script_that_only_imports_is_found(tmp_path: Path, smoke: str) -> None:
    write(tmp_path / "recipes", SMALLEST.replace("spam", "eggs"), "eggs")
    (finding,) = findings(tmp_path, smoke, "[check]\nrequires = ['pytest>=8']\n")
    assert finding.startswith("smoke.py:1: script: calls nothing")


@pytest.mark.parametrize(
    "smoke",
    [
        "import spam\nspam.add(1, 2)",
        "import spam.inner as inner\ninner.add(1)",
        "from spam import add\ndef main():\n    return add(1)",
        "import other_name\nother_name.add(1)",
        "from spam import Thing\nthing = other = Thing.default\nthing.run()",
        "import spam\npairs = [(spam.add, 1)]\nfirst = spam.table['x'](1)",
        "import importlib\nspam = importlib.import_module('sp' + 'am')\nspam.add(1)",
        "import ctypes\nlibrary = ctypes.CDLL('libspam.so')\nlibrary.add(1)",
        "import subprocess\nsubprocess.run(['spam'])",
        "import spam\nfrom compiled_calls import run_tests\nrun_tests('spam', {})",
    ],
)
def test_script_that_calls_the_package_is_no_finding(tmp_path: Path, smoke: str) -> None:
    assert findings(tmp_path, smoke) == []


def test_script_modules_count(tmp_path: Path) -> None:
    folder = tmp_path / "recipes/spam/checks"
    folder.mkdir(parents=True)
    (folder / "run.py").write_text("import spam\n\ndef run():\n    return spam.add(1)\n")
    assert findings(tmp_path, "from checks.run import run\nrun()") == []
    (folder / "run.py").write_text("def run():\n    return 1\n")
    assert len(findings(tmp_path, "from checks.run import run\nrun()")) == 1


def test_script_syntax_error_is_found_at_its_line(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, "import spam\nspam.add(\n")
    assert finding.startswith("smoke.py:2: script: is not Python")
    (finding,) = findings(tmp_path, "import spam\0")
    assert finding.startswith("smoke.py:1: script: is not Python")


def test_script_that_is_missing_is_found(tmp_path: Path) -> None:
    recipes = make_project(tmp_path)
    (tmp_path / "recipes/spam/smoke.py").unlink()
    _, (finding,) = lint(["spam"], recipes)
    assert (finding.line, finding.key) == (1, "check.script")
