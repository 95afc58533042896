"""Mirrors of an archive: addresses that are tried in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import requests

from factory.errors import SourceError
from factory.host.index_session import TIMEOUT_SECONDS, open_session, read_index_config
from factory.stages.sources.download import RemoteFile, download
from factory.util.log import LogSink
from factory.util.redaction import without_secrets

HINT = "check the network and the proxy variables; if the archive has moved, correct source.urls"


def download_any(urls: Sequence[str], name: str, sha256: str, cache: Path, log: LogSink) -> Path:
    """Download a file from the first server that has the pinned bytes; see `download`.

    What one server delivered of it, the next one goes on with.

    Raises:
        SourceError: none delivers it; the message has the reason of each.
    """
    errors: list[SourceError] = []
    with open_session(read_index_config()) as session:
        for url in urls:
            log.write(f"downloading {url}\n")
            try:
                return download(RemoteFile(url=url, name=name, sha256=sha256, hint=HINT), cache, session, log)
            except SourceError as error:
                log.write(f"{error.message}\n")
                errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    listed = "\n".join(f"  {url}: {error.message}" for url, error in zip(urls, errors, strict=True))
    raise SourceError(
        f"{name}: no address delivers the archive\n{listed}",
        hint=HINT,
        machines_fault=any(error.machines_fault for error in errors),
    )


def find_problems(urls: Sequence[str]) -> Sequence[str]:
    """Return why servers do not deliver a file, for each that does not.

    The file is asked for and not read: some servers refuse HEAD.
    """
    with open_session(read_index_config()) as session:
        return [problem for url in urls if (problem := _problem(url, session))]


def _problem(url: str, session: requests.Session) -> str:
    try:
        with session.get(url, stream=True, timeout=TIMEOUT_SECONDS) as response:
            return "" if response.ok else f"{url}: the server answers {response.status_code} {response.reason}"
    except requests.RequestException as error:
        return f"{url}: {without_secrets(str(error))}"
