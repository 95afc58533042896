"""Loader of recipes: values, and messages for mistakes."""

from __future__ import annotations

import json
import os
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from factory.errors import RecipeError
from factory.model.recipe import Recipe, RepackOptions
from factory.model.source import Overlay
from factory.model.target import DEFAULT_PROFILES
from factory.recipes.loader import load_models, load_readable, recipe_projects
from factory.stages.sources.deb import DebSource
from factory.stages.sources.debian import DebianPackaging, DebianSource
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.stages.sources.local import LocalSource
from factory.util.atomic_files import sha256_of
from tests.support.recipes import SHA256, SMALLEST, load_recipe, load_recipes, problems_of, write

REPOSITORY = Path(__file__).parents[2]
MODELS = f"""\
[tiny]
project = "llm-tiny"
version = "1"
wheel-sha256 = "{SHA256}"
member = "llm_tiny/tiny.gguf"
sha256 = "{SHA256}"
"""


def test_smallest_recipe_gets_every_default(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, SMALLEST))
    assert recipe.label == "spam 1.0"
    assert (recipe.source.kind, recipe.source.project, recipe.source.sha256) == ("pypi", "spam", SHA256)
    assert recipe.build.builder == "pep517"
    assert recipe.check.profiles == DEFAULT_PROFILES
    assert recipe.check.script is None
    assert recipe.file_sha256 == sha256_of(tmp_path / "spam/recipe.toml")


def test_full_recipe_is_read(tmp_path: Path) -> None:
    text = f"""{SMALLEST}
        [build]
        apt = ["libopenblas-dev"]
        requires = ["openblas>=0.3"]
        rust = true
        toolchains = ["gcc", "clang"]
        memory-per-job = "1.5 GB"
        [build.config-settings]
        "cmake.define.GGML_NATIVE" = "OFF"
        setup-args = ["-Dblas=none", "-Dlapack=none"]
        [build.environment]
        FOO = "bar"
        [audit]
        dispatched = ["spam/lib*_v.so"]
        [check]
        model = "tiny"
        profiles = ["rv64gc", "k1"]
        model-profiles = ["k1"]
        requires = ["pytest>=8"]
        same-tokens = 12
        logits-tolerance = 0.5
        [check.expect.cpu-backend]
        rv64gc = "riscv64_0"
        k1 = "riscv64_v"
        k1-ime = "riscv64_v_ime"
    """
    directory = write(tmp_path, text)
    (directory / "smoke.py").touch()
    (tmp_path / "models.toml").write_text(MODELS)
    recipe = load_recipes(tmp_path)["spam"]
    assert recipe.build.config_settings == {
        "cmake.define.GGML_NATIVE": "OFF",
        "setup-args": ("-Dblas=none", "-Dlapack=none"),
    }
    assert recipe.build.environment == {"FOO": "bar"}
    assert (recipe.build.apt, recipe.build.rust) == (("libopenblas-dev",), True)
    assert recipe.build.requires == ("openblas>=0.3",)
    assert (recipe.toolchain, recipe.build.toolchains) == ("gcc", ("gcc", "clang"))
    assert recipe.build.memory_per_job == 1_500_000_000
    assert recipe.audit.dispatched == ("spam/lib*_v.so",)
    assert recipe.check.script == directory / "smoke.py"
    assert (recipe.check.model, recipe.check.same_tokens, recipe.check.logits_tolerance) == ("tiny", 12, 0.5)
    assert [profile for profile in ("rv64gc", "k1", "vlen512") if recipe.check.runs_model(profile)] == ["k1", "vlen512"]
    by_profile = {"rv64gc": "riscv64_0", "k1": "riscv64_v", "k1-ime": "riscv64_v_ime"}
    assert recipe.check.expect == {"cpu-backend": by_profile}


