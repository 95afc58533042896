"""Notes of a command: on standard error as they come up, and in its JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from factory.cli.printable import printable


@dataclass(frozen=True, slots=True)
class Notes:
    """Notes of a command so far."""

    _texts: list[str] = field(default_factory=list)

    @property
    def texts(self) -> Sequence[str]:
        """The notes, as JSON has them."""
        return tuple(self._texts)

    def add(self, text: str) -> None:
        """Print a note on standard error, and keep it."""
        print_note(text)
        self._texts.append(printable(text))


def print_note(text: str) -> None:
    """Print a line of the factory on standard error."""
    print(printable(f"factory: {text}"), file=sys.stderr)
