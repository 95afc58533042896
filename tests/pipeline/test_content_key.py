"""Tests of content keys: each deciding field and default changes the key."""

from __future__ import annotations

import dataclasses
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.model.job import Job, ProjectMetadata
from factory.model.recipe import AuditOptions, BuildOptions, CheckOptions, Recipe, RepackOptions, RepairOptions
from factory.model.target import PROFILES, Target
from factory.pipeline import content_key as module
from factory.pipeline.content_key import KeyParts, content_key
from factory.pipeline.key_defaults import DEFAULTS
from factory.recipes.loader import load_recipes
from factory.stages.sources.git import GitSource
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.stages.sources.pypi import PypiSource
from factory.stages.sources.url import UrlSource

METADATA = ProjectMetadata(name=None, version=None, build_backend="x", build_requires=())
RECIPE = Recipe(
    name="demo",
    version="1.0",
    directory=Path("/recipes/demo"),
    source=PypiSource(project="demo", version="1.0", sha256="0" * 64),
)
TABLES: Mapping[str, type] = {
    "build": BuildOptions,
    "repair": RepairOptions,
    "audit": AuditOptions,
    "check": CheckOptions,
}
# The script counts by its content, and the repack table by its own fields.
UNDECIDING = {"memory_per_job", "processor_time", "toolchains", "time_limit", "script", "repack"}
WORDS = st.text("abcxyz", min_size=1, max_size=5)
VALUES: Mapping[type, st.SearchStrategy[Any]] = {
    bool: st.just(True),
    int: st.integers(1, 99),
    float: st.floats(0.1, 9),
    str: WORDS,
    tuple: st.lists(WORDS, min_size=1, max_size=3).map(tuple),
    dict: st.dictionaries(WORDS, WORDS, min_size=1, max_size=3),
    type(None): WORDS,
}
DECIDING = [
    (table, field.name)
    for table, kind in TABLES.items()
    for field in dataclasses.fields(kind)
    if field.name not in UNDECIDING
]
RECIPE_TEXT = {
    "package": ['name = "demo"', 'version = "1.0"', "build = 2"],
    "source": ['kind = "pypi"', f'sha256 = "{"5" * 64}"'],
    "build": ['requires = ["cython>=3"]', 'apt = ["libjpeg-dev"]', "rust = true"],
    "check": ['profiles = ["rvv128", "k1"]', 'requires = ["pytest"]', "same-tokens = 3"],
}


def key_of(recipe: Recipe) -> str:
    return content_key(Job(recipe=recipe, metadata=METADATA), [], Target(), "", [], [])


def recorded(recipe: Recipe) -> Mapping[str, str]:
    job = Job(recipe=recipe, metadata=METADATA)
    return KeyParts(job=job, inputs={}, target=Target(), environment_key="", patches=[], wheels={}).recorded


def require_other_key(changed: Recipe, *parts: str) -> None:
    """Require another key than that of RECIPE, and `parts` to be the recorded ones that differ."""
    assert key_of(changed) != key_of(RECIPE)
    before, now = recorded(RECIPE), recorded(changed)
    assert tuple(name for name in {**before, **now} if before.get(name) != now.get(name)) == parts


def default_of(kind: type, name: str) -> object:
    return getattr(kind(), name)


@given(st.sampled_from(DECIDING), st.data())
def test_deciding_field_changes_the_key(where: tuple[str, str], data: st.DataObject) -> None:
    table, name = where
    default = default_of(TABLES[table], name)
    value = data.draw(VALUES[type(default)].filter(lambda drawn: drawn != default))
    require_other_key(replace(RECIPE, **{table: replace(TABLES[table](), **{name: value})}), f"recipe {table}.{name}")


@given(st.sampled_from([field.name for field in dataclasses.fields(RepackOptions)]), st.data())
def test_repack_option_changes_the_key(name: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[type(default_of(RepackOptions, name))])
    repack = replace(RepackOptions(), **{name: value})
    require_other_key(replace(RECIPE, build=BuildOptions(repack=repack)), "recipe build.repack")


@given(
    memory=st.integers(0, 1 << 40),
    toolchains=st.permutations(["gcc", "clang"]).map(tuple),
    limit=st.sampled_from(["1h", "4h", "9d"]),
    shadows=st.booleans(),
    file=WORDS,
)
def test_undeciding_fields_keep_the_key(
    memory: int, toolchains: tuple[str, ...], limit: str, shadows: bool, file: str
) -> None:
    build = BuildOptions(memory_per_job=memory, processor_time=limit, toolchains=toolchains)
    check = CheckOptions(time_limit=limit)
    changed = replace(RECIPE, build=build, check=check, shadows_upstream=shadows, file_sha256=file, suite=check)
    assert (key_of(changed), recorded(changed)) == (key_of(RECIPE), recorded(RECIPE))


@given(st.data())
def test_changed_default_changes_the_key(data: st.DataObject) -> None:
    """Defaults of the program are compared with the literals that keys omit."""
    table, name = data.draw(st.sampled_from(DECIDING))
    kind = TABLES[table].__name__
    other = {**DEFAULTS, kind: {**DEFAULTS[kind], name: "a default of before"}}
    with pytest.MonkeyPatch.context() as patch:
        before = key_of(RECIPE)
        patch.setattr(module, "DEFAULTS", other)
        assert key_of(RECIPE) != before