def test_all_mistakes_are_reported_at_once_with_lines(tmp_path: Path) -> None:
    text = """\
# A comment with [brackets] and key = "value"
[package]
name = "eggs"
verison = "1.0"

[source]
kind = "pipy"
sha256 = "abc"

[build]
builder = "pep571"
apt = [
    "libfoo-dev",  # ] not the end
    "Not A Package",
]
"enviroment".FOO = 1
[build.config-settings]
"a.b" = 3
note = '''
[check]
profiles = 1
'''

[check]
profiles = ["rv64gc", "rvv218"]
script = "smok.py"
logits-tolerance = "much"
same-tokens = -1
[check.expect.cpu]
k1 = "x"
"""
    expected = {
        "recipe.toml:2: package.version: ": "missing",
        "recipe.toml:3: package.name: 'eggs' ": "'spam'",
        "recipe.toml:4: package.verison: ": "'version'",
        "recipe.toml:7: source.kind: unknown value 'pipy'": "'pypi'",
        "recipe.toml:11: build.builder: unknown value 'pep571'": "'pep517'",
        "recipe.toml:12: build.apt: 'Not A Package' ": "Debian package",
        "recipe.toml:16: build.enviroment: ": "'environment'",
        'recipe.toml:18: build.config-settings."a.b": ': "must be a string",
        "recipe.toml:25: check.profiles: unknown value 'rvv218'": "'rvv128'",
        "recipe.toml:26: check.script: 'smok.py' ": "not a file",
        "recipe.toml:27: check.logits-tolerance: ": "must be a number",
        "recipe.toml:28: check.same-tokens: ": "negative",
        "recipe.toml:30: check.expect.cpu.k1: ": "rv64gc, rvv218",
    }
    for problem, (place, word) in zip(problems_of(tmp_path, text), expected.items(), strict=True):
        assert problem.startswith(place)
        assert word in problem.removeprefix(place)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SMALLEST + "[chekc]\n", "recipe.toml:7: chekc: unknown key; did you mean 'check'?"),
        (SMALLEST.replace("0123", "0X23"), "recipe.toml:6: source.sha256: must be 64 lowercase hexadecimal digits"),
        (
            SMALLEST.replace('"1.0"', '"one"'),
            "recipe.toml:3: package.version: 'one' is not a version as PEP 440 defines it",
        ),
        (SMALLEST.replace('"1.0"', "1.0"), "recipe.toml:3: package.version: must be a string, not a number"),
        (SMALLEST.replace('"spam"', '""'), "recipe.toml:2: package.name: must not be empty"),
        (SMALLEST + "path = 'x'\n", "recipe.toml:7: source.path: unknown key"),
        (SMALLEST + "project = 'eggs'\n", "recipe.toml:4: source.overlay: is missing: only an overlay makes another"),
        (SMALLEST + "version = 'x y'\noverlay = []\n", "recipe.toml:7: source.version: 'x y' is not a version"),
        (SMALLEST + "overlay = ['package']\n", "recipe.toml:7: source.overlay: 'package' is not a folder beside this"),
        (
            SMALLEST.replace("pypi", "debian") + "version = '2:1.0-1'\noverlay = []\n",
            "recipe.toml:7: source.version: '2:1.0-1' is not an upstream version as Debian writes it",
        ),
        (
            SMALLEST + "parts.'../x' = {kind = 'pypi', project = 'x'}\n",
            "recipe.toml:7: source.parts.\"../x\": '../x' must be the path of a folder inside the source",
        ),
        (SMALLEST + "parts.x = {kind = 'pypi'}\n", "recipe.toml:7: source.parts.x.project: is missing"),
        (SMALLEST + "overlay = ['/x']\n", "recipe.toml:7: source.overlay: must be relative to the recipe's folder"),
        (
            SMALLEST + "[build.replaced-requires]\n'cffi>=2' = ''\n",
            'recipe.toml:8: build.replaced-requires."cffi>=2": must not be empty',
        ),
        (
            SMALLEST + "[build.replaced-requires]\n'cffi >' = 'why'\n",
            "is not a requirement as PEP 508 defines it",
        ),
        (
            SMALLEST + "[build]\nbuilder = 'cibuildwheel'\nreplaced-requires.x = 'why'\n",
            "build.replaced-requires: not supported with cibuildwheel",
        ),
        (
            SMALLEST + "[build]\nbuilder = 'cibuildwheel'\nrequires = ['x']\n",
            "recipe.toml:9: build.requires: not supported with cibuildwheel",
        ),
        (SMALLEST + "[check]\nprofiles = []\n", "recipe.toml:8: check.profiles: must name at least one profile"),
        (SMALLEST + "[check]\nprofiles = ['k1', 'k1']\n", "recipe.toml:8: check.profiles: 'k1' is named twice"),
        (SMALLEST + "[check]\nrequires = ['a b']\n", "recipe.toml:8: check.requires: 'a b' is not a requirement"),
        (SMALLEST + "[check]\nsame-tokens = true\n", "must be a whole number, not a boolean"),
        (
            SMALLEST + "[check]\nprofiles = ['k1']\nmodel-profiles = ['k2']\n",
            "recipe.toml:9: check.model-profiles: unknown value 'k2'; did you mean 'k1'?",
        ),
        (
            SMALLEST + "[check]\nlogits-tolerance = 0.5\n",
            "recipe.toml:8: check.logits-tolerance: compares nothing without same-tokens",
        ),
        (SMALLEST + "[build]\nrust = 'yes'\n", "must be true or false, not a string"),
        (SMALLEST + "[build]\ntoolchains = []\n", "recipe.toml:8: build.toolchains: must name at least one toolchain"),
        (SMALLEST + "[build]\ntoolchains = ['icc']\n", "recipe.toml:8: build.toolchains: unknown value 'icc'"),
        (
            SMALLEST + "[build]\nmemory-per-job = '2 GiB'\n",
            "memory-per-job: '2 GiB' is not an amount of memory",
        ),
        (SMALLEST + "[check]\ntime-limit = '5 min'\n", "recipe.toml:8: check.time-limit: '5 min' is not a duration"),
        (SMALLEST + "[check]\ntime-limit = '0h0s'\n", "recipe.toml:8: check.time-limit: '0h0s' is not a duration"),
        (SMALLEST + "[build]\nmemory-per-job = 2\n", "memory-per-job: must be a string, not a whole number"),
        (SMALLEST + "[audit]\ndispatched = '*.so'\n", "audit.dispatched: must be a list of strings, not a string"),
        (SMALLEST + "[audit]\ndispatched = ['/x.so']\n", "audit.dispatched: '/x.so' must be a path inside the wheel"),
        (SMALLEST + "[build.environment]\n'A B' = 'x'\n", 'build.environment."A B": is not the name of an environment'),
        ("[source]\n", "recipe.toml:1: package: is missing"),
        ("package = 1\n", "recipe.toml:1: package: must be a table, not a whole number"),
        ("[package\n", "recipe.toml:1: not TOML: Expected ']' at the end of a table declaration"),
        (SMALLEST + "x = [1,\n", "recipe.toml:7: not TOML: Invalid value"),
    ],
)
def test_mistake_is_reported_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert any(expected in problem for problem in problems_of(tmp_path, text)), problems_of(tmp_path, text)


