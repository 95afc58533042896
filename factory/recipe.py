"""recipe.toml and models.toml to values; all mistakes of a file are reported at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from factory.errors import RecipeError
from factory.model import (
    BUILDERS,
    DEFAULT_PROFILES,
    PROFILES,
    TOOLCHAINS,
    AuditOptions,
    BuildOptions,
    CheckOptions,
    DebianPackaging,
    ModelPin,
    Overlay,
    Recipe,
    RepackOptions,
    RepairOptions,
    SourcePin,
)
from factory.toml_reader import CORRECT_THESE, Document, Table, unknown

RECIPE_FILE = "recipe.toml"
MODELS_FILE = "models.toml"
DEFAULT_SCRIPT = "smoke.py"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BYTES = re.compile(r"(\d+(?:\.\d+)?) ?(MB|GB)")
_UNITS = {"MB": 10**6, "GB": 10**9}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Debian Policy 5.6.1, with the `=version` that apt-get takes.
_DEBIAN_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?")
_DEBIAN_SOURCE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_DEBIAN_REVISION = re.compile(r"[A-Za-z0-9+.~]+")
# The upstream part of Policy 5.6.12: neither an epoch before it nor Debian's revision after it.
_DEBIAN_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~]*(-[A-Za-z0-9.+~]+)*")


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
        source=_read_source(root.table("source", required=True), distribution or name, version, directory),
        build=build,
        repair=_read_repair(root.table("repair"), build.builder),
        audit=AuditOptions(dispatched=_read_globs(root.table("audit"), "dispatched")),
        check=_read_check(root.table("check"), directory, models),
        suite=_read_suite(root.table("suite"), directory),
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
        version=_read_version(table),
        wheel_sha256=_read_sha256(table, "wheel-sha256"),
        member=table.string("member"),
        sha256=_read_sha256(table, "sha256"),
    )


def _read_package(table: Table, directory: Path) -> tuple[str, str]:
    name = table.string("name")
    folder = directory.absolute().name
    if name and canonicalize_name(name) != canonicalize_name(folder):
        table.problem("name", f"{name!r} is not the folder's name, {folder!r}")
    return name, _read_version(table)


def _read_version(table: Table) -> str:
    version = table.string("version")
    _check_version(table, version)
    return version


def _check_version(table: Table, version: str) -> None:
    try:
        Version(version or "0")
    except InvalidVersion:
        table.problem("version", f"{version!r} is not a version as PEP 440 defines it")


def _read_sha256(table: Table, key: str, default: str | None = None) -> str:
    sha256 = table.string(key, default)
    if sha256 and not _SHA256.fullmatch(sha256):
        table.problem(key, "must be 64 lowercase hexadecimal digits")
    return sha256


def _read_source(table: Table, name: str, version: str, directory: Path) -> SourcePin:
    """A source of another project's, or of another version, needs an overlay that makes it this package."""
    kind = table.choice("kind", SOURCE_KINDS)
    if kind not in SOURCE_KINDS:
        table.ignore_unknown_keys()  # which keys belong here depends on the kind
        return SourcePin(kind=kind, project=name, version=version)
    overlay = _read_overlay(table, name, version, directory)
    project, source_version = table.string("project", name), table.string("version", version)
    if overlay is None and (project, source_version) != (name, version):
        table.problem("overlay", "is missing: only an overlay makes another project's source this package")
    pin = SOURCE_KINDS[kind](table, project, source_version, directory)
    return replace(pin, overlay=overlay, parts=_read_parts(table.table("parts"), directory))


def _read_parts(table: Table, directory: Path) -> dict[str, SourcePin]:
    for folder in table.keys:
        if not _is_inside(folder):
            table.problem(folder, f"{folder!r} must be the path of a folder inside the source")
    return {folder: _read_part(table.table(folder), directory) for folder in table.keys}


def _read_part(table: Table, directory: Path) -> SourcePin:
    """A source that another one takes in says whose it is itself."""
    kind = table.choice("kind", SOURCE_KINDS)
    project, version = table.string("project"), table.string("version")
    if kind not in SOURCE_KINDS:
        table.ignore_unknown_keys()
        return SourcePin(kind=kind, project=project, version=version)
    return SOURCE_KINDS[kind](table, project, version, directory)


