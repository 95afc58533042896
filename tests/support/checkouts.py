"""Small checkouts: a recipe for a project of tests/packages, its smoke script and a cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from factory.util.paths import Layout

FACTORY = [sys.executable, "-m", "factory.cli"]
ROOT = Path(__file__).parent.parent.parent
PACKAGES = ROOT / "tests" / "packages"
SUMS = """
import array, json, os, vectors_c
total = vectors_c.sum(array.array("f", range(1000)))
assert total == 499500.0, total
facts = {"shown": f"sum {total}", "facts": {"total": total}, "tokens": [], "logits": []}
open(os.environ["FACTORY_RESULT"], "w").write(json.dumps(facts))
"""
# What `factory bench` counts of vectors-c.
SUM_CASES = """
import array, vectors_c

def sum_of(count):
    values = array.array("f", [1.0] * count)
    assert vectors_c.sum(values) == count
    return lambda: vectors_c.sum(values)

CASES = {f"sum {count}": (lambda count=count: sum_of(count)) for count in (1000, 3000)}
"""
RECIPE = """
[package]
name = "{package}"
version = "1.0"

[source]
kind = "local"
path = "{path}"
{source}
{more}
"""
ONE_PROFILE = '[check]\nprofiles = ["rv64gc"]\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A folder with recipes, and the cache that its builds use."""

    root: Path
    cache: Path

    def factory(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the `factory` command to its end."""
        command = [*FACTORY, *arguments]
        return subprocess.run(command, cwd=self.root, env=self.environment(variables), capture_output=True, text=True)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start the `factory` command; what it reports is read from its `stderr`."""
        command = [*FACTORY, *arguments]
        environment = self.environment(variables)
        return subprocess.Popen(command, cwd=self.root, env=environment, stderr=subprocess.PIPE, text=True)

    def environment(self, variables: dict[str, str]) -> dict[str, str]:
        return {**os.environ, "FACTORY_CACHE": str(self.cache), **variables}

    def log(self, label: str, stage: str) -> str:
        """Read the log of a stage of the only build of `label` (such as `demo-1.0`)."""
        return "".join(path.read_text() for path in self.cache.glob(f"logs/{label}/*/{stage}.log"))

    def wheel(self) -> Path:
        """Return the only wheel in the store."""
        (wheel,) = self.cache.glob("store/wheels/*/*.whl")
        return wheel


def own_factory(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it on this repository's own recipes, with the machine's own cache."""
    return subprocess.run([*FACTORY, *arguments], cwd=ROOT, capture_output=True, text=True, env=os.environ)


def make_checkout(
    root: Path, cache: Path, *, kind: str = "plain", more: str = "", smoke: str = SUMS, packages: Path = PACKAGES
) -> Checkout:
    """Make a checkout with a recipe for vectors-c of the folder `packages`; `more` is appended to it."""
    more = f'[build.environment]\nVECTORS_C = "{kind}"\n{more}'
    add_recipe(root, "vectors-c", more=more, smoke=smoke, packages=packages)
    return Checkout(root=root, cache=cache)


def add_recipe(root: Path, package: str, *, more: str, smoke: str, source: str = "", packages: Path = PACKAGES) -> None:
    """Add a recipe for a project of `packages`; `source` is added to that table, `more` at the end."""
    folder = root / "recipes" / package
    folder.mkdir(parents=True)
    path = os.path.relpath(packages / package, folder)
    (folder / "recipe.toml").write_text(RECIPE.format(package=package, path=path, source=source, more=more))
    (folder / "smoke.py").write_text(smoke)


def make_cache(cache: Path, layout: Layout) -> Path:
    """Make an empty cache that shares layers and downloaded packages with the machine's cache."""
    cache.mkdir(parents=True)
    (cache / "layers").symlink_to(layout.layers)
    (cache / "packages").symlink_to(layout.package_caches)
    return cache


def copy_package(folder: Path, name: str, *, requires: str = '"setuptools>=77"') -> None:
    """Copy tests/packages/vectors-c under another name."""
    shutil.copytree(PACKAGES / "vectors-c", folder / name)
    project = folder / name / "pyproject.toml"
    text = project.read_text().replace('name = "vectors-c"', f'name = "{name}"')
    project.write_text(text.replace('"setuptools>=77"', requires))
