"""The project's sessions: `.ci/nox lint`, `.ci/nox tests`, `.ci/nox long`, `.ci/nox demo`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import nox

nox.options.sessions = ["lint", "tests"]
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True

PYPROJECT = nox.project.load_toml("pyproject.toml")
# What opens no riscv64 root runs several files at once; roots, Docker and compilers take the whole machine.
ALONE = "environment or main_job"
AT_ONCE = ["--numprocesses=auto", "--dist=loadfile"]


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting, types and imports."""
    session.install("-e", ".[bench]", *nox.project.dependency_groups(PYPROJECT, "lint", "test"), "nox")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """The main job and all else but `long`; arguments after -- go to pytest instead: `-- -m "not main_job"`."""
    if session.posargs:
        run_tests(session, session.posargs)
    else:
        run_tests(session, [*AT_ONCE, "-m", f"not ({ALONE} or long)"], ["-m", f"({ALONE}) and not long"])


@nox.session
def long(session: nox.Session) -> None:
    """The tests that build packages beyond the main job's."""
    run_tests(session, ["-m", "long", *session.posargs])


@nox.session
def reference(session: nox.Session) -> None:
    """Write docs/recipe-reference.md and docs/recipe.schema.json from the declarations of recipes."""
    session.install("-e", ".")
    session.run("python", "-m", "factory.cli.recipe_reference")


@nox.session
def demo(session: nox.Session) -> None:
    """The main job: build llama-cpp-python, publish it, install it in a clean riscv64 root and generate text."""
    session.install("-e", ".")
    factory = f"{session.bin}/factory"
    index = ["--output", "dist/index", "--ledger", "dist/ledger"]
    for command in (
        ["setup"],
        ["build", "llama-cpp-python"],
        ["index", *index],
        ["check", "llama-cpp-python", "--index", "dist/index", "--profile", "rv64gc", "--profile", "k1"],
    ):
        session.run(factory, *command, env=environment())
    session.log("On a board: pip install --index-url file://%s/dist/index/simple/ llama-cpp-python", Path.cwd())


def run_tests(session: nox.Session, *runs: Sequence[str]) -> None:
    """pytest once with the arguments of each of `runs`, in riscv64 roots that are there."""
    session.install("-e", ".[bench]", *nox.project.dependency_groups(PYPROJECT, "test"))
    variables = environment() | through_sudo()
    session.run(f"{session.bin}/factory", "setup", env=variables)
    for arguments in runs:
        session.run(*as_root(), f"{session.bin}/python", "-m", "pytest", *arguments, external=True, env=variables)


def as_root() -> list[str]:
    """Tests open riscv64 roots themselves, and add users to the machine."""
    return [] if os.geteuid() == 0 else ["sudo", "--preserve-env"]


def through_sudo() -> dict[str, str]:
    """The roots that root's tests use are root's too, beside those that an ordinary user has made without."""
    cache = os.environ.get("FACTORY_CACHE", str(Path(".nox/tests-cache").absolute()))
    return {} if os.geteuid() == 0 else {"FACTORY_PRIVILEGE": "sudo", "FACTORY_CACHE": cache}


def environment() -> dict[str, str]:
    """pip's noise off; everything else as the host has it."""
    return {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