def _read_overlay(table: Table, name: str, version: str, directory: Path) -> Overlay | None:
    folders = table.strings("overlay")
    for folder in folders:
        _check_folder(table, "overlay", folder, directory)
    if not folders:
        return None
    return Overlay(project=name, version=version, folders=tuple(directory / folder for folder in folders))


def _check_folder(table: Table, key: str, path: str, directory: Path) -> None:
    if PurePosixPath(path).is_absolute():
        table.problem(key, "must be relative to the recipe's folder")
    elif not (directory / path).is_dir():
        table.problem(key, f"{path!r} is not a folder beside this recipe")


def _read_pypi(table: Table, name: str, version: str, _directory: Path) -> SourcePin:
    _check_version(table, version)
    return SourcePin(kind="pypi", project=name, version=version, sha256=_read_sha256(table, "sha256"))


def _read_debian(table: Table, name: str, version: str, _directory: Path) -> SourcePin:
    if name and not _DEBIAN_SOURCE.fullmatch(name):
        table.problem("project", f"{name!r} is not the name of a Debian source package")
    if version and not _DEBIAN_VERSION.fullmatch(version):
        table.problem("version", f"{version!r} is not an upstream version as Debian writes it, as in '0.3.34+ds'")
    packaging = _read_packaging(table.table("packaging")) if "packaging" in table.keys else None
    sha256 = _read_sha256(table, "sha256")
    return SourcePin(kind="debian", project=name, version=version, sha256=sha256, packaging=packaging)


def _read_packaging(table: Table) -> DebianPackaging:
    revision = table.string("revision")
    if revision and not _DEBIAN_REVISION.fullmatch(revision):
        table.problem("revision", f"{revision!r} is not a revision as Debian writes it, as in '7'")
    sha256 = _read_sha256(table, "sha256")
    return DebianPackaging(revision=revision, sha256=sha256, left_out=table.strings("left-out"))


def _read_deb(table: Table, name: str, version: str, directory: Path) -> SourcePin:
    package = table.string("package")
    if package and not _DEBIAN_SOURCE.fullmatch(package):
        table.problem("package", f"{package!r} is not the name of a Debian package")
    pin = _read_debian(table, name, version, directory)
    return replace(pin, kind="deb", package=package)


def _read_local(table: Table, name: str, version: str, directory: Path) -> SourcePin:
    path = table.string("path")
    if path:
        _check_folder(table, "path", path, directory)
    sha256 = _read_sha256(table, "sha256", "")
    return SourcePin(kind="local", project=name, version=version, sha256=sha256, path=directory / path)


# factory.sources holds the function that fetches each kind.
SOURCE_KINDS: Mapping[str, Callable[[Table, str, str, Path], SourcePin]] = {
    "pypi": _read_pypi,
    "debian": _read_debian,
    "deb": _read_deb,
    "local": _read_local,
}


def _read_build(table: Table) -> BuildOptions:
    builder, requires = table.choice("builder", BUILDERS, "pep517"), _read_requires(table)
    if requires and builder == "cibuildwheel":
        table.problem(
            "requires", "can't be had with cibuildwheel: the project's own configuration installs what it needs"
        )
    return BuildOptions(
        builder=builder,
        config_settings=_read_config_settings(table.table("config-settings")),
        environment=_read_variables(table.table("environment")),
        requires=requires,
        apt=_read_debian_packages(table, "apt"),
        rust=table.boolean("rust"),
        toolchains=_read_toolchains(table),
        memory_per_job=_read_bytes(table, "memory-per-job"),
        repack=_read_repack(table.table("repack")),
    )


def _read_repack(table: Table) -> RepackOptions:
    return RepackOptions(
        replaced=_read_words(table.table("replaced")),
        excluded=_read_globs(table, "excluded"),
        placed=_read_words(table.table("placed")),
    )


def _read_repair(table: Table, builder: str) -> RepairOptions:
    left_out = table.strings("left-out")
    if left_out and builder == "cibuildwheel":
        table.problem("left-out", "can't be had with cibuildwheel, which repairs its wheels itself")
    return RepairOptions(left_out=left_out)


def _read_words(table: Table) -> dict[str, str]:
    return {key: table.string(key) for key in table.keys}


