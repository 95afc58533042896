"""A build from a git repository.

It has setuptools-scm's version, a submodule, the record and the bill of materials.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from factory.store.store import Store
from tests.support.checkouts import ONE_PROFILE, PACKAGES, Checkout
from tests.support.git_repositories import gitlink, make_repository

pytestmark = pytest.mark.environment

RECIPE = """
[package]
name = "stable-c"
version = "3.2.1"
[source]
kind = "git"
url = "{url}"
tag = "v3.2.1"
commit = "{commit}"
submodules = true
"""
SMOKE = """
import json, os, stable_c
from importlib.metadata import version
from stable_c_data import ARCHIVAL
assert version("stable-c") == "3.2.1", version("stable-c")
result = {"shown": ARCHIVAL, "facts": {}, "tokens": [], "logits": []}
open(os.environ["FACTORY_RESULT"], "w").write(json.dumps(result))
"""


def test_build_from_git_has_version_submodule_and_origin(fresh_cache: Path, tmp_path: Path) -> None:
    data = make_repository(tmp_path / "repositories/data")
    text = 'ARCHIVAL = "$Format:%(describe:tags=true) %cs$"\n'
    commit = data.commit({"data.txt": "1"})
    whole = make_repository(tmp_path / "repositories/stable-c")
    shutil.copytree(PACKAGES / "stable-c", whole.folder, dirs_exist_ok=True)
    project = (whole.folder / "pyproject.toml").read_text()
    project = project.replace('"setuptools>=77"', '"setuptools>=77", "setuptools-scm>=8"')
    project = project.replace('version = "1.0"', 'dynamic = ["version"]') + "[tool.setuptools_scm]\n"
    files = {
        "pyproject.toml": project,
        "src/stable_c_data.py": text,
        ".gitattributes": "src/stable_c_data.py export-subst\n",
        ".gitmodules": '[submodule "data"]\n\tpath = src/data\n\turl = ../data\n',
    }
    pinned = whole.commit(files, more=[gitlink(commit, "src/data")])
    folder = tmp_path / "checkout/recipes/stable-c"
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(RECIPE.format(url=whole.url, commit=pinned) + ONE_PROFILE)
    (folder / "smoke.py").write_text(SMOKE)
    checkout = Checkout(root=tmp_path / "checkout", cache=fresh_cache)
    for words in (("build", "stable-c"), ("index", "--output", str(tmp_path / "index"))):
        finished = checkout.factory(*words)
        assert finished.returncode == 0, finished.stderr
    (record,) = Store(fresh_cache / "store").records_of("stable-c")
    assert record.wheel.startswith("stable_c-3.2.1-")
    assert [(each.folder, each.urls, each.commit) for each in record.sources] == [
        ("", (whole.url,), pinned),
        ("src/data", (data.url,), commit),
    ]
    assert record.compiler_cache is not None
    assert record.compiler_cache.misses + record.compiler_cache.hits >= 1
    assert record.checks[0].shown == "v3.2.1 2017-07-14"
    (sbom,) = (tmp_path / "index/files").glob("*.cdx.json")
    ancestors = json.loads(sbom.read_text())["metadata"]["component"]["pedigree"]["ancestors"]
    assert [each["version"] for each in ancestors] == ["3.2.1", "v3.2.1", commit]
    assert ancestors[0]["hashes"][0]["content"] == record.source_sha256
