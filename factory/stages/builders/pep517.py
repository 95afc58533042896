"""Builder of source distributions: their PEP 517 backend in a sealed environment.

The native uv installs the build requirements with the network on; the backend runs with the network off.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from factory.errors import BuildFailed, CommandFailed
from factory.model.artifacts import BuiltWheel, PackagePin
from factory.model.protocols import BUILD, INPUTS, SOURCE, Command
from factory.model.recipe import Recipe
from factory.model.replaced_requirements import replace_requirements, unused_replacements
from factory.stages.builders import cargo, ccache, native_python
from factory.stages.builders.base import UNWRITTEN, Build
from factory.stages.builders.cargo import needs_rust
from factory.stages.builders.library_paths import library_folders, library_variables
from factory.stages.builders.native_python import VENV
from factory.util.atomic_files import sha256_of

IN_MANYLINUX = False
HOOK = Path(__file__).parent / "inside/backend_call.py"
PYTHON = f"{VENV}/bin/python"
OWN_WHEELS = INPUTS / "own-wheels.txt"
# Files that a build leaves in its folder.
ANSWER, INSTALLED, WHEEL = "answer.json", "requirements.json", "wheel"
REQUEST = "request.json"
# ccache's counters of each compilation; an interrupted build goes on with it.
STATISTICS = "ccache-statistics.txt"
# Of a wheel's file name: file systems allow 255 bytes, and temporary files have longer names.
NAME_LIMIT = 200
# With the native Python, if the root has one: that takes less time than one import of setuptools saves. Files for
# another Python may fail to compile. By timestamps, so that no file is compiled twice.
BYTE_COMPILE = f"""
pure=/opt/native/bin/python-pure
[ -x $pure ] || exit 0
VIRTUAL_ENV=/nonexistent $pure -m compileall -q --invalidation-mode timestamp {VENV}/lib || true
"""
# If the root has native tools, replace installed riscv64 programs that are slow under QEMU: CMake and maturin by x86-64
# programs of the same version. CMake still gets riscv64 from the root's `uname`. The backend was asked before, so what
# is in /build can be planted.
NATIVE_TOOLS = f"""
set -eu
{BYTE_COMPILE}
packages=$(echo {VENV}/lib/python3*/site-packages)
make_native() {{
    version=$(echo "$packages/$1"-*.dist-info | sed "s|.*/$1-||; s|\\.dist-info||")
    rm -rf "/build/native-$1"
    uv pip install --quiet --python {PYTHON} --python-platform x86_64-unknown-linux-gnu --only-binary :all: --no-deps \\
        --target "/build/native-$1" "$1==$version"
    cp "/build/native-$1/$2"/* "$3/"
}}
if [ -d "$packages/cmake/data/bin" ]; then make_native cmake cmake/data/bin "$packages/cmake/data/bin"; fi
if [ -f {VENV}/bin/maturin ]; then make_native maturin bin {VENV}/bin; fi
"""
# uv would run the code that other addresses name, or put variables into them.
ADDRESS = re.compile(r"(git\+)?https?://[^$]*")
# Backends that can keep their build tree: with a stable path, killed builds resume and builds are reproducible.
NINJA_BACKENDS = ("mesonpy", "scikit_build_core.build")
KEPT_BUILD_TREE = {"build-dir": "/build/objects"}
# Under Meson and CMake compilers list all headers of a file, including the system's. With that list ccache skips
# preprocessing: a miss takes 1.2 times as long as compiling without ccache, not 1.8 times.
HEADERS_LISTED = {"CCACHE_DEPEND": "1"}

# Number of parallel jobs of `cmake --build`, PyTorch extensions, numpy.distutils and cargo.
PARALLEL_VARIABLES = ("CMAKE_BUILD_PARALLEL_LEVEL", "MAX_JOBS", "NPY_NUM_BUILD_JOBS", "CARGO_BUILD_JOBS")


def install_requirements(build: Build, wheels: Sequence[Path]) -> tuple[PackagePin, ...]:
    """Make the build's environment from pyproject.toml and the backend's requirements.

    `wheels` are our builds of some requirements; they take precedence over any index.

    Raises:
        BuildFailed: a requirement can't be resolved or installed, the backend's hook fails, or a crate is missing.
        NeedsRiscv64Python: the job has to start over.
    """
    offered = _offer(build, wheels)
    try:
        make_venv(build)
        _uv_install(build, build.metadata.build_requires, offered)
        build.sandbox.run(Command(["sh", "-c", BYTE_COMPILE], cwd=UNWRITTEN), log=build.log)
        extra = _backend_requirements(build)
        _require_used(build, extra)
        _uv_install(build, extra, offered)
        build.sandbox.run(Command(["sh", "-c", NATIVE_TOOLS], cwd=UNWRITTEN, network=True), log=build.log)
        installed = _installed(build)
    except CommandFailed as error:
        raise build.failed("build requirements could not be installed", error, network=True) from error
    if needs_rust(build.metadata, build.recipe, build.python):
        _fetch_crates(build)
    return installed


def _backend_requirements(build: Build) -> Sequence[str]:
    """Ask the backend for its requirements beyond pyproject.toml."""
    question = "get_requires_for_build_wheel"
    try:
        extra = _call(build, question, {})
    except CommandFailed as error:
        raise build.failed(f"{build.metadata.build_backend}: {question} failed", error) from error
    asked = extra if isinstance(extra, list) else []
    named = [text for text in asked if isinstance(text, str)]
    others = [text for text in asked if not isinstance(text, str)]  # the installation refuses them
    return (*replace_requirements(named, build.recipe.build.replaced_requires), *others)


def _require_used(build: Build, extra: Sequence[str]) -> None:
    """Require that the source or its backend asks for what the recipe replaces.

    Raises:
        BuildFailed: a replacement is of no use.
    """
    unused = unused_replacements((*build.metadata.build_requires, *extra), build.recipe.build.replaced_requires)
    if unused:
        raise BuildFailed(
            f"{build.recipe.label}: build.replaced-requires: {unused[0]}: the source has no such build requirement",
            hint="remove it, or add it to build.requires",
        )


def make_venv(build: Build) -> None:
    """Make an empty virtual environment for the build; replace an old one."""
    python = f"/usr/bin/python{build.python}"
    command = ["uv", "venv", "--quiet", "--clear", "--python", python, str(VENV)]
    # With uv's cache, which knows the interpreter: to ask it under QEMU takes a second.
    build.sandbox.run(Command(command, cwd=UNWRITTEN, network=True), log=build.log)
    native_python.set_up(build)


def install_into(build: Build, requirements: Sequence[str], wheels: Sequence[Path]) -> tuple[PackagePin, ...]:
    """Install requirements, some as our `wheels`.

    Return the contents of the virtual environment.
    """
    _uv_install(build, requirements, _offer(build, wheels))
    return _installed(build)


def _installed(build: Build) -> tuple[PackagePin, ...]:
    listing = f"rm -rf {BUILD}/{INSTALLED} && uv pip list --python {PYTHON} --format json > {BUILD}/{INSTALLED}"
    build.sandbox.run(Command(["sh", "-c", listing], cwd=UNWRITTEN, network=True), log=build.log)
    try:
        listed: Any = build.outputs.read_json(INSTALLED)
        return tuple(PackagePin(name=str(item["name"]), version=str(item["version"])) for item in listed)
    except (FileNotFoundError, LookupError, TypeError) as error:
        raise BuildFailed(f"{build.recipe.label}: {INSTALLED}: not uv's list of packages: {error!r}") from error


def _fetch_crates(build: Build) -> None:
    try:
        cargo.fetch(build)
    except CommandFailed as error:
        raise build.failed("crates could not be fetched", error, network=True) from error


def build_wheel(build: Build, requirements: tuple[PackagePin, ...]) -> BuiltWheel:
    """Call the backend's build_wheel offline; return a copy of the wheel in `build.out`.

    At most `build.jobs` compilers run at once, as far as the backend can be told.

    Raises:
        BuildFailed: with the tail of the build's output.
        NeedsRiscv64Python: the job has to start over.
    """
    cargo.put_back_locks(build)
    try:
        name = _call(build, "build_wheel", {"wheel_directory": f"{BUILD}/{WHEEL}"})
    except CommandFailed as error:
        raise build.failed(f"{build.metadata.build_backend}: build_wheel failed", error) from error
    return BuiltWheel(
        path=_take_wheel(build, name),
        requirements=requirements,
        library_folders=library_folders(build.work / VENV.name),
        cargo_locks=cargo.made_locks(build.folder),
        crates=cargo.locked_crates(build),
        backend_machine=native_python.machine(build),
        compiler_cache=ccache.read_use(build.outputs, STATISTICS),
    )


def _take_wheel(build: Build, reported: object) -> Path:
    """Copy the wheel that the backend reported out of the build's folder.

    Raises:
        BuildFailed: there is no such file, or its name is not that of a wheel.
    """
    subject = f"{build.recipe.label}: {build.metadata.build_backend}"
    name = PurePosixPath(str(reported)).name
    try:
        parse_wheel_filename(name)
    except ValueError as error:
        raise BuildFailed(f"{subject}: reported the wheel {str(reported)[:NAME_LIMIT]!r}: {error}") from error
    if len(name) > NAME_LIMIT:
        raise BuildFailed(f"{subject}: reported a wheel whose name has {len(name)} characters: more than {NAME_LIMIT}")
    shutil.rmtree(build.out, ignore_errors=True)
    try:
        build.outputs.copy(f"{WHEEL}/{name}", build.out / name)
    except FileNotFoundError as error:
        raise BuildFailed(f"{subject}: reported the wheel {name!r} but did not write it") from error
    return build.out / name


def _offer(build: Build, wheels: Sequence[Path]) -> list[str]:
    """Return uv options that pin projects to our wheels.

    No other project that has a recipe is compiled. Each wheel gets its own folder, since uv's cache identifies a wheel
    by its path.
    """
    lines, others, inputs = [], set(map(canonicalize_name, build.have_recipes)), build.sandbox.inputs
    for wheel in wheels:
        folder = f"wheels/{sha256_of(wheel)}"
        (inputs / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(wheel, inputs / folder)
        project = parse_wheel_filename(wheel.name)[0]
        others.discard(project)
        lines.append(f"{project} @ {(INPUTS / folder / wheel.name).as_uri()}\n")
    (inputs / OWN_WHEELS.name).write_text("".join(lines))
    # uv warns about an empty file.
    return [
        *(f"--only-binary={name}" for name in sorted(others)),
        *(["--constraints", str(OWN_WHEELS)] if lines else []),
    ]


def _uv_install(build: Build, requirements: Sequence[str], offered: Sequence[str]) -> None:
    for text in requirements:
        require_remote(text, build.recipe)
    if requirements:
        command = ["uv", "pip", "install", "--python", PYTHON, "--link-mode", "copy", *offered, "--", *requirements]
        build.sandbox.run(Command(command, cwd=UNWRITTEN, network=True), log=build.log)


def require_remote(text: object, recipe: Recipe) -> None:
    """Require a build requirement that is not in the source itself.

    uv would run its code with the network.

    Raises:
        BuildFailed: it is, or is no requirement.
    """
    subject = f"{recipe.label}: build requirement {str(text)[:NAME_LIMIT]!r}"
    try:
        address = Requirement(text if isinstance(text, str) else "").url
    except InvalidRequirement as error:
        raise BuildFailed(f"{subject}: not a requirement: {error}", hint="write NAME, with a version or not") from error
    if address is not None and not ADDRESS.fullmatch(address):
        raise BuildFailed(f"{subject}: not installed: its address is not of https", hint="name a project of the index")


def _call(build: Build, hook: str, arguments: Mapping[str, object]) -> object:
    metadata, inputs = build.metadata, build.sandbox.inputs
    shutil.copy(HOOK, inputs / HOOK.name)
    settings = config_settings(metadata.build_backend, build.recipe, build.jobs)
    request = {
        "backend": metadata.build_backend,
        "backend_path": metadata.backend_path,
        "hook": hook,
        "arguments": {**arguments, "config_settings": settings},
    }
    (inputs / REQUEST).write_text(json.dumps(request))
    command = [PYTHON, f"{INPUTS}/{HOOK.name}", f"{INPUTS}/{REQUEST}", f"{BUILD}/{ANSWER}"]
    # The build may change its root: no command with network follows it.
    read_only = hook != "build_wheel"
    try:
        build.sandbox.run(Command(command, cwd=SOURCE, env=_variables(build), read_only=read_only), log=build.log)
    except CommandFailed:
        native_python.require_no_change(build)
        raise
    native_python.require_no_change(build)
    try:
        return build.outputs.read_json(ANSWER)
    except FileNotFoundError as error:
        raise BuildFailed(f"{build.recipe.label}: {metadata.build_backend}: {hook} left no answer") from error


def config_settings(backend: str, recipe: Recipe, jobs: int) -> dict[str, object]:
    """Return the backend's config settings; the recipe's override the defaults."""
    kept = KEPT_BUILD_TREE if backend in NINJA_BACKENDS else {}
    settings: dict[str, object] = {**kept, **recipe.build.config_settings}
    if backend == "mesonpy":
        # meson-python starts ninja itself, and ninja reads no variable for this.
        own = recipe.build.config_settings.get("compile-args", ())
        settings["compile-args"] = [f"-j{jobs}", *([own] if isinstance(own, str) else own)]
    return settings


def _variables(build: Build) -> dict[str, str]:
    libraries = library_variables(build.work / VENV.name, VENV)
    counted = {"CCACHE_STATSLOG": f"{BUILD}/{STATISTICS}"}
    return {**libraries, **counted, **variables(build.metadata.build_backend, build.recipe, build.jobs)}


def variables(backend: str, recipe: Recipe, jobs: int) -> dict[str, str]:
    """Return the environment variables of a build; the recipe's override the defaults."""
    listed = HEADERS_LISTED if backend in NINJA_BACKENDS else {}
    # Paths of the build folder would make builds not reproducible.
    flags = dict.fromkeys(("CFLAGS", "CXXFLAGS", "FFLAGS"), "-ffile-prefix-map=/build=.")
    own = {**recipe.source.build_variables(recipe.version), **recipe.build.environment}
    return {**flags, **listed, **parallel_variables(jobs), **cargo.VARIABLES, **own}


def parallel_variables(jobs: int) -> dict[str, str]:
    """Return variables that limit the parallel compilers of build programs."""
    return {name: str(jobs) for name in PARALLEL_VARIABLES} | {"MAKEFLAGS": f"-j{jobs}"}
