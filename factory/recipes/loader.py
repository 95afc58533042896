"""recipe.toml and models.toml to values; all mistakes of a file are reported at once."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.errors import RecipeError
from factory.model.recipe import (
    BUILDERS,
    AuditOptions,
    BuildOptions,
    CheckOptions,
    ModelPin,
    Recipe,
    RepackOptions,
    RepairOptions,
)
from factory.model.target import DEFAULT_PROFILES, PROFILES, TOOLCHAINS
from factory.recipes.sources import read_source
from factory.recipes.toml_reader import CORRECT_THESE, Document, Table, unknown
from factory.recipes.values import (
    read_bytes,
    read_choices,
    read_config_settings,
    read_debian_packages,
    read_globs,
    read_requires,
    read_sha256,
    read_variables,
    read_version,
    read_words,
)

RECIPE_FILE = "recipe.toml"
MODELS_FILE = "models.toml"
DEFAULT_SCRIPT = "smoke.py"


def load_recipe(directory: Path, models: Collection[str] | None = None) -> Recipe:
    """Read `directory/recipe.toml`. The name of a model is checked when `models`, the known names, are given.

    Raises:
        RecipeError: one line for each mistake: `file:line: key.path: what is wrong; did you mean 'x'?`.
    """
    document = Document(directory / RECIPE_FILE)
    root = document.root
    package = root.table("package", required=True)
    name, version = _read_package(package, directory)
    distribution = package.string("distribution", "")
    build = _read_build(root.table("build"))
    recipe = Recipe(
        name=name,
        version=version,
        directory=directory,
        build_number=package.integer("build", 0),
        shadows_upstream=package.boolean("shadows-upstream"),
        distribution=distribution,
        source=read_source(root.table("source", required=True), distribution or name, version, directory),
        build=build,
        repair=_read_repair(root.table("repair"), build.builder),
        audit=AuditOptions(dispatched=read_globs(root.table("audit"), "dispatched")),
        check=_read_check(root.table("check"), directory, models),
        suite=_read_suite(root.table("suite"), directory),
        file_sha256=document.sha256,
    )
    document.finish()
    return recipe


def load_recipes(root: Path) -> dict[str, Recipe]:
    """Read every `root/*/recipe.toml`, keyed by normalized name, with the models of `root/models.toml` if it exists.

    Raises:
        RecipeError: the mistakes of all files together, or two recipes of the same name.
    """
    problems: list[str] = []
    models = _load_models_beside(root, problems)
    recipes: dict[str, Recipe] = {}
    for file in sorted(root.glob(f"*/{RECIPE_FILE}")):
        try:
            recipe = load_recipe(file.parent, models)
        except RecipeError as error:
            problems.append(error.message)
            continue
        first = recipes.setdefault(canonicalize_name(recipe.name), recipe)
        if first is not recipe:
            problems.append(f"{file}:1: package.name: {recipe.name!r} is also {first.directory / RECIPE_FILE}'s")
    if problems:
        raise RecipeError("\n".join(problems), hint=CORRECT_THESE)
    return recipes


def load_models(path: Path) -> dict[str, ModelPin]:
    """Read models.toml: one table a model, keyed by its name.

    Raises:
        RecipeError: one line for each mistake.
    """
    document = Document(path)
    models = {name: _read_model(document.root.table(name), name) for name in document.root.keys}
    document.finish()
    return models


def _load_models_beside(root: Path, problems: list[str]) -> Collection[str] | None:
    """The known models' names; None when there is no readable models.toml to check against."""
    if not (root / MODELS_FILE).exists():
        return None
    try:
        return tuple(load_models(root / MODELS_FILE))
    except RecipeError as error:
        problems.append(error.message)
        return None


def _read_model(table: Table, name: str) -> ModelPin:
    return ModelPin(
        name=name,
        project=table.string("project"),
        version=read_version(table),
        wheel_sha256=read_sha256(table, "wheel-sha256"),
        member=table.string("member"),
        sha256=read_sha256(table, "sha256"),
    )


def _read_package(table: Table, directory: Path) -> tuple[str, str]:
    name = table.string("name")
    folder = directory.absolute().name
    if name and canonicalize_name(name) != canonicalize_name(folder):
        table.problem("name", f"{name!r} is not the folder's name, {folder!r}")
    return name, read_version(table)


