"""Publication of a test's wheels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from factory.model.artifacts import StoredWheel
from factory.model.target import Target
from factory.publish.ledger import Ledger
from factory.publish.publisher import Publication, Terms, publish
from factory.publish.simple_api import write_pages
from factory.util.atomic_files import sha256_of
from factory.util.log import LogFile


def stored(path: Path) -> StoredWheel:
    return StoredWheel(path=path, sha256=sha256_of(path), record_key="key", profiles=("rv64gc", "k1"))


def publish_to(
    folder: Path,
    *candidates: StoredWheel,
    terms: Terms = Terms(),  # noqa: B008
    offered: Sequence[StoredWheel] = (),
) -> Publication:
    publication = publish(
        candidates,
        offered=offered,
        ledger=Ledger(folder / "ledger"),
        output=folder / "out",
        store=folder / "store/wheels",
        mirror=folder / "mirror",
        target=Target(),
        log=LogFile(folder / "publish.log"),
        terms=terms,
    )
    assert publication.releases == Ledger(folder / "ledger").read()
    pages = write_pages(publication.releases, folder / "out")
    return dataclasses.replace(publication, changed=(*publication.changed, *pages))
