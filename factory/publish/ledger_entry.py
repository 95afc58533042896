"""A ledger entry: the JSON file of one release, encoded, decoded and verified."""

from __future__ import annotations

import json

import msgspec

from factory.errors import PublishError
from factory.publish.release import FORMAT, Release
from factory.publish.wheel_filename import parse_filename
from factory.util.atomic_files import content_of
from factory.util.jsonio import DAMAGED, decode

# Every entry states these, null or not; the other fields that may be omitted are, where they have their default.
_ALWAYS_STATED = frozenset({"yanked"})
_OMITTED = {
    field.name: field.default
    for field in msgspec.structs.fields(Release)
    if not field.required and field.name not in _ALWAYS_STATED
}


class _Entry(msgspec.Struct):
    """The number of an entry's format, which every format states."""

    format: int


def encode_entry(release: Release) -> bytes:
    """Encode a release as its ledger file: the same release gives the same bytes."""
    fields: dict[str, object] = msgspec.to_builtins(release)
    stated = {name: value for name, value in fields.items() if name not in _OMITTED or value != _OMITTED[name]}
    return (json.dumps(stated, indent=2, sort_keys=True) + "\n").encode()


def load_entry(folder: str, name: str) -> Release:
    """Read the ledger file `name` in the project's `folder`.

    Raises:
        PublishError: it is damaged, or belongs to another project or file.
    """
    try:
        release = _decode(content_of(f"{folder}/{name}"))
        if name != f"{release.filename}.json" or not folder.endswith(f"/{release.project}"):
            raise ValueError(f"it describes {release.filename}")
    except (*DAMAGED, PublishError) as error:
        raise PublishError(
            f"{folder}/{name}: ledger entry is damaged: {error}",
            hint=f"restore it from the last commit: git checkout -- {name}, in its folder",
        ) from error
    return release


def _decode(content: bytes) -> Release:
    try:
        release = decode(content, Release)
    except msgspec.ValidationError:
        number = decode(content, _Entry).format
        if number != FORMAT:
            raise ValueError(f"format {number} is unknown; this program reads {FORMAT}") from None
        raise
    if parse_filename(release.filename) != (release.project, release.version):
        raise ValueError(f"{release.filename} is not a file of {release.project} {release.version}")
    return release
