"""Tests of Rust builds: detection, manifests with crates, and the host's cargo configuration."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import EnvironmentSetupError
from factory.host.cargo import CONFIG_VARIABLE, cargo_settings
from factory.host.network import CA_INSIDE, host_network
from factory.model.artifacts import Crate
from factory.model.job import ProjectMetadata
from factory.model.protocols import Command
from factory.model.recipe import BuildOptions, Recipe
from factory.stages.builders.base import Build
from factory.stages.builders.cargo import fetch, find_manifests, made_locks, needs_rust, parse_lock, put_back_locks
from factory.stages.builders.vendored_crates import read_sources
from factory.stages.sources.pypi import PypiSource
from factory.util.log import LogSink
from factory.util.untrusted import UntrustedFolder
from tests.support.logs import MemoryLog

CONFIGURED = """
[build]
rustc-wrapper = "/usr/local/bin/sccache"
[source.crates-io]
replace-with = "company"
[source.company]
registry = "sparse+https://crates.example/index/"
[registries.private]
index = "https://private.example/index"
[http]
cainfo = "/home/me/company.pem"
multiplexing = false
[target.x86_64-unknown-linux-gnu]
linker = "clang"
"""


def project(*requires: str) -> ProjectMetadata:
    return ProjectMetadata(name="demo", version="1", build_backend="backend", build_requires=requires)


def recipe(*, rust: bool = False) -> Recipe:
    source = PypiSource(project="demo", version="1", sha256="0" * 64)
    return Recipe(name="demo", version="1", directory=Path(), source=source, build=BuildOptions(rust=rust))


@pytest.mark.parametrize("requirement", ["maturin>=1.0,<2.0", "setuptools_rust", "Setuptools-Rust[x] >= 1.5"])
def test_rust_backend_in_requirements_needs_rust(requirement: str) -> None:
    assert needs_rust(project("setuptools", requirement), recipe(), "3.13")


def test_other_builds_need_rust_only_by_recipe() -> None:
    assert not needs_rust(project("setuptools", "cmake"), recipe(), "3.13")
    assert not needs_rust(project("setuptools-rust; platform_machine != 'riscv64'"), recipe(), "3.13")
    assert needs_rust(project("setuptools"), recipe(rust=True), "3.13")


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def manifests(folder: Path) -> list[str]:
    return [str(path) for path in find_manifests(folder)]


def test_manifests_with_lock_name_the_crates(tmp_path: Path) -> None:
    files(tmp_path, "core/Cargo.toml", "bindings/python/Cargo.toml", "bindings/python/Cargo.lock", "docs/Cargo.lock")
    assert manifests(tmp_path) == ["bindings/python/Cargo.toml"]


def test_manifests_without_lock_use_outermost(tmp_path: Path) -> None:
    files(tmp_path, "rust/Cargo.toml", "rust/member/Cargo.toml", "other/deep/Cargo.toml")
    assert manifests(tmp_path) == ["rust/Cargo.toml", "other/deep/Cargo.toml"]


def test_a_source_without_manifests_has_no_crates(tmp_path: Path) -> None:
    assert manifests(files(tmp_path, "setup.py")) == []


VENDORED = """
[source.crates-io]
replace-with = "vendored-sources"
[source.vendored-sources]
directory = "include/cargo"
"""
LOCKED = '[[package]]\nname = "itoa"\nsource = "registry+https://crates.invalid/index"\n'


def holding(folder: Path, *, configured: str = VENDORED, lock: str = LOCKED) -> Path:
    """Write a source that holds its crates, as orjson 3.13.0 does."""
    files(folder, ".cargo/config.toml", "Cargo.toml", "Cargo.lock")
    for crate in ("itoa-1.0", "quote-1.0"):
        files(folder, *(f"include/cargo/{crate}/{name}" for name in ("Cargo.toml", "Cargo.lock")))
    (folder / ".cargo/config.toml").write_text(configured)
    (folder / "Cargo.lock").write_text(lock)
    return folder


def test_crates_that_a_source_holds_are_no_manifests(tmp_path: Path) -> None:
    source = holding(tmp_path / "src")
    assert [str(path) for path in find_manifests(source, read_sources(UntrustedFolder(tmp_path)))] == ["Cargo.toml"]
    # Without a configuration, crates of a directory source show themselves by their checksums.
    files(source, *(f"include/cargo/{crate}/.cargo-checksum.json" for crate in ("itoa-1.0", "quote-1.0")))
    assert manifests(source) == ["Cargo.toml"]


@pytest.mark.parametrize(
    ("configured", "lock", "runs"),
    [
        (VENDORED, LOCKED, 0),
        (VENDORED, f'{LOCKED}source = "git+https://h.example/x#1"\n', 1),
        (VENDORED.replace('replace-with = "v', 'replace-with = "w'), LOCKED, 1),
        (VENDORED.replace("include/cargo", "../elsewhere"), LOCKED, 1),
        ("[source.crates-io]\nreplace-with = 'crates-io'\n", LOCKED, 1),
        ("[source", LOCKED, 1),
        ("source = 1", LOCKED, 1),
    ],
)
def test_nothing_is_fetched_where_all_crates_are_held(
    tmp_path: Path, log: MemoryLog, configured: str, lock: str, runs: int
) -> None:
    holding(tmp_path / "src", configured=configured, lock=lock)
    fetch(build := build_in(tmp_path, log))
    assert isinstance(build.sandbox, Nowhere)
    assert build.sandbox.runs == runs


class Nowhere:
    """Sandbox whose commands only write a lock file, as cargo does."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.inputs = work / "inputs"
        self.runs = 0

    def run(self, command: Command, *, log: LogSink) -> None:
        self.runs += 1
        lock = self.work / "src/Cargo.lock"
        if not lock.is_file():
            lock.write_text("made")


