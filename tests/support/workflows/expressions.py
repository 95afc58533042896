"""Expressions of workflows, `${{ ... }}`: the part of the language that ours use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Functions = Mapping[str, Callable[..., Any]]
_TOKEN = re.compile(r"\s*(?:'(?:[^']|'')*'|\d+|[A-Za-z_][\w-]*|&&|\|\||[!=]=|[!().,\[\]])")
_TEMPLATE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
LITERALS = {"true": True, "false": False, "null": None}
JSON: Functions = {"fromJSON": json.loads, "toJSON": lambda value: json.dumps(value, separators=(",", ":"))}


def expand(template: object, names: Mapping[str, Any], functions: Functions) -> Any:
    """Replace the expressions in a text, or in all texts of a list or mapping.

    A text that is one expression becomes its value, of any type.
    """
    if isinstance(template, Mapping):
        return {key: expand(value, names, functions) for key, value in template.items()}
    if isinstance(template, list):
        return [expand(value, names, functions) for value in template]
    if not isinstance(template, str):
        return template
    if match := _TEMPLATE.fullmatch(template.strip()):
        return evaluate(match[1], names, functions)
    return _TEMPLATE.sub(lambda match: as_text(evaluate(match[1], names, functions)), template)


def as_text(value: object) -> str:
    """Return a value as the runner puts it into text."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def evaluate(text: str, names: Mapping[str, Any], functions: Functions) -> Any:
    """Evaluate an expression.

    Raises:
        ValueError: it is not in this part of the language.
    """
    parser = _Parser(tokens=_tokens(text), names=names, functions={**JSON, **functions})
    value = parser.either()
    if parser.tokens:
        raise ValueError(f"{text!r}: unexpected {parser.tokens[0]!r}")
    return value


def _tokens(text: str) -> list[str]:
    found, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"{text!r}: unknown character at {place}")
        found.append(match[0].strip())
        place = match.end()
    return found


@dataclass(slots=True, kw_only=True)
class _Parser:
    """Recursive descent; an operand that is not needed is evaluated too, which has no effects."""

    tokens: list[str]
    names: Mapping[str, Any]
    functions: Functions

    def either(self) -> Any:
        value = self._both()
        while self._take("||"):
            other = self._both()
            value = value or other
        return value

    def _both(self) -> Any:
        value = self._comparison()
        while self._take("&&"):
            other = self._comparison()
            value = value and other
        return value

    def _comparison(self) -> Any:
        value = self._negation()
        for sign in ("==", "!="):
            if self._take(sign):
                return (value == self._negation()) == (sign == "==")
        return value

    def _negation(self) -> Any:
        return not self._negation() if self._take("!") else self._postfix()

    def _postfix(self) -> Any:
        value = self._primary()
        while self.tokens and self.tokens[0] in (".", "["):
            if self._take("."):
                key: Any = self.tokens.pop(0)
            else:
                self._require("[")
                key = self.either()
                self._require("]")
            value = _item(value, key)
        return value

    def _primary(self) -> Any:
        if self._take("("):
            value = self.either()
            self._require(")")
            return value
        token = self.tokens.pop(0) if self.tokens else ""
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token.isdecimal():
            return int(token)
        if token in LITERALS:
            return LITERALS[token]
        if self._take("("):
            return self._call(token)
        if token not in self.names:
            raise ValueError(f"unknown name {token!r}")
        return self.names[token]

    def _call(self, name: str) -> Any:
        if name not in self.functions:
            raise ValueError(f"unknown function {name!r}")
        values = []
        while not self._take(")"):
            values.append(self.either())
            self._take(",")
        return self.functions[name](*values)

    def _take(self, token: str) -> bool:
        if self.tokens[:1] != [token]:
            return False
        del self.tokens[0]
        return True

    def _require(self, token: str) -> None:
        if not self._take(token):
            raise ValueError(f"{token!r} is missing before {self.tokens[:1]}")


def _item(value: Any, key: Any) -> Any:
    """Return an item of a mapping or list; null if there is none."""
    if isinstance(value, Mapping):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return None
