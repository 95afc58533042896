"""Recognition of compiled code, by packages that the factory itself needs.

What sees the calls is of Python 3.12, so the trial build of a real project tests it: tests/pipeline/test_new_recipe.py.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

import markupsafe
import msgspec
import pytest

from factory.stages.checks.inside.compiled_calls import _compiled


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
