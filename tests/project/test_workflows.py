"""Tests of the workflows: no logic in YAML, least rights, and commands that exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from factory.cli.build_matrix import WAVES
from factory.cli.parser import parse_arguments
from tests.support.checkouts import ROOT
from tests.support.workflows.actions import ACTIONS
from tests.support.workflows.expressions import evaluate
from tests.support.workflows.runner import load_workflow

FOLDER = ROOT / ".github/workflows"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yml"))
PINNED = re.compile(r"([\w-]+/[\w/-]+)@[0-9a-f]{40}")
# The only step that is neither a command of the factory nor of nox: a setting of the runner's kernel.
SYSCTL = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
WRITERS = {("nightly", "publish")}
SHELL = set("|&;<>`(){}*?\n\\")


def jobs() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for name in NAMES:
        yield from ((name, job, each) for job, each in load_workflow(FOLDER / f"{name}.yml")["jobs"].items())


def steps() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    yield from ((name, job, step) for name, job, each in jobs() for step in each.get("steps", ()))


COMMANDS = [(f"{name}-{job}", step["run"]) for name, job, step in steps() if "run" in step]


@pytest.mark.parametrize("command", [run for _, run in COMMANDS], ids=[title for title, _ in COMMANDS])
def test_step_is_one_command_that_exists(command: str) -> None:
    """Require no pipes, conditions and expressions, only quoted variables.

    A step then runs the same on a laptop.
    """
    if command == SYSCTL:
        return
    assert not SHELL & set(command)
    assert "${{" not in command
    assert re.sub(r'"\$[A-Z_]+"', "", command).count("$") == 0
    program, *words = shlex.split(command)
    if program == ".ci/nox":
        assert set(words) <= sessions()
    else:
        assert program == "factory"
        own = {"$PYTHON": "3.13", "$PROFILE": "k1"}
        parse_arguments([own.get(word, word) for word in words])


def sessions() -> set[str]:
    return set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE))


def test_variables_of_commands_are_set() -> None:
    for name, job, step in steps():
        used = set(re.findall(r"\$([A-Z_]+)", step.get("run", "")))
        workflow = load_workflow(FOLDER / f"{name}.yml")
        assert used <= {*step.get("env", {}), *workflow["jobs"][job].get("env", {})}, (name, job, step)


def test_actions_are_pinned_and_emulated() -> None:
    used = {step["uses"] for *_, step in steps() if "uses" in step}
    found = {PINNED.fullmatch(use) for use in used}
    assert None not in found
    assert {match[1] for match in found if match} == ACTIONS.keys()
    assert len({match[1] for match in found if match}) == len(used), "two versions of one action"


def test_only_one_job_may_write() -> None:
    for name in NAMES:
        assert load_workflow(FOLDER / f"{name}.yml")["permissions"] == {"contents": "read"}
    writers = {(name, job) for name, job, each in jobs() if "write" in str(each.get("permissions"))}
    assert writers == WRITERS


def test_secrets_are_only_where_nothing_is_built() -> None:
    """The token is in single steps of the job that writes, and no workflow has a secret."""
    for name, job, each in jobs():
        text = str(each)
        assert "secrets" not in text
        if (name, job) not in WRITERS:
            assert "github.token" not in text
            continue
        assert "github.token" not in str(each.get("env"))
        commands = [step.get("run", "") for step in each["steps"]]
        built = re.compile(r"factory (build|check|setup|rebuild|bump|plan|shell)\b")
        assert not [command for command in commands if built.match(command)]


def test_checkout_leaves_no_credentials() -> None:
    for *_, step in steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_pull_requests_use_no_runner_of_the_owner() -> None:
    """Whoever opens one decides about the code that runs there."""
    for name, job, each in jobs():
        if "pull_request" in load_workflow(FOLDER / f"{name}.yml")["on"]:
            assert each.get("runs-on", "ubuntu-24.04") == "ubuntu-24.04", job
            assert each.get("with", {}).get("runner", "ubuntu-24.04") == "ubuntu-24.04", job


def test_only_nightly_keeps_a_cache() -> None:
    """Jobs of pull requests would fill the repository's space, and hand on what they like."""
    assert {name for name, _, step in steps() if "cache/save@" in step.get("uses", "")} == {"nightly"}


def test_job_that_writes_reads_results_alone() -> None:
    for name, job, step in steps():
        if "cache import" in step.get("run", "") and (name, job) in WRITERS:
            assert "--results" in step["run"]


def test_no_workflow_runs_pull_requests_with_rights() -> None:
    for name in NAMES:
        events = set(load_workflow(FOLDER / f"{name}.yml")["on"])
        assert not {"pull_request_target", "workflow_run", "issue_comment"} & events


def test_waves_have_a_job_each() -> None:
    assert list(load_workflow(FOLDER / "waves.yml")["jobs"]) == [f"wave-{number + 1}" for number in range(WAVES)]


def test_results_are_kept_after_a_failed_build() -> None:
    """Export and upload run always: a build that was cut resumes from what they keep."""
    (job,) = load_workflow(FOLDER / "group.yml")["jobs"].values()
    places = [
        next(n for n, step in enumerate(job["steps"]) if word in str(step))
        for word in (
            "cache/restore@",
            "factory cache import",
            "factory build",
            "factory cache export",
            "upload-artifact@",
        )
    ]
    assert places == sorted(places)
    assert all(job["steps"][place]["if"] == "always()" for place in places[3:])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b == 'x' && !c", True),
        ("c || a.missing || 'last'", "last"),
        ("fromJSON(j)[1][0] != null", False),
        ("fromJSON(j)[0][0].group", "1-1"),
        ("toJSON(fromJSON(j)[0])", '[{"group":"1-1"}]'),
        ("(c || a.b) == 'it''s'", False),
    ],
)
def test_expression_has_the_value_of_github(text: str, value: object) -> None:
    names = {"a": {"b": "x"}, "c": False, "j": '[[{"group": "1-1"}], []]'}
    assert evaluate(text, names, {}) == value


@pytest.mark.parametrize("text", ["unknown", "a +", "'open", "f(1)", "a a"])
def test_unknown_expression_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"unknown|unexpected|missing"):
        evaluate(text, {"a": 1}, {})


def test_zizmor_finds_nothing() -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    if not zizmor.is_file():
        pytest.skip("zizmor is installed by .ci/nox lint")
    command = [str(zizmor), "--offline", "--no-progress", str(ROOT / ".github")]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
