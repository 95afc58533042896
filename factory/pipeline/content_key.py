"""Content key of a job: same key, no rebuild."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from factory.model.job import Job
from factory.model.recipe import Recipe
from factory.model.target import FIRST_TOOLCHAIN, PROFILES, Target
from factory.pipeline.key_defaults import CPUS, DEFAULTS
from factory.util.atomic_files import sha256_of
from factory.util.jsonio import dumps, identify

# Version of the factory's own build, repair and audit logic; increment when wheels change.
BUILD_LOGIC = 4
# Longer texts, and paths, are recorded as their hash.
LONGEST_RECORDED = 40
HASHED = "sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyParts:
    """Parts of a job's content key, see `content_key`.

    `inputs` and `wheels` are by their names.
    """

    job: Job
    inputs: Mapping[str, str]
    target: Target
    environment_key: str
    patches: Sequence[Path]
    wheels: Mapping[str, str]
    build_logic: int = BUILD_LOGIC

    @property
    def key(self) -> str:
        """The content key."""
        inputs, wheels = list(self.inputs.values()), list(self.wheels.values())
        return content_key(
            self.job, inputs, self.target, self.environment_key, self.patches, wheels, build_logic=self.build_logic
        )

    @property
    def recorded(self) -> Mapping[str, str]:
        """All parts by kind and name, as build records hold them."""
        return {name: _recorded(text) for name, text in self._texts()}

    def _texts(self) -> Iterator[tuple[str, str]]:
        recipe = self.job.recipe
        for table, value in json.loads(identify(_deciding(recipe), recipe.directory, DEFAULTS)).items():
            inner = value.items() if isinstance(value, dict) else ()
            keys = {f"{table}.{key}": each for key, each in inner} if inner else {table: value}
            yield from ((f"recipe {key}", json.dumps(each)) for key, each in keys.items())
        yield from self.inputs.items()
        yield from ((f"patch {path.name}", sha256_of(path)) for path in self.patches)
        yield from ((f"check {path.name}", sha256_of(path)) for path in _check_files(recipe))
        yield from ((f"wheel {name}", sha256) for name, sha256 in self.wheels.items())
        yield "environment", self.environment_key
        yield "toolchain", self.job.toolchain
        yield "target", dumps(self.target)
        yield from ((f"CPU {text}", text) for text in _cpus(recipe))
        yield "build logic", str(self.build_logic)


def content_key(
    job: Job,
    inputs: Sequence[str],
    target: Target,
    environment_key: str,
    patches: Iterable[Path],
    dependency_wheels: Sequence[str],
    *,
    build_logic: int = BUILD_LOGIC,
) -> str:
    """Return the sha256 over all that decides a wheel's bytes and checks, with defaults.

    `inputs` are the hashes of the source and of the check's model, and versions of host programs that change wheels;
    `dependency_wheels` are the hashes of our own wheels that the build installs.
    """
    recipe = job.recipe
    digest = hashlib.sha256()
    # In native mode the environment key covers every installed compiler, not the chosen one.
    compilers = [] if job.toolchain == FIRST_TOOLCHAIN else [f"toolchain {job.toolchain}"]
    described = (dumps(target), identify(_deciding(recipe), recipe.directory, DEFAULTS), *_cpus(recipe))
    for text in (str(build_logic), *described, environment_key, *inputs, *compilers, *sorted(dependency_wheels)):
        digest.update(f"{len(text)}:{text}".encode())
    for path in (*_check_files(recipe), *patches):
        content = path.read_bytes()
        digest.update(f"{path.name}:{len(content)}:".encode() + content)
    return digest.hexdigest()


def _check_files(recipe: Recipe) -> Sequence[Path]:
    script = [recipe.check.script] if recipe.check.script is not None else []
    return [*script, *recipe.check.modules]


def _recorded(text: str) -> str:
    if len(text) <= LONGEST_RECORDED and "/" not in text:
        return text
    return HASHED + hashlib.sha256(text.encode()).hexdigest()[:16]


def _deciding(recipe: Recipe) -> Recipe:
    """Reset the recipe fields that change neither the wheel nor its checks.

    These are memory and toolchain lists, times, permission to publish, the project's own tests, and addresses of pinned
    sources.
    """
    build = replace(recipe.build, memory_per_job=0, processor_time="", toolchains=(FIRST_TOOLCHAIN,))
    check = replace(recipe.check, time_limit=str(DEFAULTS["CheckOptions"]["time_limit"]))
    decided = replace(recipe, source=recipe.source.deciding(), build=build, check=check)
    return replace(decided, based_on="", shadows_upstream=False, suite=None, file_sha256="")


def _cpus(recipe: Recipe) -> list[str]:
    """Describe the profiles of the check whose CPU is not the one that keys omit."""
    cpus = {name: PROFILES[name].qemu_cpu for name in recipe.check.profiles if name in PROFILES}
    return [f"profile {name}: {cpu}" for name, cpu in cpus.items() if CPUS.get(name) != cpu]