def _read_toolchains(table: Table) -> tuple[str, ...]:
    return _read_choices(table, "toolchains", TOOLCHAINS, TOOLCHAINS[:1], "must name at least one toolchain")


def _read_choices(
    table: Table, key: str, known: Collection[str], default: tuple[str, ...], if_empty: str
) -> tuple[str, ...]:
    """Some of the `known` names, each once."""
    names = table.strings(key, default)
    if not names:
        table.problem(key, if_empty)
    for name in dict.fromkeys(names):
        if name not in known:
            table.problem(key, unknown(name, known))
        elif names.count(name) > 1:
            table.problem(key, f"{name!r} is named twice")
    return names


def _read_bytes(table: Table, key: str) -> int:
    text = table.string(key, "")
    match = _BYTES.fullmatch(text)
    if text and match is None:
        table.problem(key, f'{text!r} is not an amount of memory; write it like "1.5 GB" or "800 MB"')
    return int(float(match[1]) * _UNITS[match[2]]) if match else 0


def _read_config_settings(table: Table) -> dict[str, str | tuple[str, ...]]:
    """Values as PEP 517 frontends pass them: a string, or a list of strings for an option that is given repeatedly."""
    settings: dict[str, str | tuple[str, ...]] = {}
    for key in table.keys:
        value = table.get(key, (str, list), "a string or a list of strings")
        settings[key] = table.strings(key) if isinstance(value, list) else value or ""
    return settings


def _read_variables(table: Table) -> dict[str, str]:
    for key in table.keys:
        if not _VARIABLE.fullmatch(key):
            table.problem(key, "is not the name of an environment variable")
    return {key: table.get(key, (str,), "a string") or "" for key in table.keys}


def _read_debian_packages(table: Table, key: str) -> tuple[str, ...]:
    packages = table.strings(key)
    for package in packages:
        if not _DEBIAN_PACKAGE.fullmatch(package):
            table.problem(key, f"{package!r} is not the name of a Debian package")
    return packages


def _is_inside(path: str) -> bool:
    return not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def _read_globs(table: Table, key: str) -> tuple[str, ...]:
    globs = table.strings(key)
    for glob in globs:
        if not _is_inside(glob):
            table.problem(key, f"{glob!r} must be a path inside the wheel")
    return globs


def _read_check(table: Table, directory: Path, models: Collection[str] | None) -> CheckOptions:
    profiles = _read_profiles(table)
    return CheckOptions(
        script=_read_script(table, directory),
        model=_read_model_name(table, models),
        profiles=profiles,
        requires=_read_requires(table),
        expect=_read_expect(table.table("expect"), profiles),
        same_tokens=table.integer("same-tokens", 0),
        logits_tolerance=table.number("logits-tolerance", 0.0),
    )


def _read_suite(table: Table, directory: Path) -> CheckOptions | None:
    name = table.string("script", "")
    profiles, requires, build_root = _read_profiles(table), _read_requires(table), table.boolean("build-root")
    if not name:
        return None
    if not (directory / name).is_file():
        table.problem("script", f"{name!r} is not a file beside this recipe")
    return CheckOptions(script=directory / name, profiles=profiles, requires=requires, build_root=build_root)


def _read_profiles(table: Table) -> tuple[str, ...]:
    if_empty = "must name at least one profile: what was not run is not published"
    return _read_choices(table, "profiles", PROFILES, DEFAULT_PROFILES, if_empty)


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


def _read_requires(table: Table) -> tuple[str, ...]:
    requires = table.strings("requires")
    for requirement in requires:
        try:
            Requirement(requirement)
        except InvalidRequirement:
            table.problem("requires", f"{requirement!r} is not a requirement as PEP 508 defines it")
    return requires


def _read_expect(table: Table, profiles: Collection[str]) -> dict[str, dict[str, object]]:
    return {fact: _read_expected(table.table(fact), profiles) for fact in table.keys}


def _read_expected(table: Table, profiles: Collection[str]) -> dict[str, object]:
    """One fact's value on each profile."""
    for profile in table.keys:
        if profile not in profiles:
            table.problem(profile, f"is not one of the recipe's profiles: {', '.join(profiles)}")
    return {key: table.get(key, (str, bool, int, float), "a string, boolean or number") for key in table.keys}
