"""Tests of plans: jobs, their order and content keys."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import RecipeError
from factory.model.job import Job, ProjectMetadata
from factory.model.markers import requirements_for
from factory.model.recipe import BuildOptions, CheckOptions, Recipe
from factory.model.target import PYTHONS, Target
from factory.pipeline.content_key import content_key
from factory.pipeline.plan import plan
from factory.recipes.loader import load_recipe
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.stages.sources.pypi import PypiSource


def make_recipe(name: str, folder: Path = Path("recipes")) -> Recipe:
    pin = PypiSource(project=name, version="1.0", sha256="0" * 64)
    return Recipe(name=name, version="1.0", directory=folder / name, source=pin)


def metadata(*, build: tuple[str, ...] = (), run: tuple[str, ...] = ()) -> ProjectMetadata:
    return ProjectMetadata(name=None, version=None, build_backend="x", build_requires=build, dependencies=run)


def jobs_for(names: list[str], pythons: Sequence[str], needs: dict[str, ProjectMetadata]) -> list[Job]:
    recipes = {name: make_recipe(name) for name in needs}
    return plan(names, pythons, recipes, lambda recipe: needs[recipe.name])


def order(names: list[str], needs: dict[str, ProjectMetadata]) -> list[str]:
    return [job.recipe.name for job in jobs_for(names, PYTHONS[:1], needs)]


def test_what_a_package_needs_at_run_time_comes_before_it() -> None:
    needs = {"llama": metadata(run=("numpy>=1.20", "jinja2")), "numpy": metadata()}
    assert order(["llama"], needs) == ["numpy", "llama"]


def test_plan_transitive_build_needs_come_first() -> None:
    needs = {"scipy": metadata(build=("numpy",)), "numpy": metadata(build=("openblas",)), "openblas": metadata()}
    assert order(["scipy"], needs) == ["openblas", "numpy", "scipy"]


def test_what_only_the_check_requires_comes_before_it_too() -> None:
    torch = replace(make_recipe("torch"), check=CheckOptions(requires=("numpy>=2", "pytest")))
    recipes = {"torch": torch, "numpy": make_recipe("numpy")}
    jobs = plan(["torch"], PYTHONS[:1], recipes, lambda _recipe: metadata())
    assert [job.recipe.name for job in jobs] == ["numpy", "torch"]


def test_check_without_dependencies_plans_only_its_requirements() -> None:
    check = CheckOptions(requires=("torch",), dependencies=False)
    recipes = {name: make_recipe(name) for name in ("vllm", "torch", "tiktoken")}
    recipes["vllm"] = replace(recipes["vllm"], check=check)
    jobs = plan(["vllm"], PYTHONS[:1], recipes, lambda recipe: metadata(run=("tiktoken",) * (recipe.name == "vllm")))
    assert [job.recipe.name for job in jobs] == ["torch", "vllm"]


def test_names_are_normalized() -> None:
    assert order(["LLama_CPP.python"], {"llama-cpp-python": metadata()}) == ["llama-cpp-python"]


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(RecipeError, match="no recipe for 'nunpy'") as caught:
        order(["nunpy"], {"numpy": metadata()})
    assert caught.value.hint == "did you mean 'numpy'?"


def test_plan_without_recipes_hints_at_project() -> None:
    """An installed factory outside of a project's folder finds none."""
    with pytest.raises(RecipeError, match="no recipe for 'numpy'") as caught:
        order(["numpy"], {})
    assert "--project" in str(caught.value.hint)


def test_recipes_that_need_each_other_are_refused() -> None:
    with pytest.raises(RecipeError, match="depend on each other: "):
        order(["a"], {"a": metadata(build=("b",)), "b": metadata(build=("a",))})


def test_plan_several_pythons_orders_first_python_first() -> None:
    llama = metadata(run=("numpy", "tomli; python_version < '3.14'"))
    jobs = jobs_for(["llama"], ["3.13", "3.14"], {"llama": llama, "numpy": metadata(), "tomli": metadata()})
    needs = {job.id: job.needs for job in jobs}
    assert {job[:2]: {need[:2] for need in each} for job, each in needs.items()} == {
        ("tomli", "3.13"): set(),
        ("numpy", "3.13"): set(),
        ("llama", "3.13"): {("numpy", "3.13"), ("tomli", "3.13")},
        ("numpy", "3.14"): {("numpy", "3.13")},
        ("llama", "3.14"): {("numpy", "3.14"), ("llama", "3.13")},
    }
    assert all(needs[job.id] <= {before.id for before in jobs[:number]} for number, job in enumerate(jobs))


