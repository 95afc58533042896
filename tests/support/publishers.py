"""Publishers for processes of their own: spawned, they import this module instead of a test with its libraries."""

from __future__ import annotations

import sys
from pathlib import Path

from msgspec import structs

from factory.errors import PublishError
from factory.publish.ledger import Ledger
from tests.support.releases import RELEASE, numbered


def add_many(folder: Path, numbers: range) -> None:
    for number in numbers:
        Ledger(folder).add(numbered(number))


def add_bytes(folder: Path, digit: str) -> None:
    try:
        Ledger(folder).add(structs.replace(RELEASE, sha256=digit * 64))
    except PublishError:
        sys.exit(3)
