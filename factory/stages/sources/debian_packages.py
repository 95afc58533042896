"""Names of the binary packages that a suite of Debian has."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator

import requests

from factory.errors import SourceError
from factory.host.apt import mirror_url
from factory.host.index_session import TIMEOUT_SECONDS, open_session, read_index_config
from factory.stages.sources.debian_pool import ARCHITECTURES, CHECK_MIRROR
from factory.util.redaction import without_secrets

CHUNK_BYTES = 1 << 18


def package_names(suite: str) -> frozenset[str]:
    """Return the names of a suite's packages for riscv64, with the names that these provide.

    Raises:
        SourceError: the mirror does not answer, or answers with something else.
    """
    url = f"{mirror_url()}/dists/{suite}/main/binary-{ARCHITECTURES[0]}/Packages.xz"
    try:
        with (
            open_session(read_index_config()) as session,
            session.get(url, timeout=TIMEOUT_SECONDS, stream=True) as response,
        ):
            response.raise_for_status()
            names = frozenset(_names(_lines(response)))
    except (requests.RequestException, lzma.LZMAError, zlib.error) as error:
        raise _unreadable(url, str(error)) from error
    if not names:
        raise _unreadable(url, "it names no package")
    return names


def _lines(response: requests.Response) -> Iterator[str]:
    decompressor, rest = lzma.LZMADecompressor(), b""
    for piece in response.iter_content(CHUNK_BYTES):
        *lines, rest = (rest + decompressor.decompress(piece)).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
        if decompressor.eof:
            break
    yield rest.decode(errors="replace")


def _names(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        field, _, value = line.partition(": ")
        if field in ("Package", "Provides"):
            yield from (each.split()[0] for each in value.split(",") if each.strip())


def _unreadable(url: str, reason: str) -> SourceError:
    return SourceError(
        f"Debian mirror: cannot read {without_secrets(url)}: {without_secrets(reason)}",
        hint=CHECK_MIRROR,
        machines_fault=True,
    )
