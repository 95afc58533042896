"""A closure of projects that we don't build: all that some requirements need, as links to their own projects' files."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from factory.errors import PublishError
from factory.model.target import PYTHONS
from factory.publish.ledger import Built, Ledger, Mirrored, Release, now
from factory.publish.placement import write_simple
from factory.publish.resolver import Pin, Unresolvable, open_environment, resolve
from factory.publish.upstream_index import Upstream, configured_upstream
from factory.util.log import LogSink
from factory.util.wheel_tags import glibc_of, serves

GONE = "its project took it from its index"


def refresh(requirements: Sequence[str], *, ledger: Ledger, output: Path, log: LogSink) -> tuple[Release, ...]:
    """Look up what `requirements` need on riscv64 now, on each Python, and link to it; returns what is new or changed.

    What was linked before stays, since somebody may have pinned it: it is yanked as long as its project yanks it or has
    removed it, or we yanked it ourselves. Copies follow yanks too; those of removed files still serve. `output` is the
    written index, which has our own files. Each requirement is looked up alone, so that no two have to agree.

    Raises:
        PublishError: a requirement can't be met by wheels, or not by any that can be linked, or the package index can't
            be asked; nothing is changed.
    """
    with ledger.locked():
        published = ledger.read()
        built = [release for release in published if isinstance(release.origin, Built)]
        wanted = _hashes(_pins(requirements, built, output / "files", log), {release.project for release in built})
        mirrored = [each for each in published if isinstance(each.origin, Mirrored)]
        for release in mirrored:
            wanted.setdefault(release.project, set()).add(release.sha256)
        known = {release.filename for release in published}
        with configured_upstream() as upstream:
            found = {release.filename: release for release in _found(wanted, known, upstream)}
        new = [replace(each, uploaded=each.uploaded or now()) for name, each in found.items() if name not in known]
        _require_links(new)
        ledger.verify_all(list(found.values()))
        changed = ledger.update(
            _as_it_is_now(release, found.get(release.filename), upstream.page(release.project)) for release in mirrored
        )
        return (*(ledger.add(release) for release in new), *changed)


def _pins(requirements: Sequence[str], built: Sequence[Release], files: Path, log: LogSink) -> list[Pin]:
    pins: list[Pin] = []
    missing = []
    with tempfile.TemporaryDirectory(prefix="factory-closure-") as folder:
        ours = [
            replace(release, url=release.url or (files / release.filename).absolute().as_uri()) for release in built
        ]
        write_simple(ours, lambda _release: files, Path(folder))
        environment = open_environment(Path(folder) / "simple")
        for requirement in requirements:
            for python in PYTHONS:
                try:
                    pins += resolve(requirement, python=python, environment=environment, log=log)
                except Unresolvable as error:
                    missing.append(f"for Python {python}, {error.message}")
    if missing:
        raise PublishError(
            "\n".join(missing), hint="take these out of upstream.toml, or write a recipe for what is missing"
        )
    return pins


def _hashes(pins: Iterable[Pin], ours: set[str]) -> dict[str, set[str]]:
    """The sha256 of the pinned files by project, but for projects that we build."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for pin in pins:
        if pin.project not in ours:
            wanted[pin.project] |= {
                word.partition("sha256:")[2] for word in pin.requirement.split() if "sha256:" in word
            }
    return wanted


def _found(wanted: Mapping[str, set[str]], known: Collection[str], upstream: Upstream) -> list[Release]:
    """The wheels of these hashes that are known or of use: uv names those for other machines and other Pythons too."""
    found = [release for project in sorted(wanted) for release in upstream.wheels(project, wanted[project])]
    return [release for release in found if release.filename in known or _of_use(release.filename)]


def _require_links(releases: Sequence[Release]) -> None:
    names = [release.filename for release in releases if release.url is None]
    if names:
        raise PublishError(
            "these files can't be linked, since their addresses on the package index have a query, which may be a "
            f"credential: {', '.join(names)}",
            hint="take what needs them out of upstream.toml; factory index keeps copies of what our own wheels need",
        )


def _of_use(filename: str) -> bool:
    platforms = filename.removesuffix(".whl").rpartition("-")[2].split(".")
    ours = any(each == "any" or glibc_of(each) is not None for each in platforms)
    return ours and any(serves(filename, python) for python in PYTHONS)


def _as_it_is_now(release: Release, found: Release | None, page: str) -> Release:
    """A link as its project has it now; `page` is where that was looked for: another index may never have had it."""
    if found is None or found.sha256 != release.sha256:
        stays = release.url is None or release.yanked is not None or release.tracks not in (None, page)
        return release if stays else replace(release, yanked=GONE)
    ours = None if release.yanked in (GONE, release.yanked_upstream) else release.yanked
    release = replace(release, yanked=ours or found.yanked, yanked_upstream=found.yanked)
    if release.url is None or found.url is None:
        return replace(release, tracks=found.tracks)
    return replace(release, url=found.url, metadata_sha256=found.metadata_sha256)
