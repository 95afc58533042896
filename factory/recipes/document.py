"""TOML documents whose mistakes are collected, each with its line and key path."""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from factory.errors import RecipeError

KeyPath = tuple[str, ...]

CORRECT_THESE = "correct these lines; nothing else was found wrong in the files they name"

# tomllib reports no positions. These are the only tokens that can hide a key, a bracket or a line's end.
_TOKEN = re.compile(
    r"""
      (?P<string> \"{3} (?: \\. | [^\\] )*? \"{3,5} | '{3} .*? '{3,5} | " (?: \\. | [^"\\\n] )* " | '[^'\n]*' )
    | (?P<comment> \#[^\n]* )
    | (?P<newline> \n )
    | (?P<open> [\[{] )
    | (?P<close> [\]}] )
    | (?P<equals> = )
    | (?P<other> [^\[\]{}="'\#\n]+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_SYNTAX_ERROR = re.compile(r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)$", re.DOTALL)


class Document:
    """A TOML file with the mistakes found in it.

    Read `data`, note mistakes, then call `finish`.

    `sha256` is that of the file as it was read, and of the one that it inherits from.
    """

    def __init__(self, path: Path) -> None:
        """Parse the file.

        Raises:
            RecipeError: it is missing, is not UTF-8, or is not TOML (with the line).
        """
        self.path = path
        content = _read(path)
        self.sha256 = hashlib.sha256(content).hexdigest()
        text = _decode(path, content)
        self.data = _parse(path, text)
        self._lines = dict(_key_lines(text))
        self._problems: list[tuple[int, str]] = []
        self._base: Document | None = None

    def inherit(self, base: Document, without: Collection[KeyPath]) -> None:
        """Take from `base` what this document doesn't state, except the keys `without`.

        Tables are merged, other values are replaced.
        """
        self._base = base
        self.data = _merge(base.data, self.data, (), without)
        self.sha256 = hashlib.sha256(f"{self.sha256} {base.sha256}".encode()).hexdigest()

    @property
    def folders(self) -> tuple[Path, ...]:
        """The file's folder, then that of the file that it inherits from, relative to the first."""
        own = self.path.parent
        return (own,) if self._base is None else (own, own / ".." / self._base.path.parent.name)

    def folder_of(self, path: KeyPath) -> Path:
        """Return the one of `folders` whose file states a key."""
        origin, _line = self._find(path)
        return self.folders[0 if origin is self else 1]

    def problem(self, path: KeyPath, message: str) -> None:
        """Note a mistake at a key."""
        file, line = self.place_of(path)
        self._problems.append((line, f"{file}:{line}: {show(path)}: {message}"))

    def place_of(self, path: KeyPath) -> tuple[Path, int]:
        """Return the file and the line of a key, or of the nearest table around it that has one."""
        origin, line = self._find(path)
        return origin.path, line

    def is_inherited(self, path: KeyPath) -> bool:
        """Report whether a key is stated by the document that this one inherits from alone."""
        return self._find(path)[0] is not self

    def overrides(self, path: KeyPath) -> bool:
        """Report whether the document that this one inherits from states a key too."""
        return self._base is not None and path in self._base._lines

    def _find(self, path: KeyPath) -> tuple[Document, int]:
        while path:
            for document in filter(None, (self, self._base)):
                if path in document._lines:
                    return document, document._lines[path]
            path = path[:-1]
        return self, 1

    def finish(self) -> None:
        """Report all mistakes.

        Raises:
            RecipeError: listing every mistake, in the order of their lines.
        """
        if self._problems:
            problems = [text for _, text in sorted(self._problems, key=lambda problem: problem[0])]
            raise RecipeError("\n".join(problems), hint=CORRECT_THESE)


def _merge(base: dict[str, Any], own: dict[str, Any], path: KeyPath, without: Collection[KeyPath]) -> dict[str, Any]:
    merged = {key: value for key, value in base.items() if (*path, key) not in without}
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value, (*path, key), without) if both else value
    return merged


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return `; did you mean 'x'?`, or nothing when no known word is similar."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def unknown(word: str, known: Collection[str]) -> str:
    """Return the message for a word that is not among the known ones."""
    return f"unknown value {word!r}{did_you_mean(word, known) or '; known: ' + ', '.join(known)}"


def show(path: KeyPath) -> str:
    """Return a key path as TOML writes it: `build.environment."A B"`."""
    return ".".join(key if re.fullmatch(r"[\w-]+", key, re.ASCII) else _quoted(key) for key in path)


def _quoted(key: str) -> str:
    # Unprintable characters, such as line ends, are escaped as Python does.
    return '"' + "".join(each if each.isprintable() else repr(each)[1:-1] for each in key) + '"'


def _read(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        # A pipe would never end.
        raise RecipeError(f"{path}:1: cannot be read: not a file", hint="make it a file that you may read")
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecipeError(
            f"{path}:1: cannot be read: {error.strerror}", hint="make it a file that you may read"
        ) from error


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}:1: is not UTF-8 text (byte {error.start})", hint="save it as UTF-8") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _SYNTAX_ERROR.match(str(error))
        line = (match and match["line"]) or max(len(text.splitlines()), 1)
        raise RecipeError(
            f"{path}:{line}: not TOML: {match['what'] if match else error}",
            hint="correct this line; the rest of the file was not read",
        ) from None
    except RecursionError:
        raise RecipeError(f"{path}:1: not TOML: nested too deeply", hint="nest fewer lists and tables") from None


def _key_lines(text: str) -> Iterator[tuple[KeyPath, int]]:
    """Yield each table and key of a valid TOML text with its first line."""
    table: KeyPath = ()
    seen: set[KeyPath] = set()
    for line, statement in _statements(text):
        if statement.startswith("["):
            path = table = _split_key(statement.strip("[] \t\r"))
        else:
            path = (*table, *_split_key(statement))
        for length in range(1, len(path) + 1):
            if path[:length] not in seen:
                seen.add(path[:length])
                yield path[:length], line


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of each header, and of each key up to its `=`.

    Values may span lines and are skipped.
    """
    line, start, depth, statement, in_value = 1, 1, 0, "", False
    for token in _TOKEN.finditer(text):
        kind, word = token.lastgroup, token.group()
        depth += (kind == "open") - (kind == "close")
        if kind == "newline" and depth == 0:
            if statement.strip():
                yield start, statement.strip()
            statement, in_value, start = "", False, line + 1
        elif kind == "equals" and depth == 0:
            in_value = True
        elif kind != "comment" and not in_value:
            statement += word
        line += word.count("\n")
    if statement.strip():
        yield start, statement.strip()


def _split_key(text: str) -> KeyPath:
    """Split `a."b.c"` into ("a", "b.c"), by having tomllib read the quotes and dots."""
    path: list[str] = []
    value: Any = tomllib.loads(f"{text} = 0")
    while isinstance(value, dict):
        key, value = next(iter(value.items()))
        path.append(key)
    return tuple(path)
