"""The simple repository as static files: complete HTML pages, and JSON.

Names, links and hashes follow PEP 503, the version tag PEP 629, yanking PEP 592, metadata files PEP 658 and 714, JSON
PEP 691 and 700, tracked projects PEP 708, provenance PEP 740. Links to the index's own files are relative, so that the
tree works at any address and from a folder.
"""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from urllib.parse import quote, urlsplit

from packaging.version import Version

from factory.publish.release import Release
from factory.util.atomic_files import write_if_changed
from factory.util.jsonio import encode

API_VERSION = "1.3"
JSON_NAME = "index.v1+json"
FILES = "../../files/"  # from the folder of a project's pages
_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|::1")


def write_pages(releases: Sequence[Release], out: Path) -> tuple[Path, ...]:
    """Write `<out>/simple/`; returns the pages that were new or changed."""
    pages = simple_pages(releases, out)
    return tuple(path for path, text in pages.items() if write_if_changed(path, text.encode()))


def write_html(releases: Sequence[Release], out: Path) -> None:
    """Write only the projects' HTML pages, for installers that read this folder."""
    for project, published in _by_project(releases).items():
        text = _project_html(project, _listed(published))
        write_if_changed(f"{out}/simple/{project}/index.html", text.encode())


def simple_pages(releases: Sequence[Release], out: Path) -> dict[Path, str]:
    """Return the text of every page below `<out>/simple/`.

    The root pages follow those of the projects.
    """
    pages: dict[Path, str] = {}
    projects = _by_project(releases)
    for project, published in projects.items():
        folder = out / "simple" / project
        pages |= {folder / name: text for name, text in project_pages(project, published).items()}
    return pages | {out / "simple" / name: text for name, text in root_pages(tuple(projects)).items()}


def project_pages(project: str, published: Sequence[Release]) -> dict[str, str]:
    """Return a project's two pages by file name; `published` is ordered by version."""
    files = _listed(published)
    return {"index.html": _project_html(project, files), JSON_NAME: _project_json(project, files)}


def root_pages(projects: Sequence[str]) -> dict[str, str]:
    """Return the two root pages, which list all projects, by file name."""
    return {"index.html": _root_html(projects), JSON_NAME: _root_json(projects)}


def install_lines(url: str) -> list[str]:
    """Return the install commands of a simple repository, with pip and uv, for a shell."""
    return [f"pip install {pip_options(url)} NAME", f"uv pip install --default-index {shlex.quote(url)} NAME"]


def pip_options(url: str) -> str:
    """Return pip's options for the simple repository at `url`, for a shell."""
    host = trusted_host(url)
    return shlex.join(["--index-url", url, *(["--trusted-host", host] if host else [])])


def trusted_host(url: str) -> str:
    """Return the host that pip ignores unless it is told to trust it, empty if there is none.

    It is the host of an http address that is not of this machine.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    return host if parts.scheme == "http" and not _LOOPBACK.fullmatch(host) else ""


def _listed(published: Sequence[Release]) -> list[Release]:
    return [release for release in published if release.listed]


def _by_project(releases: Sequence[Release]) -> Mapping[str, Sequence[Release]]:
    ordered = sorted(releases, key=lambda release: (release.project, Version(release.version), release.filename))
    return {project: tuple(files) for project, files in groupby(ordered, key=lambda release: release.project)}


def _page(title: str, lines: Sequence[str], tracks: Sequence[str] = ()) -> str:
    meta = [("pypi:repository-version", API_VERSION), *(("pypi:tracks", url) for url in tracks)]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        + "".join(f'<meta name="{name}" content="{html.escape(content)}">\n' for name, content in meta)
        + f"<title>{html.escape(title)}</title>\n</head>\n"
        + f"<body>\n<h1>{html.escape(title)}</h1>\n"
        + "".join(f"{line}<br>\n" for line in lines)
        + "</body>\n</html>\n"
    )


def _root_html(projects: Sequence[str]) -> str:
    return _page("Simple index", [f'<a href="{quote(name)}/">{html.escape(name)}</a>' for name in projects])


def _root_json(projects: Sequence[str]) -> str:
    return _json({"projects": [{"name": name} for name in projects]})


def _project_html(project: str, files: Sequence[Release]) -> str:
    return _page(f"Links for {project}", [_anchor(release) for release in files], _tracks(files))


def _tracks(files: Sequence[Release]) -> list[str]:
    return sorted({release.tracks for release in files if release.tracks is not None})


def _anchor(release: Release) -> str:
    """Return a file's link.

    Values that can't contain markup, such as hashes, are not escaped, for speed.
    """
    attributes = f'href="{html.escape(file_link(release))}#sha256={release.sha256}"'
    if release.requires_python is not None:
        attributes += f' data-requires-python="{html.escape(release.requires_python)}"'
    if (sha256 := release.metadata_sha256) is not None:
        # PEP 714: current clients read the first name, older ones only the second.
        attributes += f' data-core-metadata="sha256={sha256}" data-dist-info-metadata="sha256={sha256}"'
    if release.yanked is not None:
        attributes += f' data-yanked="{html.escape(release.yanked)}"'
    if release.provenance_url is not None:
        attributes += f' data-provenance="{html.escape(release.provenance_url)}"'
    return f"<a {attributes}>{html.escape(release.filename)}</a>"


def _project_json(project: str, files: Sequence[Release]) -> str:
    versions = list(dict.fromkeys(release.version for release in files))
    entries = [_file_entry(release) for release in files]
    return _json({"name": project, "versions": versions, "files": entries}, _tracks(files))


def _file_entry(release: Release) -> Mapping[str, object]:
    metadata = False if release.metadata_sha256 is None else {"sha256": release.metadata_sha256}
    entry: dict[str, object] = {
        "filename": release.filename,
        "url": file_link(release),
        "hashes": {"sha256": release.sha256},
        "size": release.size,
        "core-metadata": metadata,
        "dist-info-metadata": metadata,
        "yanked": release.yanked if release.yanked is not None else False,
    }
    if release.requires_python is not None:
        entry["requires-python"] = release.requires_python
    if release.uploaded is not None:
        entry["upload-time"] = release.uploaded
    if release.provenance_url is not None:
        entry["provenance"] = release.provenance_url
    return entry


def file_link(release: Release) -> str:
    """Return the link to a release's file, relative to its project's pages."""
    return release.url or f"{FILES}{quote_path(release.filename)}"


@lru_cache(maxsize=1 << 14)  # the same names are in many places
def quote_path(text: str) -> str:
    """Quote text as one segment of a URL's path."""
    return quote(text, safe="")


def _json(content: Mapping[str, object], tracks: Sequence[str] = ()) -> str:
    meta = {"api-version": API_VERSION, **({"tracks": tracks} if tracks else {})}
    return encode({"meta": meta, **content}).decode() + "\n"
