"""A build that one machine began goes on in another cache, and ends with the same bytes."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory.host.native_programs import native_command
from factory.stages.environments.debian.layers import DebianLayers
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.store.cache_areas import AREAS
from factory.store.cache_export import export_cache
from factory.store.cache_import import import_cache
from factory.util.atomic_files import sha256_of
from factory.util.paths import Layout
from tests.support.checkouts import ONE_PROFILE, PACKAGES, Checkout, add_recipe, make_cache
from tests.support.http_storage import http_storage
from tests.support.layer_stores import layer_store
from tests.support.waiting import wait_until

pytestmark = pytest.mark.environment

SMOKE = """
import json, os, speed_cpp
facts = {"shown": str(speed_cpp.evaluate("1 + 2")), "facts": {}, "tokens": [], "logits": []}
open(os.environ["FACTORY_RESULT"], "w").write(json.dumps(facts))
"""
NINJA = """
rule copy
  command = cp $in $out
build b: copy a
build c: copy b
"""


def machine(root: Path, layout: Layout, recipes: Path) -> Checkout:
    """Make a cache with nothing but the roots and downloaded packages."""
    return Checkout(root=recipes, cache=make_cache(root / "cache", layout))


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkout = tmp_path_factory.mktemp("checkout")
    add_recipe(checkout, "speed-cpp", more=ONE_PROFILE, smoke=SMOKE)
    return checkout


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncut:
    """A build in one go, and what it put into the storage that machines share."""

    checkout: Checkout
    shared: dict[str, bytes]


@pytest.fixture(scope="module")
def uncut(
    tmp_path_factory: pytest.TempPathFactory, layout: Layout, recipes: Path, hybrid: object, clean_root: object
) -> Uncut:
    checkout = machine(tmp_path_factory.mktemp("uncut"), layout, recipes)
    with http_storage() as (url, objects):
        built = checkout.factory("build", "speed-cpp", FACTORY_CCACHE_REMOTE=url)
    assert built.returncode == 0, built.stderr
    return Uncut(checkout=checkout, shared=objects)


def compiled(cache: Path) -> dict[str, int]:
    """Return the objects that ninja has finished, with their times in nanoseconds."""
    (job,) = (path for path in (cache / "jobs").glob("speed-cpp-*") if path.is_dir())
    logs = list(job.glob("work/objects/**/.ninja_log"))
    lines = [line.split("\t") for log in logs for line in log.read_text().splitlines() if not line.startswith("#")]
    names = {
        fields[3]
        for fields in lines
        if len(fields) == 5 and fields[3].endswith(".cpp.o") and "speed_cpp.dir" in fields[3]
    }
    return {name: next(job.glob(f"work/objects/**/{name}")).stat().st_mtime_ns for name in names}


def kill_between_two_objects(checkout: Checkout) -> None:
    with checkout.start("build", "speed-cpp") as process:
        objects = checkout.cache / "jobs"
        wait_until(
            lambda: list(objects.glob("*/work/objects")) and compiled(checkout.cache), seconds=1800, process=process
        )
        process.kill()


def test_interrupted_build_resumes_in_another_cache(
    tmp_path: Path, layout: Layout, recipes: Path, uncut: Uncut
) -> None:
    first, second = (machine(tmp_path / name, layout, recipes) for name in ("first", "second"))
    kill_between_two_objects(first)
    objects = compiled(first.cache)
    exported = first.factory("cache", "export", str(tmp_path / "cache.tar.zst"))
    assert exported.returncode == 0, exported.stderr
    imported = second.factory("cache", "import", str(tmp_path / "cache.tar.zst"))
    assert imported.returncode == 0, imported.stderr
    resumed = second.factory("build", "speed-cpp", "--keep")
    assert resumed.returncode == 0, resumed.stderr
    assert 0 < len(objects) < 5
    assert "environment: started" not in resumed.stderr
    assert objects.items() <= compiled(second.cache).items()
    assert sha256_of(second.wheel()) == sha256_of(uncut.checkout.wheel())


def test_build_fills_the_shared_storage(uncut: Uncut) -> None:
    sources = list((PACKAGES / "speed-cpp/src").glob("*.cpp"))
    assert len(uncut.shared) >= len(sources)


def test_ninja_has_no_work_after_the_move(tmp_path: Path, layout: Layout) -> None:
    one, two = Layout(tmp_path / "one"), Layout(tmp_path / "two")
    tree = one.jobs / "demo-0123456789abcdef/work"
    for name, text in {"build.ninja": NINJA, "a": "a", "../steps/source.json": "{}"}.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    ninja = native_command(DebianLayers(layer_store(layout)).native_tools().tree, "ninja")
    subprocess.run([*ninja, "-C", str(tree)], check=True)
    export_cache(one, tmp_path / "cache.tar.zst", list(AREAS), print)
    import_cache(two, tmp_path / "cache.tar.zst", print)
    again = subprocess.run(
        [*ninja, "-C", str(two.jobs / "demo-0123456789abcdef/work")], check=True, capture_output=True, text=True
    )
    assert "ninja: no work to do." in again.stdout


def test_imported_layer_is_identical(tmp_path: Path, clean_root: RootfsEnvironment) -> None:
    """The layer above the base root holds what overlayfs wrote: the real thing."""
    one, two = Layout(tmp_path / "one"), Layout(tmp_path / "two")
    venv = clean_root.root.layers[-1].tree.parent
    one.layers.mkdir(parents=True)
    subprocess.run(["cp", "-a", str(venv), str(one.layers)], check=True)
    export_cache(one, tmp_path / "cache.tar.zst", ["layers"], print)
    import_cache(two, tmp_path / "cache.tar.zst", print)
    listing = ["find", ".", "-printf", r"%P %M %U %G %l %n %T@\n"]
    found = [
        sorted(
            subprocess.run(listing, cwd=side.layers / venv.name, capture_output=True, check=True).stdout.splitlines()
        )
        for side in (one, two)
    ]
    assert found[0] == found[1]
