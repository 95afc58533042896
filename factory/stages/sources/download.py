"""Downloads into the cache: resumed, and checked against their sha256."""

from __future__ import annotations

import hashlib
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError as BrokenBody

from factory.errors import SourceError
from factory.host.index_session import RETRIES, TIMEOUT_SECONDS, wait_before_retry
from factory.host.transfer import TransferLimit
from factory.stages.sources.disk import cache_slot, explain_full_disk, publish
from factory.util import cancellation
from factory.util.atomic_files import sha256_of
from factory.util.full_disk import naming
from factory.util.locks import held
from factory.util.log import LogSink
from factory.util.redaction import without_secrets

CHUNK_BYTES = 64 * 1024
# An attempt that brings less has failed.
LEAST_PROGRESS_BYTES = 16 * 1024
# The largest wheels and source archives have some gigabytes.
MAX_FILE_BYTES = 8 * 1024**3
PROGRESS_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file on a server, its sha256, its size if known, and a hint for failed downloads."""

    url: str
    name: str
    sha256: str
    hint: str = "check the network, the proxy variables and pip's index configuration (pip config list), and run again"
    size: int | None = None


def download(file: RemoteFile, cache: Path, session: requests.Session, log: LogSink) -> Path:
    """Return `cache/<sha256[:2]>/<sha256>/<name>`, downloaded if need be.

    An interrupted download leaves `<name>.part` and is resumed from there. Of two processes one downloads and the
    other waits.

    Raises:
        SourceError: the server, the network, the disk, or a file with another hash than the one that was pinned.
    """
    final = cache_slot(cache, file.sha256) / file.name
    waiting = f"waiting for another process that downloads {final.name}\n"
    with held(final.with_name(f"{final.name}.lock"), lambda: log.write(waiting)):
        if _is_cached(final, file.sha256, log):
            return final
        with explain_full_disk(final.parent):
            _fetch_checked(file, _part(final), session, log)
            return publish(_part(final), final)


def _part(final: Path) -> Path:
    return final.with_name(f"{final.name}.part")


def _is_cached(final: Path, sha256: str, log: LogSink) -> bool:
    if not final.exists():
        return False
    if sha256_of(final) == sha256:
        log.write(f"{final.name} is in the cache\n")
        return True
    log.write(f"{final.name} in the cache is damaged; downloading it again\n")
    final.unlink()
    return False


def _fetch_checked(file: RemoteFile, part: Path, session: requests.Session, log: LogSink) -> None:
    """Download into `part`; a resumed file with a wrong hash is downloaded once more."""
    found, resumed_at = _fetch_whole(file, part, session, log)
    if found != file.sha256 and resumed_at:
        log.write(f"{file.name}: the resumed download has sha256 {found}; starting again from zero\n")
        part.unlink()
        found, _ = _fetch_whole(file, part, session, log)
    if found != file.sha256:
        part.unlink()
        raise SourceError(
            f"{file.name}: the download has another content than the one pinned\n"
            f"  pinned sha256: {file.sha256}\n  found sha256:  {found}",
            hint="if the pin is right, the index or a proxy serves another file: do not use it",
        )


def _fetch_whole(file: RemoteFile, part: Path, session: requests.Session, log: LogSink) -> tuple[str, int]:
    """Request until the file is complete; return its sha256 and the resumed offset.

    Only attempts that bring next to nothing count as failures, so a bad line still gets a large file through.
    """
    failures = 0
    while True:
        before = _size(part)
        try:
            return _fetch_rest(file, part, session, log)
        except TransferLimit as error:
            raise _unreachable(file, str(error)) from error
        except BrokenBody as error:
            failures = 0 if _size(part) >= before + LEAST_PROGRESS_BYTES else failures + 1
            reason = without_secrets(str(error))
            if failures > RETRIES:
                raise _unreachable(file, reason) from error
        log.write(f"{file.name}: the connection broke ({reason}); resuming at {_size(part)} bytes\n")
        wait_before_retry(failures)


def _fetch_rest(file: RemoteFile, part: Path, session: requests.Session, log: LogSink) -> tuple[str, int]:
    digest, offset = _hash_so_far(part)
    if digest.hexdigest() == file.sha256:
        return digest.hexdigest(), offset  # a kill hit between the last byte and the rename
    with closing(_request(file, offset, session)) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return digest.hexdigest(), offset  # as long as the server's file or longer, so it is another one
        if offset and not _continues(response, offset):
            log.write(f"{file.name}: the server does not resume; starting again from zero\n")
            digest, offset = hashlib.sha256(), 0
        progress = _Progress(file.name, offset, response, log)
        limit = MAX_FILE_BYTES if file.size is None else file.size
        with naming(part), part.open("ab" if offset else "wb") as output:
            for piece in response.raw.stream(CHUNK_BYTES, decode_content=False):
                output.write(piece)
                digest.update(piece)
                progress.add(len(piece))
                if progress.done > limit:
                    raise _too_large(file, limit, part)
                cancellation.current().check()
    return digest.hexdigest(), offset


class _Progress:
    """Progress of a download: a line in the log every few seconds."""

    def __init__(self, name: str, offset: int, response: requests.Response, log: LogSink) -> None:
        self._name = name
        self.done = offset
        self._total = offset + int(response.headers.get("Content-Length", 0))
        self._log = log
        self._next = time.monotonic() + PROGRESS_SECONDS

    def add(self, size: int) -> None:
        self.done += size
        if time.monotonic() >= self._next:
            self._next += PROGRESS_SECONDS
            self._log.write(f"{self._name}: {self.done / 1e6:.1f} of {self._total / 1e6:.1f} MB\n")


def _too_large(file: RemoteFile, limit: int, part: Path) -> SourceError:
    part.unlink()
    states = "the limit is" if file.size is None else "the index states"
    return SourceError(
        f"{file.name}: the download is larger than allowed: {states} {limit} bytes",
        hint="the index or a proxy serves another file, or one without an end: do not use it",
    )


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _hash_so_far(part: Path) -> tuple[hashlib._Hash, int]:
    if not part.exists():
        return hashlib.sha256(), 0
    with part.open("rb") as file:
        return hashlib.file_digest(file, "sha256"), part.stat().st_size


def _request(file: RemoteFile, offset: int, session: requests.Session) -> requests.Response:
    # "identity": a compressed transfer could not be resumed, and its bytes are not those that were pinned.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        response = session.get(file.url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS)
    except requests.RequestException as error:
        raise _unreachable(file, without_secrets(str(error))) from error
    if response.ok or (offset and response.status_code == requests.codes.requested_range_not_satisfiable):
        return response
    response.close()
    gone = response.status_code in (requests.codes.not_found, requests.codes.gone)
    raise _unreachable(file, f"the server answers {response.status_code} {response.reason}", machines_fault=not gone)


def _continues(response: requests.Response, offset: int) -> bool:
    stated = response.headers.get("Content-Range", "")
    return response.status_code == requests.codes.partial_content and stated.startswith(f"bytes {offset}-")


def _unreachable(file: RemoteFile, reason: str, *, machines_fault: bool = True) -> SourceError:
    return SourceError(
        f"{file.name}: can't be downloaded from {without_secrets(file.url)}: {reason}",
        hint=file.hint,
        machines_fault=machines_fault,
    )