def build_in(folder: Path, log: MemoryLog, **locks: str) -> Build:
    """Return a build in the job's folder, whose metadata has the Cargo.lock files."""
    metadata = replace(project(), cargo_locks={name.replace("_", "."): text for name, text in locks.items()})
    return Build(sandbox=Nowhere(folder), folder=folder, recipe=recipe(), metadata=metadata, python="3.13", log=log)


def fetched(folder: Path, log: MemoryLog, **locks: str) -> dict[str, str]:
    fetch(build_in(folder, log, **locks))
    return made_locks(folder)


def test_generated_lock_differs_from_lock_of_source(tmp_path: Path, log: MemoryLog) -> None:
    files(tmp_path / "one", "src/Cargo.toml")
    assert fetched(tmp_path / "one", log) == {"Cargo.lock": "made"}
    assert fetched(tmp_path / "one", log) == {"Cargo.lock": "made"}  # also after a fetch that was killed
    files(tmp_path / "two", "src/Cargo.toml", "src/Cargo.lock")
    assert fetched(tmp_path / "two", log) == {}


def test_generated_lock_is_restored_in_new_copy_of_source(tmp_path: Path, log: MemoryLog) -> None:
    lock = files(tmp_path, "src/Cargo.toml") / "src/Cargo.lock"
    fetched(tmp_path, log)
    lock.unlink()
    assert made_locks(tmp_path) == {"Cargo.lock": "made"}
    put_back_locks(build_in(tmp_path, log))
    assert lock.read_text() == "made"


def test_a_recorded_lock_is_put_into_the_source_again(tmp_path: Path, log: MemoryLog) -> None:
    files(tmp_path, "src/Cargo.toml")
    fetched(tmp_path, log, Cargo_lock="recorded")
    assert (tmp_path / "src/Cargo.lock").read_text() == "recorded"


def test_cargo_gets_host_registries_only(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIGURED)
    environment = {"CARGO_HOME": str(tmp_path), "CARGO_REGISTRIES_PRIVATE_TOKEN": "secret", "CARGO_BUILD_JOBS": "1"}
    settings = cargo_settings(environment)
    assert settings.keys() == {"CARGO_REGISTRIES_PRIVATE_TOKEN", CONFIG_VARIABLE}
    configuration = tomllib.loads(settings[CONFIG_VARIABLE])
    assert configuration.keys() == {"source", "registries", "http"}
    assert configuration["source"]["crates-io"] == {"replace-with": "company"}
    assert configuration["http"] == {"multiplexing": False}


def test_a_host_without_cargo_hands_on_nothing(tmp_path: Path) -> None:
    assert cargo_settings({"HOME": str(tmp_path)}) == {}


def test_a_configuration_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / ".cargo").mkdir()
    (tmp_path / ".cargo/config.toml").write_text("[source\n")
    with pytest.raises(EnvironmentSetupError, match=r"\.cargo/config\.toml") as caught:
        cargo_settings({"HOME": str(tmp_path)})
    assert "correct or remove it" in (caught.value.hint or "")


def test_cargo_gets_the_hosts_certificates(tmp_path: Path) -> None:
    bundle = tmp_path / "company.pem"
    bundle.touch()
    shown = host_network({"HOME": str(tmp_path), "CARGO_HTTP_CAINFO": str(bundle)})
    assert shown.environment["CARGO_HTTP_CAINFO"] == CA_INSIDE
    assert shown.files[bundle] == CA_INSIDE


def test_lock_gives_crates_from_elsewhere_only() -> None:
    checksum = "7" * 64
    lock = f"""
version = 4
[[package]]
name = "own"
version = "0.1.0"
[[package]]
name = "serde"
version = "1.0.2"
source = "registry+https://crates.example/index"
checksum = "{checksum}"
[[package]]
name = "forked"
version = "2.0.0"
source = "git+https://user:secret@git.example/forked#0123"
[[package]]
name = "../../x"
version = "1"
source = "registry+x"
"""
    assert list(parse_lock(lock)) == [
        Crate(name="serde", version="1.0.2", sha256=checksum),
        Crate(name="forked", version="2.0.0"),
    ]


@pytest.mark.parametrize("text", ["[[package", 'package = "x"', "package = [1]", "[" * 5000])
def test_lock_that_the_build_damaged_has_no_crates(text: str) -> None:
    assert list(parse_lock(text)) == []