def test_error_has_a_hint(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="hint: correct these lines"):
        load_recipe(write(tmp_path, SMALLEST + "x = 1\n"))


def test_unknown_model_is_reported_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(MODELS)
    found = problems_of(tmp_path, SMALLEST + '[check]\nmodel = "tniy"\n')
    (problem,) = found
    assert problem.startswith("recipe.toml:8: check.model: unknown value 'tniy'")
    assert "'tiny'" in problem


def test_models_without_models_toml_are_not_checked(tmp_path: Path) -> None:
    write(tmp_path, SMALLEST + '[check]\nmodel = "any"\n')
    assert load_recipes(tmp_path)["spam"].check.model == "any"


def test_mistakes_of_several_files_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(MODELS + "size = 3\n")
    write(tmp_path, SMALLEST + "x = 1\n")
    write(tmp_path, SMALLEST.replace("spam", "eggs") + "y = 1\n", "eggs")
    with pytest.raises(RecipeError) as caught:
        load_recipes(tmp_path)
    assert [line.rsplit("/", 1)[1] for line in caught.value.message.splitlines()] == [
        "models.toml:7: tiny.size: unknown key",
        "recipe.toml:7: source.y: unknown key",
        "recipe.toml:7: source.x: unknown key",
    ]


def test_two_recipes_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, SMALLEST.replace("spam", "spam-egg"), "spam-egg")
    write(tmp_path, SMALLEST.replace("spam", "Spam_Egg"), "spam_egg")
    with pytest.raises(RecipeError, match=r"spam_egg/recipe\.toml:1: package\.name: 'Spam_Egg' is also .*spam-egg/"):
        load_recipes(tmp_path)


