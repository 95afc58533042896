"""Examples of documentation as checks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from factory.recipes.proposal.examples import find_examples

README = """
Spam
====

    >>> import other
    >>> from spam import fast
    >>> value = fast(1)
    >>> value
    2
    >>> fast(None)
    Traceback (most recent call last):
    TypeError: no
    >>> [fast(each)
    ...  for each in (1, 2)]
    [2, 3]
"""


def test_examples_become_assertions(tmp_path: Path) -> None:
    (tmp_path / "README.rst").write_text(README)
    (found,) = find_examples(tmp_path, ["spam"])
    assert found.file == "README.rst"
    assert found.calls == {"examples": "examples"}
    assert "assert repr(value) == '2'" in found.code
    assert "other" not in found.code
    assert "TypeError" not in found.code
    (tmp_path / "spam.py").write_text("def fast(value):\n    return value + 1\n")
    script = tmp_path / "script.py"
    script.write_text(f"{found.code}\nexamples()\n")
    subprocess.run([sys.executable, script], check=True)


@pytest.mark.parametrize(
    "text", ["", ">>> import spam\n", ">>> import eggs\n>>> eggs.x\n1\n", "  >>> a\n >>> b\n   x\n"]
)
def test_files_without_results_give_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "README.md").write_text(text)
    assert find_examples(tmp_path, ["spam"]) == ()
