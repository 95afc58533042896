"""Explanations: the value of each key, with its origin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factory.pipeline.explain import Explanation
from tests.support.jobs import job_of, metadata
from tests.support.projects import make_project
from tests.support.recipes import SHA256, SMALLEST, write

TEXT = f"""{SMALLEST}
[source.parts.vendor]
kind = "pypi"
project = "eggs"
version = "2"
sha256 = "{SHA256}"
[build]
memory-per-job = "1.5 GB"
requires = ["eggs"]
replaced-requires."cffi>=2" = "1.17 does not know 3.14"
[build.environment]
DEBUG = "0"
[check]
profiles = ["rv*"]
[check.expect.core]
"rv*" = "b"
"""


def values(root: Path, text: str = TEXT) -> dict[str, tuple[str, str]]:
    recipe = make_project(root, text).find("spam")
    place = f"{root}/recipes/spam/recipe.toml"
    return {each.key: (each.value, each.origin.replace(place, "")) for each in Explanation.of(recipe).values()}


def test_explain_stated_values_have_their_lines(tmp_path: Path) -> None:
    found = values(tmp_path)
    assert found["package.name"] == ("spam", ":2")
    assert found["source.sha256"] == (SHA256, ":6")
    assert found["source.parts.vendor.project"] == ("eggs", ":10")
    assert found["build.memory-per-job"] == ("1.5 GB", ":14")
    assert found["build.environment.DEBUG"] == ("0", ":18")
    assert found['build.replaced-requires."cffi>=2"'] == ("1.17 does not know 3.14", ":16")


def test_explain_addresses_and_commits_have_their_lines(tmp_path: Path) -> None:
    pins = 'kind = "git"\nurl = "https://example.org/spam"\ncommit = "{}"\nsubmodules = true\n'
    part = '[source.parts.x]\nkind = "url"\nproject = "x"\nversion = "1"\nurls = ["http://a.org/x.zip", "http://b.org/x.zip"]\n'
    text = SMALLEST.partition("[source]")[0] + f"[source]\n{pins.format('1' * 40)}{part}sha256 = '{SHA256}'\n"
    found = values(tmp_path, text)
    assert found["source.url"] == ("https://example.org/spam", ":6")
    assert (found["source.commit"], found["source.submodules"]) == (("1" * 40, ":7"), ("true", ":8"))
    assert found["source.tag"] == ("none", "default")
    assert found["source.parts.x.urls"] == ("http://a.org/x.zip, http://b.org/x.zip", ":13")


def test_explain_globs_are_expanded_at_their_line(tmp_path: Path) -> None:
    found = values(tmp_path)
    assert found["check.profiles"] == ("rv64gc, rva22, rvv128, rva23", ":20")
    assert found["check.expect.core.rvv128"] == ("b", ":22")


def test_explain_other_values_have_their_origin(tmp_path: Path) -> None:
    found = values(tmp_path)
    assert found["build.rust"] == ("false", "default")
    assert found["build.environment.DEBUG"][1] != "default"
    assert found["check.script"] == ("smoke.py", "default")
    assert found["source.project"] == ("spam", "package.name")
    assert found["source.version"] == ("1.0", "package.version")
    assert "suite.script" not in found


def test_explain_requirements_name_source_or_recipe(tmp_path: Path) -> None:
    recipe = make_project(tmp_path, TEXT).find("spam")
    job = replace(job_of(recipe), metadata=metadata(build=("flit_core", "cffi>=2", "eggs"), run=("ham",)))
    found = {each.value: each.origin.rpartition("/")[2] for each in Explanation.of(recipe).requirements(job)}
    assert (found["flit_core"], found["ham"]) == ("source", "source")
    assert (found["cffi>=2"], found["eggs"]) == ("recipe.toml:16", "recipe.toml:15")


def test_explain_profiles_have_their_cpu(tmp_path: Path) -> None:
    recipe = make_project(tmp_path).find("spam")
    (value,) = Explanation.of(recipe).profiles(("k1",))
    assert (value.key, value.origin) == ("CPU of k1", "profile")
    assert "vlen=256" in value.value


def test_explain_inherited_values_have_their_file(tmp_path: Path) -> None:
    write(tmp_path / "recipes", '[package]\nname = "old"\nbased-on = "spam"\nversion = "0.9"\n', "old")
    recipe = make_project(tmp_path, TEXT).find("old")
    found = {each.key: each.origin.rpartition("/recipes/")[2] for each in Explanation.of(recipe).values()}
    assert found["package.version"] == "old/recipe.toml:4"
    assert found["build.environment.DEBUG"].endswith("spam/recipe.toml:18")