def test_local_source_is_relative_to_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    text = SMALLEST.split("[source]")[0] + '[source]\nkind = "local"\npath = "../project"\n'
    recipe: Recipe = load_recipe(write(tmp_path, text))
    assert isinstance(recipe.source, LocalSource)
    assert recipe.source.path.resolve() == tmp_path / "project"
    (problem,) = problems_of(tmp_path, text.replace("../project", "nowhere"))
    assert problem.startswith("recipe.toml:6: source.path: 'nowhere' is not a folder")
    (problem,) = problems_of(tmp_path, text.replace("../project", "/tmp"))
    assert problem.startswith("recipe.toml:6: source.path: must be relative")


def test_overlay_permits_source_of_another_project(tmp_path: Path) -> None:
    (tmp_path / "spam/package").mkdir(parents=True)
    (tmp_path / "common").mkdir()
    pin = 'project = "eggs"\nversion = "7"\noverlay = ["../common", "package"]\n'
    recipe = load_recipe(write(tmp_path, SMALLEST + pin))
    assert (recipe.source.project, recipe.source.version) == ("eggs", "7")
    folders = (tmp_path / "spam/../common", tmp_path / "spam/package")
    assert recipe.source.overlay == Overlay(project="spam", version="1.0", folders=folders)


def test_debian_source_has_parts_of_other_packages(tmp_path: Path) -> None:
    pin = f'kind = "debian"\nversion = "3.12.1"\nsha256 = "{SHA256}"\n'
    text = f"""{SMALLEST.replace("pypi", "debian")}
        [source.parts."vendor/lapack"]
        project = "lapack"
        {pin}
    """
    source = load_recipe(write(tmp_path, text)).source
    assert (source.kind, source.project, source.version) == ("debian", "spam", "1.0")
    lapack = DebianSource(project="lapack", version="3.12.1", sha256=SHA256)
    assert source.parts == {"vendor/lapack": lapack}


def test_debian_source_with_packaging_is_read(tmp_path: Path) -> None:
    text = f"""{SMALLEST.replace("pypi", "debian")}
        [source.packaging]
        revision = "7"
        sha256 = "{SHA256}"
        left-out = ["2000-version.patch"]
    """
    source = load_recipe(write(tmp_path, text)).source
    assert isinstance(source, DebianSource)
    assert source.packaging == DebianPackaging(revision="7", sha256=SHA256, left_out=("2000-version.patch",))


def test_deb_source_and_repack_options_are_read(tmp_path: Path) -> None:
    text = f"""{SMALLEST.replace('"1.0"', '"1.0+debian"')}
        package = "python3-spam"
        overlay = ["package"]
        [build]
        builder = "repack"
        [repair]
        left-out = ["libmpi.so.40"]
        [build.repack]
        excluded = ["spam/bin/*"]
        [build.repack.replaced]
        "libblas.so.3" = "libopenblas.so"
        [build.repack.placed]
        "usr/share/spam" = "spam/share"
    """.replace("pypi", "deb").replace("sha256", 'project = "pyspam"\nversion = "1.0-2"\nsha256')
    text = text.replace('name = "spam"', 'name = "spam"\ndistribution = "Spam"')
    (tmp_path / "spam/package").mkdir(parents=True)
    recipe = load_recipe(write(tmp_path, text))
    assert isinstance(recipe.source, DebSource)
    assert (recipe.source.project, recipe.source.package, recipe.source.version) == ("pyspam", "python3-spam", "1.0-2")
    assert recipe.source.overlay is not None
    assert (recipe.project, recipe.source.overlay.project) == ("Spam", "Spam")
    assert recipe.repacked_from == "Debian's python3-spam 1.0-2"
    assert recipe.build.repack == RepackOptions(
        replaced={"libblas.so.3": "libopenblas.so"},
        excluded=("spam/bin/*",),
        placed={"usr/share/spam": "spam/share"},
    )
    assert recipe.repair.left_out == ("libmpi.so.40",)


@pytest.mark.parametrize("builder", ["repack", "cibuildwheel"])
def test_emulated_python_without_backend_is_refused(tmp_path: Path, builder: str) -> None:
    text = f'{SMALLEST}[build]\nbuilder = "{builder}"\nemulated-python = true\n'
    with pytest.raises(RecipeError, match=rf"recipe\.toml:9: build\.emulated-python: .* {builder}"):
        load_recipe(write(tmp_path, text))


