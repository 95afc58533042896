"""The builder for any source distribution: its own PEP 517 backend, called in a sealed environment.

Build requirements are installed by the native uv while the network is on; then it's off, and the backend runs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from packaging.utils import parse_wheel_filename

from factory.errors import BuildFailed, CommandFailed
from factory.model.artifacts import BuiltWheel, PackagePin
from factory.model.job import ProjectMetadata
from factory.model.protocols import BUILD, SOURCE, Command, Sandbox
from factory.model.recipe import Recipe
from factory.stages.builders import cargo
from factory.stages.builders.base import build_failed
from factory.stages.builders.cargo import needs_rust
from factory.stages.builders.library_paths import library_folders, library_variables
from factory.util.atomic_files import sha256_of
from factory.util.log import LogSink

IN_MANYLINUX = False
HOOK = Path(__file__).parent / "inside/backend_call.py"
VENV = PurePosixPath("/build/venv")
PYTHON = f"{VENV}/bin/python"
OWN_WHEELS = PurePosixPath("/build/own-wheels.txt")
# The first line of cython.py, for `python -m cython`: the Python that QEMU runs hands over to the native one.
HAND_OVER = (
    '__name__ == "__main__" and __import__("os").uname().machine == "riscv64" and __import__("os").execv('
    '"/opt/native/bin/python-pure", ["python-pure", "-m", "cython", *__import__("sys").argv[1:]])'
)
# Where the root has native tools, what was installed for riscv64 and is slow under QEMU is made native too. Cython is
# pure Python and runs on the native Python. CMake is replaced by the x86-64 program of the same version; it asks the
# root's own `uname`, which is riscv64's, for the processor. maturin is replaced likewise. Byte-compiling all that was
# installed takes less time than one import of setuptools saves; a file that isn't meant for this Python is no failure.
NATIVE_TOOLS = f"""
set -eu
pure=/opt/native/bin/python-pure
[ -x $pure ] || exit 0
packages=$(echo {VENV}/lib/python3*/site-packages)
if [ -f {VENV}/bin/cython ]; then
    sed -i "1s|.*|#!$pure|" {VENV}/bin/cython
    sed -i '1s|^#!.*|{HAND_OVER}|' "$packages/cython.py"