def _read_build(table: Table) -> BuildOptions:
    builder, requires = table.choice("builder", BUILDERS, "pep517"), read_requires(table)
    if requires and builder == "cibuildwheel":
        table.problem(
            "requires", "can't be had with cibuildwheel: the project's own configuration installs what it needs"
        )
    return BuildOptions(
        builder=builder,
        config_settings=read_config_settings(table.table("config-settings")),
        environment=read_variables(table.table("environment")),
        requires=requires,
        apt=read_debian_packages(table, "apt"),
        rust=table.boolean("rust"),
        toolchains=_read_toolchains(table),
        memory_per_job=read_bytes(table, "memory-per-job"),
        repack=_read_repack(table.table("repack")),
    )


def _read_repack(table: Table) -> RepackOptions:
    return RepackOptions(
        replaced=read_words(table.table("replaced")),
        excluded=read_globs(table, "excluded"),
        placed=read_words(table.table("placed")),
    )


def _read_repair(table: Table, builder: str) -> RepairOptions:
    left_out = table.strings("left-out")
    if left_out and builder == "cibuildwheel":
        table.problem("left-out", "can't be had with cibuildwheel, which repairs its wheels itself")
    return RepairOptions(left_out=left_out)


def _read_toolchains(table: Table) -> tuple[str, ...]:
    return read_choices(table, "toolchains", TOOLCHAINS, TOOLCHAINS[:1], "must name at least one toolchain")


def _read_check(table: Table, directory: Path, models: Collection[str] | None) -> CheckOptions:
    profiles, same_tokens = _read_profiles(table), table.integer("same-tokens", 0)
    if "logits-tolerance" in table.keys and not same_tokens:
        table.problem("logits-tolerance", "compares nothing without same-tokens: set how many tokens must be the same")
    return CheckOptions(
        script=_read_script(table, directory),
        model=_read_model_name(table, models),
        profiles=profiles,
        model_profiles=_read_model_profiles(table, profiles),
        requires=read_requires(table),
        expect=_read_expect(table.table("expect"), profiles),
        same_tokens=same_tokens,
        logits_tolerance=table.number("logits-tolerance", 0.0),
    )


def _read_suite(table: Table, directory: Path) -> CheckOptions | None:
    name = table.string("script", "")
    profiles, requires, build_root = _read_profiles(table), read_requires(table), table.boolean("build-root")
    if not name:
        return None
    if not (directory / name).is_file():
        table.problem("script", f"{name!r} is not a file beside this recipe")
    return CheckOptions(script=directory / name, profiles=profiles, requires=requires, build_root=build_root)


def _read_profiles(table: Table) -> tuple[str, ...]:
    if_empty = "must name at least one profile: what was not run is not published"
    return read_choices(table, "profiles", PROFILES, DEFAULT_PROFILES, if_empty)


def _read_model_profiles(table: Table, profiles: tuple[str, ...]) -> tuple[str, ...]:
    """Some of the recipe's profiles; none where all run the model."""
    if "model-profiles" not in table.keys:
        return ()
    if_empty = "must name at least one profile: without check.model no profile runs a model"
    return read_choices(table, "model-profiles", profiles, (), if_empty)


def _read_script(table: Table, directory: Path) -> Path | None:
    name = table.string("script", "")
    if name and not (directory / name).is_file():
        table.problem("script", f"{name!r} is not a file beside this recipe")
    script = directory / (name or DEFAULT_SCRIPT)
    return script if script.is_file() else None


def _read_model_name(table: Table, models: Collection[str] | None) -> str | None:
    name = table.string("model", "")
    if name and models is not None and name not in models:
        table.problem("model", unknown(name, models) + f" ({MODELS_FILE})")
    return name or None


def _read_expect(table: Table, profiles: Collection[str]) -> dict[str, dict[str, object]]:
    return {fact: _read_expected(table.table(fact), profiles) for fact in table.keys}


def _read_expected(table: Table, profiles: Collection[str]) -> dict[str, object]:
    """One fact's value on each profile."""
    for profile in table.keys:
        if profile not in profiles:
            table.problem(profile, f"is not one of the recipe's profiles: {', '.join(profiles)}")
    return {key: table.get(key, (str, bool, int, float), "a string, boolean or number") for key in table.keys}
