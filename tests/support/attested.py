"""Stored wheels with records, signed statements of them, and an index that has both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factory.cli.main import main
from factory.model.artifacts import RepairedWheel
from factory.model.record import BuildRecord
from factory.publish.attest import attest_with_key, attestable
from factory.publish.index_files import write_simple
from factory.publish.own_keys import make_key
from factory.publish.statement_files import copy_statements
from factory.publish.wheel_metadata import describe_wheel
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from tests.support.recipes import SMALLEST, write
from tests.support.records import record
from tests.support.wheelmaker import BUILT, make_wheel


def built(folder: Path, name: str = "demo", made: Path | None = None, **changes: object) -> Path:
    """Put a wheel, its record and its recipe into a project; return its path."""
    made = made or make_wheel(folder / "wheels", name)
    if not (folder / "recipes" / name).exists():
        write(folder / "recipes", SMALLEST.replace("spam", name), name)
    store, fields = Store(folder / "cache/store"), {"name": name, "key": sha256_of(made), **changes}
    kept: BuildRecord = replace(record(), **fields)  # type: ignore[arg-type]
    wheel = RepairedWheel(path=made, sha256=sha256_of(made), platform_tags=("any",))
    return store.wheel_path(store.add(kept, wheel))


def key_of(folder: Path) -> Path:
    """Return a private key in `folder`, made at the first call; its public key is beside it."""
    path = folder / "factory.pem"
    if not path.exists():
        make_key(path)
    return path


def indexed(folder: Path) -> Path:
    """Attest the stored wheels of `folder`, and write an index; return its folder."""
    store, out = Store(folder / "cache/store"), folder / "out"
    wheels = store.published_candidates()
    attest_with_key(attestable(wheels, store.records()), key_of(folder))
    paths = {each.path.name: each.path for each in wheels}
    write_simple([describe_wheel(path, BUILT) for path in paths.values()], lambda each: paths[each.filename], out)
    for each in wheels:
        copy_statements(each.path, each.sha256, None, out / "files")
    return out


def published(folder: Path) -> Path:
    """Attest the stored wheels of `folder`, publish them, and return the index's folder."""
    (folder / "recipes").mkdir(exist_ok=True)
    (folder / "index").mkdir(exist_ok=True)
    assert main(["attest", "--key", str(key_of(folder))]) == 0
    stored = [str(path) for path in (folder / "cache/store/wheels").glob("*/*.whl")]
    project = ["--project", str(folder), "--ledger", str(folder / "index/ledger")]
    assert main(["publish", *stored, *project, "--output", str(folder / "out")]) == 0
    return folder / "out"