def test_left_out_with_cibuildwheel_is_refused(tmp_path: Path) -> None:
    text = f'{SMALLEST}[build]\nbuilder = "cibuildwheel"\n[repair]\nleft-out = ["libmpi.so.40"]\n'
    with pytest.raises(RecipeError, match=r"repair\.left-out: not supported with cibuildwheel, which repairs"):
        load_recipe(write(tmp_path, text))


def test_folder_without_recipe_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"recipe\.toml:1: cannot be read: No such file"):
        load_recipe(tmp_path)


def test_lines_are_right_for_every_toml_syntax(tmp_path: Path) -> None:
    text = (
        SMALLEST
        + r'''
a."b = c".d = """ "quoted" \""" # not a comment
[x]
"""
'e' = { f = 1, "g]" = [ { h = "}" } ] }
bare_key-1 = 1979-05-27T07:32:00Z   # comment = "x"
[[ array . of ]]
i = 1
'''
    )
    assert problems_of(tmp_path, text) == [
        "recipe.toml:8: source.a: unknown key",
        "recipe.toml:11: source.e: unknown key",
        "recipe.toml:12: source.bare_key-1: unknown key",
        "recipe.toml:13: array: unknown key",
    ]


def test_models_are_read(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(MODELS)
    model = load_models(path)["tiny"]
    assert (model.project, model.version, model.member) == ("llm-tiny", "1", "llm_tiny/tiny.gguf")
    path.write_text(MODELS.replace("member", "file"))
    with pytest.raises(RecipeError, match=r"models\.toml:1: tiny\.member: is missing"):
        load_models(path)


def test_recipes_of_the_repository_have_no_mistakes() -> None:
    assert "numpy" in load_recipes(REPOSITORY / "recipes")


def test_versions_in_overlays_match_the_recipes() -> None:
    """The extra of llama-cpp-tools, for one, names a version that no build looks at."""
    recipes = load_recipes(REPOSITORY / "recipes")
    for recipe in recipes.values():
        for folder in recipe.source.overlay.folders if recipe.source.overlay else ():
            if not (folder / "pyproject.toml").is_file():
                continue
            project = tomllib.loads((folder / "pyproject.toml").read_text()).get("project", {})
            extras = project.get("optional-dependencies", {}).values()
            named = map(Requirement, chain(project.get("dependencies", ()), *extras))
            ours = {item.name: str(item.specifier) for item in named if item.name in recipes}
            assert ours == {name: f"=={recipes[canonicalize_name(name)].version}" for name in ours}, folder


def test_recipe_projects_need_only_the_package_table(tmp_path: Path) -> None:
    tables = {
        "one": 'name = "One"\nshadows-upstream = true',
        "two": 'name = "two"\ndistribution = "Two_X"\nshadows-upstream = true',
        "three": 'name = "three"',
        "four": 'name = "four"\nshadows-upstream = "yes"',
    }
    for name, text in tables.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.toml").write_text(f"[package]\n{text}\n")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/recipe.toml").write_text("[package\n")
    projects, (problem,) = recipe_projects(tmp_path)
    assert "broken/recipe.toml:1: " in problem
    found = {each.recipe: (each.project, each.may_shadow) for each in projects}
    assert found == {
        "one": ("one", True),
        "two": ("two-x", True),
        "three": ("three", False),
        "four": ("four", False),
    }


@pytest.mark.parametrize(
    "name", ["--all", "a b", "$(touch x)", "x\nwaves=[]", "@owner", "::error::x", 'a";b', "-", ".x"]
)
def test_name_that_is_no_package_name_is_refused(tmp_path: Path, name: str) -> None:
    """Also where it is the folder's: whoever opens a pull request chooses both."""
    text = SMALLEST.replace('name = "spam"', "name = " + json.dumps(name))
    write(tmp_path, text, name)
    with pytest.raises(RecipeError, match=r"package\.name: .* is no name of a package"):
        load_recipe(tmp_path / name)


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to itself"])
def test_recipe_that_is_no_file_is_a_mistake(tmp_path: Path, kind: str) -> None:
    """A pipe would never end, and a broken link must not look like no recipe."""
    file = tmp_path / "odd/recipe.toml"
    file.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(file)
    readable, mistakes = load_readable(tmp_path, SOURCE_KINDS)
    assert not readable
    assert "recipe.toml:1: cannot be read" in str(mistakes)
