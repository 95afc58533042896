"""Recognition of compiled code, by packages that the factory itself needs.

What sees the calls is of Python 3.12, so the trial build of a real project tests it: tests/pipeline/test_new_recipe.py.
"""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import markupsafe
import msgspec
import pytest

from factory.stages.checks.inside import compiled_calls
from factory.stages.checks.inside.compiled_calls import _compiled, survey


class Point(msgspec.Struct):
    """A Python class of a compiled type."""

    x: int


def python_function() -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("project", "called", "names"),
    [
        ("msgspec", msgspec.json.encode, {"json_encode"}),
        ("msgspec", msgspec.json.Decoder, {"Decoder"}),
        ("msgspec", msgspec.json.Decoder.decode, {"Decoder.decode"}),
        ("msgspec", msgspec.json.Decoder().decode, {"Decoder.decode"}),
        ("msgspec", Point, {"Point"}),
        ("msgspec", json.dumps, set()),
        ("msgspec", python_function, set()),
        ("msgspec", len, set()),
        ("msgspec", [].append, set()),
        ("msgspec", OrderedDict, set()),
        ("msgspec", dict, set()),
        ("msgspec", msgspec.ValidationError, set()),
        ("markupsafe", markupsafe.escape, set()),
        ("markupsafe", markupsafe.Markup, set()),
        ("markupsafe", msgspec.json.encode, set()),
    ],
)
def test_compiled_code_of_a_project_is_recognized(project: str, called: Any, names: set[str]) -> None:
    assert _compiled(project, [called]) == names


@pytest.mark.parametrize(("seconds", "imported"), [(600, True), (-1, False)])
def test_survey_imports_for_all_tests_and_ends_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, imported: bool
) -> None:
    module = f"of_survey_{imported}"
    (tmp_path / f"{module}.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("FACTORY_RESULT", str(tmp_path / "result.json"))
    monkeypatch.setattr(compiled_calls, "ALL_SECONDS", seconds)
    survey("msgspec", ["msgspec"], [(f"import absent\nimport {module}\n", {})])
    assert (module in sys.modules) == imported
    assert json.loads((tmp_path / "result.json").read_text())["facts"] == {"good": [[]]}
