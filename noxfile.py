"""Sessions of nox.

They are `.ci/nox quick`, `lint`, `tests`, `long`, `demo`, `install` and `workflow-local`.
"""

from __future__ import annotations

import os
import platform
import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path

import nox

nox.options.sessions = ["lint", "tests"]
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True

PYPROJECT = nox.project.load_toml("pyproject.toml")
IN_ROOTS = "environment or main_job"
FAST = f"not ({IN_ROOTS} or long)"
# One more than there are processors: tests often wait for programs that they start.
PARALLEL = [f"--numprocesses={(os.cpu_count() or 1) + 1}", "--dist=loadfile"]
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
# Two at a time: one compiles with all processors while the other installs, or waits for one process under QEMU.
TWO = ["--numprocesses=2", "--dist=loadfile"]


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting, types, imports, recipes and workflows."""
    check_style(session)
    session.run("zizmor", "--offline", "--no-progress", "--quiet", ".github")
    check_workflows(session)


@nox.session
def quick(session: nox.Session) -> None:
    """Check style and run the tests that need no riscv64 root, in three minutes."""
    check_style(session)
    session.run("python", "-m", "pytest", *PARALLEL, "-m", FAST, *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests except `long`, or pytest with the arguments after `--`."""
    if session.posargs:
        run_tests(session, session.posargs)
    else:
        run_tests(session, [*PARALLEL, "-m", FAST], [*TWO, "-m", f"({IN_ROOTS}) and not long"])


@nox.session
def long(session: nox.Session) -> None:
    """Run the tests that build further packages."""
    run_tests(session, ["-m", "long", *session.posargs])


@nox.session(venv_params=["--system-site-packages"] if platform.machine() == "riscv64" else [])
def install(session: nox.Session) -> None:
    """Install the `factory` command; on GitHub's runner also for the next steps.

    On riscv64, where the package index lacks wheels, packages of the system are used too, and wheels are not signed.
    """
    session.install("." if platform.machine() == "riscv64" else ".[provenance]", env=environment())
    if path := os.environ.get("GITHUB_PATH"):
        with Path(path).open("a") as file:
            file.write(f"{session.bin}\n")
    session.log(f"installed: {session.bin}/factory")


@nox.session(name="workflow-local")
def workflow_local(session: nox.Session) -> None:
    """Run a workflow of .github/workflows on this machine: `workflow-local -- nightly`."""
    session.install("-e", ".[provenance]", *nox.project.dependency_groups(PYPROJECT, "test"))
    session.run("python", "-m", "tests.support.workflows", *session.posargs, env=environment())


@nox.session
def reference(session: nox.Session) -> None:
    """Write the generated docs and the board finder's constants."""
    session.install("-e", ".")
    session.run("python", "-m", "factory.cli.recipe_reference")
    session.run("python", "-m", "factory.cli.finder_constants")
    session.run("python", "-m", "factory.cli", "report", "--packages", "docs/packages.md")


@nox.session
def demo(session: nox.Session) -> None:
    """Build, publish and install llama-cpp-python, and generate text with it."""
    session.log(
        "On an empty cache: 17 minutes on two idle processors. 4 make the riscv64 root; 4 compile and check OpenBLAS,"
    )
    session.log("which numpy needs; 3 numpy; 5 llama.cpp. It takes a minute if nothing changed since the last run;")
    session.log("else the build below says what it builds, and about how long that takes.")
    session.install("-e", ".[provenance]" if takes_substitutes() else ".")
    factory = f"{session.bin}/factory"
    index = ["--output", "dist/index", "--ledger", "dist/ledger"]
    for command in (
        ["setup"],
        ["build", "llama-cpp-python"],
        ["index", "llama-cpp-python", *index],
        ["check", "llama-cpp-python", "--index", "dist/index", "--profile", "rv64gc", "--profile", "k1"],
    ):
        session.run(factory, *command, env=environment())
    session.log("On a board: pip install --index-url file://%s/dist/index/simple/ llama-cpp-python", Path.cwd())


def takes_substitutes() -> bool:
    """Report whether an index substitutes builds, which takes more libraries."""
    settings = Path("index/site.toml")
    return settings.is_file() and "substitute" in tomllib.loads(settings.read_text(encoding="utf-8"))


def check_style(session: nox.Session) -> None:
    """Run the linters and type checkers."""
    session.install("-e", ".[bench,fleet,provenance]", *nox.project.dependency_groups(PYPROJECT, "lint", "test"), "nox")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")
    session.run("factory", "lint")


def check_workflows(session: nox.Session) -> None:
    """Run actionlint, where it is installed or Go can build it.

    The package index has no binary of it.
    """
    if shutil.which("actionlint"):
        session.run("actionlint", external=True)
    elif shutil.which("go"):
        session.run("go", "run", ACTIONLINT, external=True)
    else:
        session.log("actionlint: skipped: neither it nor Go is installed")


def run_tests(session: nox.Session, *runs: Sequence[str]) -> None:
    """Run pytest once with the arguments of each of `runs`; first make the roots."""
    session.install("-e", ".[bench,fleet,provenance]", *nox.project.dependency_groups(PYPROJECT, "test"))
    variables = environment() | through_sudo()
    session.run(f"{session.bin}/factory", "setup", env=variables)
    for arguments in runs:
        session.run(*as_root(), f"{session.bin}/python", "-m", "pytest", *arguments, external=True, env=variables)


def as_root() -> list[str]:
    """Return sudo for ordinary users: tests open riscv64 roots and add users."""
    return [] if os.geteuid() == 0 else ["sudo", "--preserve-env"]


def through_sudo() -> dict[str, str]:
    """Return variables for a separate cache: roots made with sudo belong to root."""
    cache = os.environ.get("FACTORY_CACHE", str(Path(".nox/tests-cache").absolute()))
    return {} if os.geteuid() == 0 else {"FACTORY_PRIVILEGE": "sudo", "FACTORY_CACHE": cache}


def environment() -> dict[str, str]:
    """Return variables that silence pip's version check."""
    return {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
