"""Crates for Rust builds: vendored while the network is on, so that cargo builds offline."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from factory.model.artifacts import Crate
from factory.model.job import ProjectMetadata
from factory.model.markers import requirements_for
from factory.model.protocols import BUILD, SOURCE, Command
from factory.model.recipe import Recipe
from factory.stages.builders.base import UNWRITTEN, Build
from factory.stages.builders.vendored_crates import CargoSources, is_vendored, needs_no_registry, read_sources
from factory.util.atomic_files import write_file

# A build requirement on one of these means that cargo compiles the project.
RUST_BACKENDS = frozenset({"maturin", "setuptools-rust"})
MANIFEST, LOCK = "Cargo.toml", "Cargo.lock"
NO_SOURCES = CargoSources()
# In the job's folder: paths of Cargo.lock files that the source lacks.
UNLOCKED = "unlocked-crates.json"
# Texts of the Cargo.lock files that cargo generated instead, by path.
MADE_LOCKS = "made-locks.json"
HOME = BUILD / "cargo"
# Downloads are cached for other builds. The host's configured registries (see factory/host) apply to downloads only:
# the build reads all crates from one folder, and cargo verifies them against the checksums in Cargo.lock.
VENDOR = f"""
set -eu
mkdir -p {HOME}
rm -f {HOME}/host.toml  # of an earlier factory's job
# In memory: it can have secrets, and later commands see /build.
host=$(mktemp -d -p /dev/shm)
trap 'rm -r "$host"' EXIT
printf %s "${{HOST_CARGO_CONFIG-}}" > "$host/host.toml"
cargo --config "$host/host.toml" vendor --versioned-dirs --respect-source-config "$@" /build/crates > {HOME}/partial
mv {HOME}/partial {HOME}/config.toml
"""
DOWNLOADS = {"CARGO_HOME": "/packages/cargo"}
# cargo adds these flags to those in a project's configuration; RUSTFLAGS would replace them.
VARIABLES = {
    "CARGO_HOME": str(HOME),
    "CARGO_NET_OFFLINE": "true",
    "CARGO_BUILD_RUSTFLAGS": "--remap-path-prefix=/build=.",
}


def needs_rust(metadata: ProjectMetadata, recipe: Recipe, python: str) -> bool:
    """Return true if the build requirements for a Python or the recipe call for cargo."""
    required = {canonicalize_name(each.name) for each in requirements_for(metadata.build_requires, python)}
    return recipe.build.rust or not required.isdisjoint(RUST_BACKENDS)


def fetch(build: Build) -> None:
    """Vendor every crate of the source's Cargo.lock files, unless the source holds them all.

    Without such a file, take the newest that fit. The metadata has Cargo.lock files that an earlier build of the same
    source generated.

    Raises:
        CommandFailed: a crate is not available, or its checksum differs from the lock file.
        BuildFailed: a Cargo.lock file is not a regular file.
    """
    for path, text in build.metadata.cargo_locks.items():
        build.outputs.write(_in_source(path), text.encode())
    sources = read_sources(build.outputs)
    manifests = [each for each in find_manifests(build.work / "src", sources) if not _is_complete(build, each, sources)]
    if not manifests:
        return
    _note_unlocked(build, manifests)
    first, *others = (str(SOURCE / manifest) for manifest in manifests)
    words = ["--manifest-path", first, *(word for other in others for word in ("--sync", other))]
    vendor = Command(["sh", "-c", VENDOR, "cargo", *words], env=DOWNLOADS, cwd=UNWRITTEN, network=True, crates=True)
    build.sandbox.run(vendor, log=build.log)
    _note_made(build)


def made_locks(folder: Path) -> dict[str, str]:
    """Return the Cargo.lock files that cargo generated: paths in the source -> texts.

    `folder` is the job's.
    """
    note = folder / MADE_LOCKS
    return dict(json.loads(note.read_text())) if note.is_file() else {}


def locked_crates(build: Build) -> tuple[Crate, ...]:
    """Return the crates that Cargo.lock files pin, without the source's own."""
    if not needs_rust(build.metadata, build.recipe, build.python):
        return ()
    manifests = find_manifests(build.work / "src", read_sources(build.outputs))
    locks = [_in_source(str(manifest.with_name(LOCK))) for manifest in manifests]
    texts = (build.outputs.read_text(lock) for lock in locks if build.outputs.has(lock))
    found = {crate for text in texts for crate in parse_lock(text)}
    return tuple(sorted(found, key=lambda crate: (crate.name, crate.version, crate.sha256)))


def parse_lock(text: str) -> Iterator[Crate]:
    """Yield the crates of a Cargo.lock file that come from a registry or a repository.

    cargo has read it; the build can have changed it since, so that others are skipped.
    """
    try:
        packages = tomllib.loads(text).get("package", [])
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    for each in packages if isinstance(packages, list) else ():
        if isinstance(each, dict) and each.get("source"):
            values = [str(each.get(name, "")) for name in ("name", "version", "checksum")]
            if re.fullmatch(r"(?a)[\w-]+", values[0]):
                yield Crate(name=values[0], version=values[1], sha256=values[2])


def put_back_locks(build: Build) -> None:
    """Restore generated Cargo.lock files in a new copy of the source."""
    for path, text in made_locks(build.folder).items():
        if not build.outputs.has(_in_source(path)):
            build.outputs.write(_in_source(path), text.encode())


def _in_source(path: str) -> str:
    return f"{SOURCE.name}/{path}"


def _note_unlocked(build: Build, manifests: Sequence[PurePosixPath]) -> None:
    """List missing Cargo.lock files before cargo generates them.

    A resumed fetch then knows which of them were generated.
    """
    note = build.folder / UNLOCKED
    if not note.is_file():
        locks = [str(manifest.with_name(LOCK)) for manifest in manifests]
        write_file(note, json.dumps([lock for lock in locks if not build.outputs.has(_in_source(lock))]).encode())


def _note_made(build: Build) -> None:
    unlocked = json.loads((build.folder / UNLOCKED).read_text())
    made = [path for path in unlocked if build.outputs.has(_in_source(path))]
    texts = {path: build.outputs.read_text(_in_source(path)) for path in made}
    write_file(build.folder / MADE_LOCKS, json.dumps(texts).encode())


def _is_complete(build: Build, manifest: PurePosixPath, sources: CargoSources) -> bool:
    lock = _in_source(str(manifest.with_name(LOCK)))
    if not build.outputs.has(lock) or not needs_no_registry(build.outputs.read_text(lock), sources):
        return False
    build.log.write(f"# {manifest}: the source holds its crates, so none is fetched\n")
    return True


def find_manifests(source: Path, sources: CargoSources = NO_SOURCES) -> list[PurePosixPath]:
    """Return the Cargo.toml files that have a Cargo.lock; if none has, the outermost ones.

    Crates that the source holds for others are left out.
    """
    paths = (PurePosixPath(path.relative_to(source)) for path in source.rglob(MANIFEST))
    own = (path for path in paths if not is_vendored(path, source, sources))
    found = sorted(own, key=lambda path: (len(path.parts), path))
    chosen = [path for path in found if (source / path).with_name(LOCK).is_file()]
    if not chosen:
        folders = {path.parent for path in found}
        chosen = [path for path in found if folders.isdisjoint(path.parent.parents)]
    return chosen
