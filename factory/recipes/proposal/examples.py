"""Examples of a project's documentation, as functions that assert what is shown."""

from __future__ import annotations

import ast
import doctest
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from factory.recipes.proposal.excerpts import MAX_FILE_BYTES, Excerpt

PATTERNS = ("README*", "readme*", "docs/*.rst", "docs/*.md", "doc/*.rst", "PKG-INFO")
# Documentation is less exact than tests: the first results of a file are the likeliest to hold.
MAX_EXAMPLES, MAX_ASSERTIONS = 15, 3
FUNCTION = "examples"


def find_examples(root: Path, modules: Collection[str]) -> tuple[Excerpt, ...]:
    """Return examples of documentation that import one of the modules, one excerpt for a file."""
    files = (path for pattern in PATTERNS for path in sorted(root.glob(pattern)))
    found = (_examples_in(path, root, modules) for path in files if path.is_file() and not path.is_symlink())
    return tuple(each for each in found if each is not None)


def _examples_in(path: Path, root: Path, modules: Collection[str]) -> Excerpt | None:
    if path.stat().st_size > MAX_FILE_BYTES:
        return None
    try:
        examples = doctest.DocTestParser().get_examples(path.read_text(encoding="utf-8", errors="replace"))
        lines = list(_asserted(_from_import(examples, modules)))
    except (ValueError, RecursionError):  # the prompts are indented otherwise than doctest wants it; long expressions
        return None
    if not any(line.startswith("assert") for line in lines):
        return None
    body = "\n".join(f"    {part}" for line in lines for part in line.splitlines())
    return Excerpt(path.relative_to(root).as_posix(), f"def {FUNCTION}():\n{body}", {FUNCTION: FUNCTION})


def _from_import(examples: Sequence[doctest.Example], modules: Collection[str]) -> Sequence[doctest.Example]:
    """Return some examples from the first that imports one of the modules."""
    for number, example in enumerate(examples):
        words = example.source.replace(".", " ").split()
        if words[:1] in (["import"], ["from"]) and len(words) > 1 and words[1] in modules:
            return examples[number : number + MAX_EXAMPLES]
    return ()


def _asserted(examples: Sequence[doctest.Example]) -> Iterator[str]:
    """Yield statements, and assertions of what expressions show, up to the last one."""
    assertions = 0
    for example in examples:
        source = example.source.strip()
        try:
            (statement,) = ast.parse(source).body
        except (SyntaxError, ValueError):
            return
        shown = example.want.strip()
        if not shown or not isinstance(statement, ast.Expr):
            yield source
        elif example.exc_msg is None and "\n" not in shown and "..." not in shown:
            yield f"assert repr({ast.unparse(statement)}) == {shown!r}"
            assertions += 1
            if assertions == MAX_ASSERTIONS:
                return
