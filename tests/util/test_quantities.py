"""Tests of numbers with their nouns, and that messages use them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.util.quantities import quantity

FACTORY = Path(__file__).parents[2] / "factory"
# A plural after a value, except where the value is more than a limit.
PLURAL = re.compile(r" (?:[a-z-]+ ){0,2}?[a-z-]*[^ius]s\b(?!.*(?:more than|at most|limit|, not one))")


@pytest.mark.parametrize(
    ("number", "noun", "plural", "text"),
    [
        (0, "file", "", "0 files"),
        (1, "file", "", "1 file"),
        (2, "build requirement", "", "2 build requirements"),
        (1, "library", "libraries", "1 library"),
        (1200, "library", "libraries", "1,200 libraries"),
    ],
)
def test_quantity_has_the_noun_of_its_number(number: int, noun: str, plural: str, text: str) -> None:
    assert quantity(number, noun, plural) == text


def test_messages_have_no_plural_after_a_count() -> None:
    """`1 packages` is seen only by who has one."""
    found = [
        f"{path.relative_to(FACTORY)}:{text.lineno}: {ast.unparse(text)}"
        for path in sorted(FACTORY.rglob("*.py"))
        for text in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(text, ast.JoinedStr) and any(PLURAL.match(words) for words in _after_counts(text))
    ]
    assert found == []


def _after_counts(text: ast.JoinedStr) -> Iterator[str]:
    """Yield the words after each number of items or sum in a string with values."""
    for value, words in zip(text.values, text.values[1:], strict=False):
        if isinstance(value, ast.FormattedValue) and isinstance(words, ast.Constant) and _is_count(value.value):
            yield str(words.value)


def _is_count(value: ast.expr) -> bool:
    """Report whether a value is the result of `len` or `sum`, or calculated from one."""
    if isinstance(value, ast.BinOp):
        return _is_count(value.left) or _is_count(value.right)
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("len", "sum")
