"""Lock files that the site offers, written at each publication."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from packaging.utils import NormalizedName

from factory.errors import PublishError
from factory.model.target import PYTHONS
from factory.publish.ledger import Ledger
from factory.publish.lock_files import refuse_local_files, write_lock
from factory.publish.resolver import Unresolvable, lock


def update_locks(
    projects: Sequence[NormalizedName], *, ledger: Ledger, output: Path, address: str
) -> tuple[bool, Sequence[PublishError]]:
    """Write the lock files of projects from the pages in `output`.

    There is one for each Python that the index has all wheels for. They are kept in the ledger, with addresses below
    `address`, where users find the index. Returns whether any changed, and why projects have none for any Python; what
    they had stays.
    """
    changed, failures = False, []
    for project in projects:
        try:
            changed |= _update_project(project, ledger=ledger, output=output, address=address)
        except PublishError as error:
            failures.append(error)
    return changed, failures


def _update_project(project: NormalizedName, *, ledger: Ledger, output: Path, address: str) -> bool:
    """Lock a project; return whether any of its files changed.

    Raises:
        PublishError: it is not published, no Python has all wheels, or an index does not answer.
    """
    if not ledger.read_project(project):
        raise PublishError(f"{project}: cannot lock it: it is not published", hint=f"run: factory index {project}")
    texts, failures = {}, []
    for python in PYTHONS:
        try:
            texts[python] = _lock(project, python, output, address)
        except Unresolvable as error:
            failures.append(error)
    if not texts:
        raise failures[0]
    written = [write_lock(ledger.folder, project, python, text) for python, text in texts.items()]
    return any(written)


def _lock(project: str, python: str, output: Path, address: str) -> str:
    index = output.resolve()  # the pages' links are relative to it
    text = lock([project], python=python, index=f"{index.as_uri()}/simple")
    text = text.replace(f"{index.as_uri()}/", f"{address}/")
    refuse_local_files(text)
    return text