def test_plan_excluded_python_is_refused() -> None:
    needs = {"old": replace(metadata(), requires_python=">=3.9,<3.14")}
    with pytest.raises(RecipeError) as caught:
        jobs_for(["old"], ["3.13", "3.14"], needs)
    assert caught.value.message.startswith("old 1.0 ")
    assert " Python 3.14: " in caught.value.message
    assert caught.value.message.endswith(" >=3.9,<3.14")
    assert (caught.value.hint or "").endswith(" --python 3.13")


def test_plan_later_patch_release_is_accepted() -> None:
    needs = {"new": replace(metadata(), requires_python=">=3.13.1")}
    assert [job.id for job in jobs_for(["new"], ["3.13"], needs)] == [("new", "3.13", "")]


def test_plan_invalid_requires_python_is_ignored() -> None:
    needs = {"odd": replace(metadata(), requires_python="3.*.x")}
    assert [job.id for job in jobs_for(["odd"], ["3.13"], needs)] == [("odd", "3.13", "")]


def with_toolchains(*named: str, of: Recipe) -> Recipe:
    return replace(of, build=replace(of.build, toolchains=named))


def test_plan_toolchains_need_jobs_of_default_toolchain() -> None:
    needs = {"llama": metadata(run=("numpy",)), "numpy": metadata()}
    recipes = {name: with_toolchains("gcc", "clang", of=make_recipe(name)) for name in needs}
    jobs = {job.label: job for job in plan(["llama"], ["3.13"], recipes, lambda recipe: needs[recipe.name])}
    numpy = ("numpy", "3.13", "")
    assert {label: (job.id, set(job.needs), job.comparison) for label, job in jobs.items()} == {
        "numpy 1.0": (numpy, set(), False),
        "llama 1.0": (("llama", "3.13", ""), {numpy}, False),
        "llama 1.0 with clang": (("llama", "3.13", "clang"), {numpy}, True),
    }


def test_plan_requested_toolchains_replace_recipe_toolchains() -> None:
    both = {"demo": with_toolchains("clang", "gcc", of=make_recipe("demo"))}
    jobs = plan(["demo"], PYTHONS, both, lambda _: metadata(), ["gcc"])
    assert [(job.python, job.toolchain, job.comparison) for job in jobs] == [
        ("3.13", "gcc", True),
        ("3.14", "gcc", True),
    ]
    assert jobs[1].needs == {jobs[0].id}


def test_markers_are_those_of_the_target() -> None:
    requirements = ["a; platform_machine == 'x86_64'", "b; platform_machine == 'riscv64'", "c; extra == 'test'", "d"]
    assert [each.name for each in requirements_for(requirements, "3.13")] == ["b", "d"]


@pytest.mark.parametrize(
    ("requirement", "provider"),
    [
        ("torch", "torch-debian"),
        ("torch<2.14", "torch"),
        ("torch>=2.14,<2.15", "torch-debian"),
        ("torch>=3", "torch"),
        ("torch<2; platform_machine == 'riscv64'", "torch"),
        ("torch-debian", "torch-debian"),
    ],
)
def test_requirement_selects_the_newest_recipe_that_fits(requirement: str, provider: str) -> None:
    """If none fits, that of the name: its build then says what does not fit."""
    recipes = {
        "torch": replace(make_recipe("torch"), version="2.6.0"),
        "torch-debian": replace(make_recipe("torch-debian"), version="2.14.1+debian", distribution="torch"),
        "vllm": make_recipe("vllm"),
    }
    needs = {**dict.fromkeys(recipes, metadata()), "vllm": metadata(build=(requirement,))}
    jobs = plan(["vllm"], ["3.14"], recipes, lambda recipe: needs[recipe.name])
    assert [job.recipe.name for job in jobs] == [provider, "vllm"]


def test_run_requirement_that_no_recipe_meets_needs_none() -> None:
    recipes = {"torch": make_recipe("torch"), "vllm": make_recipe("vllm")}
    recipes["torch-debian"] = replace(make_recipe("torch-debian"), distribution="torch")
    needs = {**dict.fromkeys(recipes, metadata()), "vllm": metadata(run=("torch>=3",))}
    jobs = plan(["vllm"], ["3.14"], recipes, lambda recipe: needs[recipe.name])
    assert [job.recipe.name for job in jobs] == ["vllm"]


def test_requirement_skips_recipe_that_excludes_python() -> None:
    recipes = {name: make_recipe(name) for name in ("torch", "vllm")}
    recipes["torch-debian"] = replace(make_recipe("torch-debian"), distribution="torch")
    needs = {
        "vllm": metadata(build=("torch",)),
        "torch": replace(metadata(), requires_python="<3.14"),
        "torch-debian": metadata(),
    }
    jobs = plan(["vllm"], ["3.14"], recipes, lambda recipe: needs[recipe.name])
    assert [job.recipe.name for job in jobs] == ["torch-debian", "vllm"]


