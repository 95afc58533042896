"""Crates for builds in Rust: put beside the source while the network is on, so that cargo needs none to build."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from factory.model.job import ProjectMetadata
from factory.model.protocols import BUILD, SOURCE, Command, Sandbox
from factory.model.recipe import Recipe
from factory.util.log import LogSink

# What a build requirement on one of these says: the project is compiled by cargo.
RUST_BACKENDS = frozenset({"maturin", "setuptools-rust"})
MANIFEST, LOCK = "Cargo.toml", "Cargo.lock"
# Beside the source: the paths of Cargo.lock files that it lacks.
UNLOCKED = "unlocked-crates.json"
# And the texts of those that cargo made instead, by their paths.
MADE_LOCKS = "made-locks.json"
HOME = BUILD / "cargo"
# Downloads are kept for other builds. The registries that the host is configured with (see host_network) apply to them
# alone: the build finds all in one folder, whose files cargo holds against the checksums that Cargo.lock had.
VENDOR = f"""
set -eu
mkdir -p {HOME}
printf %s "${{HOST_CARGO_CONFIG-}}" > {HOME}/host.toml
cargo --config {HOME}/host.toml vendor --versioned-dirs --respect-source-config "$@" /build/crates > {HOME}/partial
mv {HOME}/partial {HOME}/config.toml
"""
DOWNLOADS = {"CARGO_HOME": "/packages/cargo"}
# cargo's own variable for flags joins those in a project's configuration, where RUSTFLAGS would replace them.
VARIABLES = {
    "CARGO_HOME": str(HOME),
    "CARGO_NET_OFFLINE": "true",
    "CARGO_BUILD_RUSTFLAGS": "--remap-path-prefix=/build=.",
}


def needs_rust(metadata: ProjectMetadata, recipe: Recipe) -> bool:
    """Whether cargo takes part in the build: its requirements say so, or the recipe does."""
    required = {canonicalize_name(Requirement(text).name) for text in metadata.build_requires}
    return recipe.build.rust or not required.isdisjoint(RUST_BACKENDS)


def fetch(sandbox: Sandbox, locks: Mapping[str, str], log: LogSink) -> None:
    """Put every crate that the source's Cargo.lock files name beside it; without such a file, the newest that fit.

    `locks` are Cargo.lock files that an earlier build of the same source had to make: paths in the source -> texts.

    Raises:
        CommandFailed: a crate can't be had, or is not what the lock says.
    """
    source = sandbox.work / "src"
    for path, text in locks.items():
        (source / path).write_text(text, encoding="utf-8")
    manifests = find_manifests(source)
    if not manifests:
        return
    _note_unlocked(sandbox.work, manifests)
    first, *others = map(str, manifests)
    words = ["--manifest-path", first, *(word for other in others for word in ("--sync", other))]
    sandbox.run(Command(["sh", "-c", VENDOR, "cargo", *words], env=DOWNLOADS, cwd=SOURCE, network=True), log=log)
    _note_made(sandbox.work)


def made_locks(work: Path) -> dict[str, str]:
    """The Cargo.lock files that cargo made where the source has none, as `fetch` takes them."""
    note = work / MADE_LOCKS
    return dict(json.loads(note.read_text())) if note.is_file() else {}


def put_back_locks(work: Path) -> None:
    """Write the files that cargo made where the source lacks them again, since a build that was cut gets a new copy."""
    for path, text in made_locks(work).items():
        if not (work / "src" / path).is_file():
            (work / "src" / path).write_text(text, encoding="utf-8")


def _note_unlocked(work: Path, manifests: Sequence[PurePosixPath]) -> None:
    """Before cargo makes them, so that a fetch that was killed doesn't take them for the source's own afterwards."""
    note = work / UNLOCKED
    if not note.is_file():
        locks = [manifest.with_name(LOCK) for manifest in manifests]
        note.write_text(json.dumps([str(lock) for lock in locks if not (work / "src" / lock).is_file()]))


def _note_made(work: Path) -> None:
    made = [path for path in json.loads((work / UNLOCKED).read_text()) if (work / "src" / path).is_file()]
    texts = {path: (work / "src" / path).read_text(encoding="utf-8") for path in made}
    (work / MADE_LOCKS).write_text(json.dumps(texts))


def find_manifests(source: Path) -> list[PurePosixPath]:
    """The Cargo.toml files below `source` that have a Cargo.lock beside them; if none has, the outermost ones."""
    found = sorted(source.rglob(MANIFEST), key=lambda path: (len(path.parts), path))
    chosen = [path for path in found if path.with_name(LOCK).is_file()]
    if not chosen:
        folders = {path.parent for path in found}
        chosen = [path for path in found if folders.isdisjoint(path.parent.parents)]
    return [PurePosixPath(path.relative_to(source)) for path in chosen]