fi
make_native() {{
    version=$(echo "$packages/$1"-*.dist-info | sed "s|.*/$1-||; s|\\.dist-info||")
    uv pip install --quiet --python {PYTHON} --python-platform x86_64-unknown-linux-gnu --only-binary :all: --no-deps \\
        --target "/build/native-$1" "$1==$version"
    cp "/build/native-$1/$2"/* "$3/"
}}
if [ -d "$packages/cmake/data/bin" ]; then make_native cmake cmake/data/bin "$packages/cmake/data/bin"; fi
if [ -f {VENV}/bin/maturin ]; then make_native maturin bin {VENV}/bin; fi
$pure -m compileall -q {VENV}/lib || true
"""
# Backends that can keep their build tree: a stable place makes a killed build resume and equal builds equal bytes.
NINJA_BACKENDS = ("mesonpy", "scikit_build_core.build")
KEPT_BUILD_TREE = {"build-dir": "/build/objects"}
# Theirs are Meson and CMake, which have the compiler list all headers of a file, the system's too. ccache goes by that
# list then, instead of preprocessing each file first: a miss takes 1.2 times as long as no ccache, not 1.8 times.
HEADERS_LISTED = {"CCACHE_DEPEND": "1"}

# Where `cmake --build`, PyTorch's extensions and those that took after them, numpy.distutils and cargo look for the
# number of their jobs.
PARALLEL_VARIABLES = ("CMAKE_BUILD_PARALLEL_LEVEL", "MAX_JOBS", "NPY_NUM_BUILD_JOBS", "CARGO_BUILD_JOBS")


def install_requirements(
    sandbox: Sandbox, metadata: ProjectMetadata, recipe: Recipe, python: str, wheels: Sequence[Path], log: LogSink
) -> tuple[PackagePin, ...]:
    """Make the build's virtual environment: what pyproject.toml requires, then what the backend asks for.

    `wheels` are our own builds of some of the requirements; what the package index has of those is never taken.

    Raises:
        BuildFailed: a requirement can't be resolved or installed, the backend's hook fails, or a crate can't be had.
    """
    offered = _offer(sandbox, wheels)
    try:
        make_venv(sandbox, python, log)
        _uv_install(sandbox, metadata.build_requires, offered, log)
        _uv_install(sandbox, _asked_for(sandbox, metadata, recipe, log), offered, log)
        sandbox.run(Command(["sh", "-c", NATIVE_TOOLS], network=True), log=log)
        installed = _installed(sandbox, log)
    except CommandFailed as error:
        what = "its build requirements could not be installed"
        raise build_failed(recipe, what, error, log, network=True) from error
    if needs_rust(metadata, recipe):
        _fetch_crates(sandbox, metadata, recipe, log)
    return installed


def _asked_for(sandbox: Sandbox, metadata: ProjectMetadata, recipe: Recipe, log: LogSink) -> Sequence[str]:
    """What the backend requires beyond pyproject.toml."""
    try:
        extra = _call(sandbox, metadata, recipe, "get_requires_for_build_wheel", {}, log)
    except CommandFailed as error:
        raise build_failed(recipe, f"{metadata.build_backend} could not tell what it requires", error, log) from error
    return extra if isinstance(extra, list) else ()


def make_venv(sandbox: Sandbox, python: str, log: LogSink) -> None:
    """Make the build's virtual environment anew, with nothing in it."""
    sandbox.run(
        Command(["uv", "venv", "--quiet", "--clear", "--python", f"/usr/bin/python{python}", str(VENV)]), log=log
    )


def install_into(
    sandbox: Sandbox, requirements: Sequence[str], wheels: Sequence[Path], log: LogSink
) -> tuple[PackagePin, ...]:
    """Install requirements, some as our own `wheels`, and return what the virtual environment has then."""
    _uv_install(sandbox, requirements, _offer(sandbox, wheels), log)
    return _installed(sandbox, log)


def _installed(sandbox: Sandbox, log: LogSink) -> tuple[PackagePin, ...]:
    sandbox.run(
        Command(["sh", "-c", f"uv pip list --python {PYTHON} --format json > /build/requirements.json"]), log=log
    )
    listed = json.loads((sandbox.work / "requirements.json").read_text())
    return tuple(PackagePin(name=item["name"], version=item["version"]) for item in listed)


def _fetch_crates(sandbox: Sandbox, metadata: ProjectMetadata, recipe: Recipe, log: LogSink) -> None:
    try:
        cargo.fetch(sandbox, metadata.cargo_locks, log)
    except CommandFailed as error:
        raise build_failed(recipe, "its crates could not be fetched", error, log, network=True) from error


def build(
    sandbox: Sandbox,
    metadata: ProjectMetadata,
    recipe: Recipe,
    python: str,
    requirements: tuple[PackagePin, ...],
    jobs: int,
    log: LogSink,
) -> BuiltWheel:
    """Call the backend's build_wheel with the network off and return what it made, in work/wheel.

    At most `jobs` compilers run at once, as far as the backend takes orders.

    Raises:
        BuildFailed: with the tail of the build's output.
    """
    out = sandbox.work / "wheel"
    cargo.put_back_locks(sandbox.work)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    try:
        name = _call(sandbox, metadata, recipe, "build_wheel", {"wheel_directory": "/build/wheel"}, log, jobs)
    except CommandFailed as error:
        raise build_failed(recipe, f"{metadata.build_backend} could not build the wheel", error, log) from error
    wheel = out / Path(str(name)).name
    if not wheel.is_file():
        raise BuildFailed(f"{recipe.label}: {metadata.build_backend} reported the wheel {name!r} but did not write it")
    return BuiltWheel(
        path=wheel,
        requirements=requirements,
        library_folders=library_folders(sandbox.work / VENV.name),
        cargo_locks=cargo.made_locks(sandbox.work),
    )


def _offer(sandbox: Sandbox, wheels: Sequence[Path]) -> list[str]:
    """uv's options for our own wheels: whoever requires such a project gets that very file, whatever an index has.

    Each is in a folder of its own, since to uv's cache a path is one wheel, always.
    """
    lines = []
    for wheel in wheels:
        folder = f"wheels/{sha256_of(wheel)}"
        (sandbox.work / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(wheel, sandbox.work / folder)
        project = parse_wheel_filename(wheel.name)[0]
        lines.append(f"{project} @ {(BUILD / folder / wheel.name).as_uri()}\n")
    (sandbox.work / OWN_WHEELS.name).write_text("".join(lines))
    return ["--constraints", str(OWN_WHEELS)] if lines else []  # uv warns of a file that says nothing


def _uv_install(sandbox: Sandbox, requirements: Sequence[str], offered: Sequence[str], log: LogSink) -> None:
    if requirements:
        command = ["uv", "pip", "install", "--python", PYTHON, "--link-mode", "copy", *offered, "--", *requirements]
        sandbox.run(Command(command, network=True), log=log)


def _call(
    sandbox: Sandbox,
    metadata: ProjectMetadata,
    recipe: Recipe,
    hook: str,
    arguments: Mapping[str, object],
    log: LogSink,
    jobs: int = 1,
) -> object:
    shutil.copy(HOOK, sandbox.work / HOOK.name)
    request = {
        "backend": metadata.build_backend,
        "backend_path": metadata.backend_path,
        "hook": hook,
        "arguments": {**arguments, "config_settings": config_settings(metadata.build_backend, recipe, jobs)},
    }
    (sandbox.work / "request.json").write_text(json.dumps(request))
    command = [PYTHON, f"/build/{HOOK.name}", "/build/request.json", "/build/answer.json"]
    sandbox.run(Command(command, cwd=SOURCE, env=_variables(sandbox, metadata, recipe, jobs)), log=log)
    return json.loads((sandbox.work / "answer.json").read_text())


def config_settings(backend: str, recipe: Recipe, jobs: int) -> dict[str, object]:
    """What the backend is called with; a recipe's own settings win."""
    kept = KEPT_BUILD_TREE if backend in NINJA_BACKENDS else {}
    settings: dict[str, object] = {**kept, **recipe.build.config_settings}
    if backend == "mesonpy":
        # It starts ninja itself, which reads no variable for this.
        own = recipe.build.config_settings.get("compile-args", ())
        settings["compile-args"] = [f"-j{jobs}", *([own] if isinstance(own, str) else own)]
    return settings


def _variables(sandbox: Sandbox, metadata: ProjectMetadata, recipe: Recipe, jobs: int) -> dict[str, str]:
    libraries = library_variables(sandbox.work / VENV.name, VENV)
    return {**libraries, **variables(metadata.build_backend, recipe, jobs)}


def variables(backend: str, recipe: Recipe, jobs: int) -> dict[str, str]:
    """What builds by this backend get; a recipe's own variables win."""
    ccache = HEADERS_LISTED if backend in NINJA_BACKENDS else {}
    # Where a package was built is nobody's business, and would make the same code differ.
    flags = dict.fromkeys(("CFLAGS", "CXXFLAGS", "FFLAGS"), "-ffile-prefix-map=/build=.")
    return {**flags, **ccache, **parallel_variables(jobs), **cargo.VARIABLES, **recipe.build.environment}


def parallel_variables(jobs: int) -> dict[str, str]:
    """What build programs take the number of compilers from that they start at once."""
    return {name: str(jobs) for name in PARALLEL_VARIABLES} | {"MAKEFLAGS": f"-j{jobs}"}