OTHER_PROFILES = """
import sys
from dataclasses import replace
from pathlib import Path
from factory.model import target
target.DEFAULT_PROFILES = ("rv64gc", "k1")
from factory.model.job import Job, ProjectMetadata
from factory.model.recipe import CheckOptions, Recipe
from factory.model.target import Target
from factory.pipeline.content_key import content_key
from factory.stages.sources.pypi import PypiSource
metadata = ProjectMetadata(name=None, version=None, build_backend="x", build_requires=())
source = PypiSource(project="demo", version="1.0", sha256="0" * 64)
recipe = Recipe(name="demo", version="1.0", directory=Path("/recipes/demo"), source=source)
first = CheckOptions(profiles=("rv64gc", "rvv128", "k1", "rva23", "vlen1024"))
for each in (recipe, replace(recipe, check=first)):
    print(content_key(Job(recipe=each, metadata=metadata), [], Target(), "", [], []))
"""


def test_default_profiles_change_the_key_of_recipes_without() -> None:
    """A recipe that states the profiles of before keeps its key, and its stored builds."""
    command = [sys.executable, "-c", OTHER_PROFILES]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    relies, states = ran.stdout.split()
    assert (relies != key_of(RECIPE), states == key_of(RECIPE)) == (True, True)


@pytest.mark.parametrize("name", PROFILES)
def test_cpu_of_a_checked_profile_changes_the_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checked, other = (
        replace(RECIPE, check=CheckOptions(profiles=profiles))
        for profiles in ((name,), tuple(each for each in PROFILES if each != name))
    )
    before = key_of(checked), key_of(other)
    changed = {**PROFILES, name: replace(PROFILES[name], qemu_cpu="max,vlen=2048")}
    monkeypatch.setattr(module, "PROFILES", MappingProxyType(changed))
    assert (key_of(checked) != before[0], key_of(other) == before[1]) == (True, True)


def classes_of(kind: Any) -> Iterator[type]:
    """Return the dataclasses that values of a type hold, at any depth."""
    for part in get_args(kind):
        yield from classes_of(part)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        yield kind
        for hint in get_type_hints(kind).values():
            if hint is not kind and kind.__name__ not in str(hint):
                yield from classes_of(hint)


def test_each_default_of_recipes_has_its_literal() -> None:
    """A new recipe field without a line in DEFAULTS would change every stored key."""
    kinds = {*classes_of(Recipe), *(each for kind in SOURCE_KINDS.values() for each in classes_of(kind))}
    missing = [
        f"{kind.__name__}.{field.name}"
        for kind in kinds
        if kind.__name__ != "Source"
        for field in dataclasses.fields(kind)
        if (field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING)
        and not dataclasses.is_dataclass(field.default)
        and field.name not in DEFAULTS.get(kind.__name__, {})
    ]
    assert missing == []


def test_addresses_of_pinned_sources_keep_the_key() -> None:
    """A moved repository and a new mirror have the same files; a part's too."""
    git = GitSource(project="demo", version="1.0", url="https://example.org/a", commit="1" * 40)
    url = UrlSource(project="demo", version="1.0", urls=("https://example.org/a.zip",), sha256="0" * 64)
    moved = replace(git, url="https://example.org/b"), replace(url, urls=(*url.urls, "https://example.org/b.zip"))
    for before, after in zip((git, url), moved, strict=True):
        whole = [replace(RECIPE, source=each) for each in (before, after)]
        part = [replace(RECIPE, source=replace(RECIPE.source, parts={"x": each})) for each in (before, after)]
        assert (len({key_of(each) for each in whole}), len({key_of(each) for each in part})) == (1, 1)


@pytest.mark.parametrize("changed", [{"commit": "2" * 40}, {"tag": "v1"}, {"submodules": True}, {"version": "1.1"}])
def test_pins_of_a_commit_change_the_key(changed: Mapping[str, Any]) -> None:
    git = GitSource(project="demo", version="1.0", url="https://example.org/a", commit="1" * 40)
    assert key_of(replace(RECIPE, source=replace(git, **changed))) != key_of(replace(RECIPE, source=git))


def write_recipe(folder: Path, chance: random.Random) -> Recipe:
    """Write RECIPE_TEXT in some order and spelling, and read it."""
    (folder / "demo").mkdir(exist_ok=True)
    lines = []
    for table in chance.sample(list(RECIPE_TEXT), len(RECIPE_TEXT)):
        lines.append(chance.choice([f"[{table}]", f"[ {table} ]  # a comment", f'["{table}"]']))
        for line in chance.sample(RECIPE_TEXT[table], len(RECIPE_TEXT[table])):
            key, _, value = line.partition(" = ")
            value = chance.choice([value, value.replace("rvv128", "rvv*")])
            spelled = chance.choice([value, value.replace('"', "'"), f"{value}  # {table}"])
            lines.append(chance.choice([f"{key} = {spelled}", f'"{key}"={spelled}', f"  {key}   =  {spelled}\n"]))
    (folder / "demo/recipe.toml").write_text("\n".join(lines))
    (recipe,) = load_recipes(folder, SOURCE_KINDS).values()
    return recipe


@given(st.randoms(use_true_random=False))
def test_order_and_spelling_of_a_recipe_keep_its_key(
    tmp_path_factory: pytest.TempPathFactory, chance: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("recipes")
    assert key_of(write_recipe(folder, chance)) == key_of(write_recipe(folder, random.Random(1)))
