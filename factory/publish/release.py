"""A release: one published wheel, as the ledger and the index describe it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec.structs import replace

from factory.model.target import FIRST_PYTHON

FORMAT = 1  # of the ledger's entries
_SHA256 = r"(?a)\A[0-9a-f]{64}\Z"
_TIME = r"(?a)\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z\Z"
# A URL of RFC 3986 without credentials and fragment: it has neither spaces nor quotes nor markup.
_URL = r"(?a)\Ahttps?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?([/?][A-Za-z0-9._~:/?@!$&'()*+,;=%-]*)?\Z"
SHA256, TIME, URL = re.compile(_SHA256), re.compile(_TIME), re.compile(_URL)
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

# Strings whose form is verified when the ledger is read.
Sha256 = Annotated[str, msgspec.Meta(pattern=_SHA256)]
Time = Annotated[str, msgspec.Meta(pattern=_TIME)]
Url = Annotated[str, msgspec.Meta(pattern=_URL)]
# Clients that read JSON treat an empty reason as none: to them the file would not be yanked.
Reason = Annotated[str, msgspec.Meta(min_length=1)]


class Built(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="built", gc=False):
    """Origin of a wheel built here: its record, and profiles and Pythons that passed."""

    record: str
    profiles: tuple[str, ...]
    pythons: tuple[str, ...] = (FIRST_PYTHON,)


class Mirrored(msgspec.Struct, frozen=True, tag_field="kind", tag="mirrored"):
    """Origin of an unchanged file of another project.

    It is a dependency of wheels built here, or upstream.toml names it.
    """


Origin = Built | Mirrored


class Release(msgspec.Struct, frozen=True, kw_only=True, tag_field="format", tag=FORMAT, gc=False):
    """One published wheel.

    `project` and `version` are normalized, `size` is in bytes, hashes are hexadecimal sha256.

    - `metadata_sha256`: hash of the wheel's METADATA, None where it can't be fetched by itself (PEP 658).
    - `yanked`: the reason, or None. `yanked_upstream`: the reason that the file's own project gave at the last refresh,
      None where it hasn't yanked the file; a different `yanked` is ours.
    - `uploaded`: time of publication in UTC (`2026-11-22T09:30:00Z`).
    - `url`: address of the file, with its METADATA at `url` + `.metadata`; None where the index has the file itself.
    - `tracks`: page of the project on another index that this one extends (PEP 708).
    - `provenance_url`: address of the provenance (PEP 740); `provenance_sha256`: its hash, for wheels built here.
    - `listed`: False omits the file from the pages; the file itself stays.

    Fields after `yanked` are optional in the ledger: an entry omits them where they have their default.
    """

    filename: str
    project: str
    version: str
    sha256: Sha256
    size: int
    requires_python: str | None
    metadata_sha256: Sha256 | None
    origin: Origin
    yanked: Reason | None = None
    uploaded: Time | None = None
    url: Url | None = None
    tracks: Url | None = None
    provenance_url: Url | None = None
    provenance_sha256: Sha256 | None = None
    listed: bool = True
    yanked_upstream: Reason | None = None

    def description(self) -> Release:
        """Return only the wheel's own facts, as `describe_wheel` reads them."""
        return replace(self, **_PUBLISHING_DEFAULTS)


# Fields that publishing adds; the wheel has all others.
PUBLISHING_FIELDS = frozenset(
    {"yanked", "uploaded", "url", "tracks", "provenance_url", "provenance_sha256", "listed", "yanked_upstream"}
)
_PUBLISHING_DEFAULTS = {
    field.name: field.default for field in msgspec.structs.fields(Release) if field.name in PUBLISHING_FIELDS
}


def now() -> str:
    """Return the current time as the ledger writes it."""
    return datetime.now(UTC).strftime(TIME_FORMAT)


def sort_releases(releases: Iterable[Release]) -> tuple[Release, ...]:
    """Sort by project and file name, the order of `Ledger.read`."""
    return tuple(sorted(releases, key=lambda release: (release.project, release.filename)))