RECIPE = """\
[package]
name = "demo"
version = "1.0"

[source]
kind = "local"
path = "../../demo"
overlay = ["package"]

[build]
apt = ["libx-dev"]
"""
SUITE = """
[suite]
script = "suite.py"
requires = [
    "numpy",
]
"""


def read_recipe(checkout: Path, text: str = RECIPE) -> Recipe:
    """Read a recipe from its text, in a checkout with the files that it names."""
    folder = checkout / "recipes/demo"
    for needed in (folder / "package", checkout / "demo"):
        needed.mkdir(parents=True, exist_ok=True)
    for script in ("smoke.py", "suite.py"):
        (folder / script).write_text("pass")
    (folder / "recipe.toml").write_text(text)
    return load_recipe(folder, SOURCE_KINDS)


def key_of(recipe: Recipe) -> str:
    return content_key(Job(recipe=recipe, metadata=metadata()), ("s",), Target(), "e", (), ())


def test_the_key_does_not_change_with_what_decides_nothing(tmp_path: Path) -> None:
    more = 'memory-per-job = "2 GB"\ntoolchains = [\n    "gcc",\n    "clang",\n]\n'
    other = RECIPE.replace("[source]", "shadows-upstream = true\n[source]") + more + SUITE + "# and a remark\n"
    assert key_of(read_recipe(tmp_path, other)) == key_of(read_recipe(tmp_path))


def test_key_indented_table_after_suite_counts(tmp_path: Path) -> None:
    suite = RECIPE + SUITE
    assert key_of(read_recipe(tmp_path, f'{suite}  [build.environment]\n  X = "1"\n')) != key_of(
        read_recipe(tmp_path, f'{suite}  [build.environment]\n  X = "2"\n')
    )


def test_key_of_check_modules_counts(tmp_path: Path) -> None:
    recipe = read_recipe(tmp_path)
    script, folder = recipe.directory / "smoke.py", recipe.directory / "checks"
    script.write_text("import checks.sums")
    folder.mkdir()
    recipe = replace(recipe, check=replace(recipe.check, script=script))
    without = key_of(recipe)
    (folder / "sums.py").write_text("pass")
    first = key_of(recipe)
    (folder / "sums.py").write_text("assert True")
    assert len({without, first, key_of(recipe)}) == 3


def test_key_recipe_file_changed_after_reading_stays(tmp_path: Path) -> None:
    recipe = read_recipe(tmp_path)
    before = key_of(recipe)
    (recipe.directory / "recipe.toml").write_text("another one")
    assert key_of(recipe) == before


def test_the_key_is_the_same_wherever_the_checkout_lies(tmp_path: Path) -> None:
    assert key_of(read_recipe(tmp_path / "here")) == key_of(read_recipe(tmp_path / "there"))


def test_the_key_changes_with_everything_that_decides_the_wheel(tmp_path: Path) -> None:
    recipe = make_recipe("demo", tmp_path)
    recipe.directory.mkdir()
    patch = tmp_path / "0001-x.patch"
    patch.write_text("a patch")
    job = Job(recipe=recipe, metadata=metadata())

    def key(
        source: tuple[str, ...] = ("s",),
        target: Target = Target(),  # noqa: B008
        environment: str = "e",
        patches: tuple[Path, ...] = (patch,),
        wheels: tuple[str, ...] = ("w",),
    ) -> str:
        return content_key(job, source, target, environment, patches, wheels)

    first = key()
    assert key() == first
    others = [
        key(source=("t",)),
        key(source=("s", "model")),
        key(target=Target(python="3.14")),
        key(environment="f"),
        key(patches=()),
        key(wheels=()),
    ]
    job = replace(job, recipe=replace(recipe, build=BuildOptions(environment={"X": "1"})))
    others.append(key())
    job = replace(job, recipe=replace(recipe, check=CheckOptions(profiles=("rv64gc",))))
    others.append(key())
    script = recipe.directory / "smoke.py"
    script.write_text("pass")
    job = replace(job, recipe=replace(recipe, check=CheckOptions(script=script)))
    others.append(key())
    patch.write_text("another patch")
    others.append(key())
    assert len({first, *others}) == len(others) + 1


def test_check_needs_are_those_of_run_time_alone() -> None:
    """Not build requirements, and not what the same run builds for others."""
    needs = {
        "llama": metadata(build=("cmaker",), run=("numpy",)),
        "numpy": metadata(build=("openblas",), run=("runtime",)),
        "openblas": metadata(),
        "runtime": metadata(),
        "cmaker": metadata(),
        "other": metadata(run=("numpy",)),
    }
    jobs = {job.recipe.name: job for job in jobs_for(["llama", "other"], PYTHONS[:1], needs)}
    assert jobs["llama"].check_needs == {"numpy", "runtime"}
    assert jobs["openblas"].check_needs == frozenset()
