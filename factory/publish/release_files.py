"""Wheels as files of GitHub releases, one release for each version of a project.

A file that was uploaded is never replaced: its name is in the ledger of everyone who pinned it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from factory.errors import PublishError
from factory.host.github import GitHub, Json
from factory.model.artifacts import StoredWheel
from factory.publish.candidates import describe_candidate
from factory.publish.provenance import provenance_path
from factory.publish.wheel_filename import parse_filename
from factory.publish.wheel_metadata import write_metadata
from factory.util.atomic_files import is_file, sha256_of

# State of a file whose upload has ended.
UPLOADED = "uploaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """Addresses of the folders of uploaded wheels, and the refusals of the others."""

    bases: dict[str, str] = field(default_factory=dict)
    refused: dict[str, PublishError] = field(default_factory=dict)


def upload_wheels(candidates: Sequence[StoredWheel], github: GitHub) -> Uploads:
    """Upload wheels that passed their checks, with their METADATA and provenance.

    A wheel that can't be uploaded holds back no other.
    """
    uploads = Uploads()
    for candidate in candidates:
        name = candidate.path.name
        try:
            describe_candidate(candidate, None)  # the bytes that were checked, and provenance of them
            uploads.bases[name] = _upload(candidate.path, github)
        except PublishError as error:
            uploads.refused[name] = error
    return uploads


def _upload(wheel: Path, github: GitHub) -> str:
    """Upload a wheel and its sidecar files; return the address of their folder.

    The wheel comes last: a release that has it is complete.
    """
    project, version = parse_filename(wheel.name)
    tag = f"{project}-{version}"
    release = github.find_release(tag) or github.create_release(tag, f"Wheels of {project} {version} for riscv64.")
    known = github.files_of(release)
    with tempfile.TemporaryDirectory() as folder:
        for path in _files(wheel, Path(folder)):
            file = _uploaded(path, release, known, github)
    return _folder_of(str(file["browser_download_url"]), wheel.name)


def _files(wheel: Path, folder: Path) -> Iterator[Path]:
    yield write_metadata(wheel, folder)
    provenance = provenance_path(wheel)
    yield from [provenance] if is_file(provenance) else []
    yield wheel


def _uploaded(path: Path, release: Json, known: Mapping[str, Json], github: GitHub) -> Json:
    """Return a file of a release, which is uploaded if it is not there.

    Raises:
        PublishError: a file of this name has other bytes, or GitHub gave it another name.
    """
    file = known.get(path.name)
    if file is not None and file["state"] != UPLOADED:
        github.remove_file(file)
        file = None
    if file is None:
        file = github.upload(release, path)
        if file["name"] != path.name:
            github.remove_file(file)
            raise PublishError(
                f"{path.name}: cannot be a file of a release: GitHub calls it {file['name']}",
                hint="publish it with factory index or factory publish --url",
            )
    digest = file.get("digest")  # older servers have none: publishing fetches the file and compares it
    if digest and digest != f"sha256:{sha256_of(path)}":
        raise PublishError(
            f"{path.name}: cannot publish: the release {release['tag_name']} has a file of this name with other bytes",
            hint="a published file never changes; give the rebuilt wheel a build tag: package.build = 1 in its recipe",
        )
    return file


def _folder_of(url: str, filename: str) -> str:
    folder, _, name = url.rpartition("/")
    if name != quote(filename):
        raise PublishError(f"{filename}: unexpected address of the uploaded file: {url}")
    return folder
