"""Whole error messages of each kind, as people read them: tests/snapshots/messages.txt.

Other tests assert on keys and keywords. After a change of wording run
pytest tests/project/test_messages.py --update-snapshots
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from msgspec import structs
from packaging.version import Version

from factory.cli.values import count, duration
from factory.errors import FactoryError
from factory.model.artifacts import SourceTree
from factory.model.recipe import AuditOptions
from factory.model.record import CheckResult
from factory.model.target import Target
from factory.publish.ledger import Ledger
from factory.publish.wheel_filename import parse_filename
from factory.recipes.loader import load_recipes
from factory.recipes.recipe_set import RecipeSet
from factory.stages.audit.auditor import audit_wheel
from factory.stages.audit.report import require_clean
from factory.stages.builders.ccache import configured
from factory.stages.checks.compare_outputs import require_passed
from factory.stages.sources.archive import unpack
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.stages.sources.patches import apply, read_header
from factory.store.store import Store
from factory.util.paths import Layout
from factory.util.process import run
from tests.support.archives import file_entry, tar_bytes
from tests.support.checkouts import ROOT
from tests.support.elf_images import RV64GCV, VSETVLI, Image, code, wheel
from tests.support.layer_stores import layer_store
from tests.support.logs import MemoryLog
from tests.support.releases import RELEASE, numbered

SNAPSHOT = ROOT / "tests" / "snapshots" / "messages.txt"
BROKEN = '[package]\nname = "demo"\nverson = "1.0"\n\n[source]\nkind = "pypi"\nsha256 = "short"\n'
PATCH = "--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-old\n+new\n"
HEADER = "Subject: Fix\nDescription: Why\nUpstream-Status: Pending\n---\n"


def test_messages_are_as_recorded(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    made = "\n".join(f"== {name}\n{raised(cause, tmp_path / name)}\n" for name, cause in CAUSES.items())
    if request.config.getoption("--update-snapshots"):
        SNAPSHOT.write_text(made)
    assert made == SNAPSHOT.read_text(), "see whether the new wording is right, then run pytest with --update-snapshots"


def raised(cause: Callable[[Path], object], folder: Path) -> str:
    """Return the text of the error that `cause` raises, with TMP for its folder."""
    folder.mkdir()
    with pytest.raises((FactoryError, argparse.ArgumentTypeError)) as caught:
        cause(folder)
    text = f"{type(caught.value).__name__}: {caught.value}".replace(str(folder), "TMP")
    return re.sub(r"\S+/rejected\b", "TMP/rejected", text)


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def broken_recipe(folder: Path) -> None:
    write(folder / "recipes/demo/recipe.toml", BROKEN)
    load_recipes(folder / "recipes", SOURCE_KINDS)


def unknown_recipe(folder: Path) -> None:
    RecipeSet(folder=ROOT, kinds=SOURCE_KINDS).find("nunpy")


def failed_command(folder: Path) -> None:
    run(["sh", "-c", "echo 'x.c:1: error: no'; exit 2"], what="compiling x.c")


def unsafe_archive(folder: Path) -> None:
    entries = [file_entry("demo-1.0/ok"), file_entry("demo-1.0/../../evil")]
    unpack(write(folder / "demo-1.0.tar.gz", tar_bytes(entries)), folder / "out")


def patch_without_header(folder: Path) -> None:
    read_header(write(folder / "0001-fix.patch", PATCH))


def patch_that_does_not_apply(folder: Path) -> None:
    write(folder / "src/x.c", "other\n")
    patch = write(folder / "demo/1.0/0001-fix.patch", HEADER + PATCH)
    apply([patch], SourceTree(path=folder / "src", sha256=""), MemoryLog())


def damaged_layer(folder: Path) -> None:
    store = layer_store(Layout(folder))
    layer = store.ensure("demo", {}, lambda tree, log: ())
    write(layer.tree.parent / "layer.json", "{")
    store.ensure("demo", {}, lambda tree, log: ())


def vector_code(folder: Path) -> None:
    library = Image(text=code(VSETVLI), arch=RV64GCV, symbols={"sum": (0, 4)}).build()
    require_clean(audit_wheel(wheel(folder, {"vectors_c.so": library}), AuditOptions(), Target()))


def failed_check(folder: Path) -> None:
    recipe = RecipeSet(folder=ROOT, kinds=SOURCE_KINDS).find("numpy")
    result = CheckResult(profile="k1", passed=False, seconds=1.0, shown="illegal instruction (SIGILL)", facts={})
    require_passed(recipe, [result], "numpy 1.0", "--python 3.13")


def damaged_record(folder: Path) -> None:
    write(folder / f"records/{'a' * 64}.json", "{")
    Store(folder).record("a" * 64)


def damaged_ledger(folder: Path) -> None:
    write(folder / "demo/demo-1.0-py3-none-any.whl.json", '{"format": 9}')
    Ledger(folder).read()


def other_bytes(folder: Path) -> None:
    Ledger(folder).add(RELEASE)
    Ledger(folder).add(structs.replace(RELEASE, sha256="c" * 64))


def unpublished_version(folder: Path) -> None:
    Ledger(folder).add(numbered(1))
    Ledger(folder).set_yanked("demo", Version("2"), "wrong")


CAUSES: Mapping[str, Callable[[Path], object]] = {
    "broken-recipe": broken_recipe,
    "unknown-recipe": unknown_recipe,
    "missing-program": lambda folder: run(["no-such-program"]),
    "failed-command": failed_command,
    "unsafe-archive": unsafe_archive,
    "patch-without-header": patch_without_header,
    "patch-that-does-not-apply": patch_that_does_not_apply,
    "compiler-cache-size": lambda folder: configured({"FACTORY_CCACHE_SIZE": "much"}),
    "compiler-cache-server": lambda folder: configured({"FACTORY_CCACHE_REMOTE": "ftp://host"}),
    "damaged-layer": damaged_layer,
    "vector-code": vector_code,
    "failed-check": failed_check,
    "damaged-record": damaged_record,
    "damaged-ledger": damaged_ledger,
    "other-bytes": other_bytes,
    "unpublished-version": unpublished_version,
    "unsafe-file-name": lambda folder: parse_filename("../evil.whl"),
    "option-duration": lambda folder: duration("soon"),
    "option-count": lambda folder: count("0"),
}
