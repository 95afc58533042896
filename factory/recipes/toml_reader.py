"""TOML read strictly: every mistake of a file is collected, each with its line, its key path and a suggestion."""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from factory.errors import RecipeError

KeyPath = tuple[str, ...]

CORRECT_THESE = "correct these lines; nothing else was found wrong in the files they name"

# tomllib tells no positions. These are the only tokens that can hide a key, a bracket or a line's end.
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
    """One TOML file and the mistakes found in it. Read it through `root`, then call `finish`.

    `sha256` is that of the file as it was read.
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
        self._data = _parse(path, text)
        self._lines = dict(_key_lines(text))
        self._problems: list[tuple[int, str]] = []
        self._tables: list[Table] = []
        self.root = self.table(self._data, ())

    def table(self, data: Mapping[str, Any], path: KeyPath) -> Table:
        table = Table(self, data, path)
        self._tables.append(table)
        return table

    def line_of(self, path: KeyPath) -> int:
        """The line of a key, or of the nearest table around it where the key is missing or inside a value."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def problem(self, path: KeyPath, what: str) -> None:
        line = self.line_of(path)
        self._problems.append((line, f"{self.path}:{line}: {show(path)}: {what}"))

    def finish(self) -> None:
        """Report the unknown keys too, and end.

        Raises:
            RecipeError: listing every mistake, in the order of their lines.
        """
        for table in self._tables:
            table.report_unknown_keys()
        if self._problems:
            problems = [text for _, text in sorted(self._problems, key=lambda problem: problem[0])]
            raise RecipeError("\n".join(problems), hint=CORRECT_THESE)


class Table:
    """Typed getters over one table. A getter notes a mistake and returns a harmless value, so that reading goes on."""

    def __init__(self, document: Document, data: Mapping[str, Any], path: KeyPath) -> None:
        self._document = document
        self._data = data
        self._path = path
        self._known: list[str] = []
        self._closed = True

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._data)

    def problem(self, key: str, what: str) -> None:
        self._document.problem((*self._path, key), what)

    def get(self, key: str, kinds: tuple[type, ...], expected: str) -> Any:
        """The value of `key`, or None when it is missing or of another type than `kinds`."""
        self._known.append(key)
        value = self._data.get(key)
        # In Python a bool is an int; in TOML it is not.
        wrong = isinstance(value, bool) and bool not in kinds
        if value is not None and (wrong or not isinstance(value, kinds)):
            self.problem(key, f"must be {expected}, not {_kind(value)}")
            return None
        return value

    def string(self, key: str, default: str | None = None) -> str:
        """A string; it is required when there is no default."""
        value = self.get(key, (str,), "a string")
        if key not in self._data and default is None:
            self.problem(key, "is missing")
        if value == "":
            self.problem(key, "must not be empty")
        return value or default or ""

    def strings(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        value = self.get(key, (list,), "a list of strings")
        if value is None:
            return default
        if not all(isinstance(item, str) and item for item in value):
            self.problem(key, "must be a list of strings that are not empty")
            return default
        return tuple(value)

    def boolean(self, key: str) -> bool:
        """A yes or no that is no by default."""
        return bool(self.get(key, (bool,), "true or false"))

    def integer(self, key: str, default: int) -> int:
        return int(self._not_negative(key, (int,), "a whole number", default))

    def number(self, key: str, default: float) -> float:
        return float(self._not_negative(key, (int, float), "a number", default))

    def _not_negative(self, key: str, kinds: tuple[type, ...], expected: str, default: float) -> float:
        value = self.get(key, kinds, expected)
        if value is not None and not value >= 0:
            self.problem(key, "must not be negative")
        return default if value is None else value

    def choice(self, key: str, choices: Collection[str], default: str | None = None) -> str:
        value = self.string(key, default)
        if value and value not in choices:
            self.problem(key, unknown(value, choices))
        return value

    def table(self, key: str, *, required: bool = False) -> Table:
        value = self.get(key, (dict,), "a table")
        if required and key not in self._data:
            self.problem(key, "is missing")
        return self._document.table(value or {}, (*self._path, key))

    def ignore_unknown_keys(self) -> None:
        self._closed = False

    def report_unknown_keys(self) -> None:
        for key in self._data:
            if self._closed and key not in self._known:
                # A missing known key is the likelier meaning; one that is given already is not.
                self.problem(key, "unknown key" + did_you_mean(key, [k for k in self._known if k not in self._data]))


def did_you_mean(word: str, known: Collection[str]) -> str:
    """`; did you mean 'x'?`, or nothing when no known word is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def unknown(word: str, known: Collection[str]) -> str:
    return f"unknown value {word!r}{did_you_mean(word, known) or '; known: ' + ', '.join(known)}"


def show(path: KeyPath) -> str:
    """A key path as TOML writes it: `build.environment."A B"`."""
    return ".".join(key if re.fullmatch(r"[\w-]+", key, re.ASCII) else f'"{key}"' for key in path)


def _kind(value: object) -> str:
    names = {
        str: "a string",
        bool: "a boolean",
        int: "a whole number",
        float: "a number",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), "a date or time")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecipeError(f"{path}:1: can't be read: {error.strerror}") from error


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}:1: is not UTF-8 text (byte {error.start})") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _SYNTAX_ERROR.match(str(error))
        line = (match and match["line"]) or max(len(text.splitlines()), 1)
        raise RecipeError(f"{path}:{line}: not TOML: {match['what'] if match else error}") from None


def _key_lines(text: str) -> Iterator[tuple[KeyPath, int]]:
    """Yield each table header and key of a valid TOML text with its line; the first mention of a table counts."""
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
    """Yield (line, text) of each header, and of each key up to its `=`. Values may span lines and are passed over."""
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
    """`a."b.c"` as ("a", "b.c"): tomllib itself reads the quotes and dots."""
    path: list[str] = []
    value: Any = tomllib.loads(f"{text} = 0")
    while isinstance(value, dict):
        key, value = next(iter(value.items()))
        path.append(key)
    return tuple(path)
