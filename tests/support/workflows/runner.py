"""Runner of workflows: jobs in the order of their needs, each in a clean clone."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from tests.support.workflows.actions import ACTIONS, Machine
from tests.support.workflows.expressions import Functions, as_text, expand

SUCCESS, FAILURE, SKIPPED = "success", "failure", "skipped"
WORKFLOWS = Path(".github/workflows")
# Variables of this machine that a runner has too, or that a company's machine needs.
PASSED = ("HOME", "PATH", "LANG", "USER", "TERM", "http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "HTTP_PROXY")
PASSED_PREFIXES = ("PIP_", "UV_", "SSL_", "REQUESTS_", "CURL_", "GITHUB_", "FACTORY_", "CARGO_")
FILES = {"GITHUB_OUTPUT": "output", "GITHUB_PATH": "path", "GITHUB_ENV": "env", "GITHUB_STEP_SUMMARY": "summary"}
# Never of the machine: a job has only what its workflow gives it.
OWN = ("FACTORY_CACHE", "FACTORY_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", *FILES)


def load_workflow(path: Path) -> dict[Any, Any]:
    """Read a workflow; its events are under `on`, which YAML reads as true."""
    content: dict[Any, Any] = yaml.safe_load(path.read_text())
    content["on"] = content.pop(True, content.get("on"))
    return content


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Context of a run.

    It has the values of `github` that workflows use, and a token that a job may get.
    """

    github: Mapping[str, Any]
    token: str = "a-token-of-this-run"
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class WorkflowRun:
    """A run of a workflow of `repository`, with its clones and storage below `folder`.

    `tools` are as in Machine.
    """

    repository: Path
    folder: Path
    tools: Path
    event: Event
    report: Callable[[str], None] = print
    # Jobs of the workflow that are left out, as if they had succeeded.
    without: frozenset[str] = frozenset()
    results: dict[str, str] = field(default_factory=dict)
    _number: int = 0

    def run(self, name: str, inputs: Mapping[str, Any], prefix: str = "") -> str:
        """Run a workflow's jobs; return its result."""
        workflow = load_workflow(self.repository / WORKFLOWS / f"{name}.yml")
        jobs = workflow["jobs"]
        needs: dict[str, dict[str, Any]] = {}
        wanted = {job: _words(each.get("needs")) for job, each in jobs.items()}
        for job in TopologicalSorter(wanted).static_order():
            if f"{prefix}{job}" in self.without:
                needs[job] = {"result": SUCCESS, "outputs": {}}
                continue
            names = self._names(inputs, {each: needs[each] for each in wanted[job]})
            result, outputs = self._job(jobs[job], names, f"{prefix}{job}", workflow.get("env", {}))
            needs[job] = {"result": result, "outputs": outputs}
            self.results[f"{prefix}{job}"] = result
        return FAILURE if any(each["result"] == FAILURE for each in needs.values()) else SUCCESS

    def _names(self, inputs: Mapping[str, Any], needs: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "github": {**self.event.github, "token": self.event.token},
            "vars": self.event.variables,
            "inputs": inputs,
            "needs": needs,
            "runner": {"arch": "X64", "os": "Linux", "temp": str(self.folder)},
            "matrix": {},
        }

    def _job(self, job: Mapping[str, Any], names: dict[str, Any], title: str, env: Any) -> tuple[str, Any]:
        results = [need["result"] for need in names["needs"].values()]
        status = _status(FAILURE if FAILURE in results else SKIPPED if SKIPPED in results else SUCCESS)
        if not _condition(job, names, status):
            self.report(f"{title}: skipped")
            return SKIPPED, {}
        found: list[tuple[str, Any]] = []
        for matrix in _combinations(job, names):
            own = {**names, "matrix": matrix}
            label = f"{title} ({as_text(next(iter(matrix.values())))})" if matrix else title
            if "uses" in job:
                called = Path(job["uses"]).stem
                found.append((self.run(called, expand(job.get("with", {}), own, {}), f"{label} / "), {}))
            else:
                found.append(self._steps(job, own, label, env))
        return (FAILURE if any(result == FAILURE for result, _ in found) else SUCCESS), (found[-1][1] if found else {})

    def _steps(self, job: Mapping[str, Any], names: dict[str, Any], title: str, env: Any) -> tuple[str, Any]:
        self._number += 1
        place = self.folder / f"job-{self._number}"
        files = {variable: place / file for variable, file in FILES.items()}
        place.mkdir(parents=True)
        for file in files.values():
            file.touch()
        machine = Machine(
            workspace=place / "workspace",
            storage=self.folder / "storage",
            tools=self.tools,
            repository=self.repository,
        )
        names["github"] = {**names["github"], "workspace": str(machine.workspace)}
        names["steps"], names["env"] = {}, {}
        job_env = {**expand(env, names, {}), **expand(job.get("env", {}), names, {})}
        names["env"] = job_env
        result = SUCCESS
        for step in job["steps"]:
            if not _condition(step, names, _status(result)):
                continue
            files["GITHUB_OUTPUT"].write_text("")
            outcome = self._step(step, names, title, machine, files)
            outputs = {**outcome[1], **_read_outputs(files["GITHUB_OUTPUT"])}
            if "id" in step:
                names["steps"][step["id"]] = {"outputs": outputs, "outcome": outcome[0]}
            if outcome[0] == FAILURE and not step.get("continue-on-error"):
                result = FAILURE
        return result, expand(job.get("outputs", {}), names, {})

    def _step(
        self, step: Mapping[str, Any], names: Mapping[str, Any], title: str, machine: Machine, files: Mapping[str, Path]
    ) -> tuple[str, Mapping[str, str]]:
        started = time.monotonic()
        what = step.get("run") or step["uses"].partition("@")[0]
        self.report(f"{title}: {what.strip()}")
        outputs: Mapping[str, str] = {}
        try:
            if "uses" in step:
                options = {key: as_text(value) for key, value in expand(step.get("with", {}), names, {}).items()}
                outputs = ACTIONS[what](machine, options)
            else:
                env = {**names["env"], **expand(step.get("env", {}), names, {})}
                self._command(expand(step["run"], names, {}), env, machine, files)
        except (subprocess.CalledProcessError, OSError) as error:
            self.report(f"{title}: failed: {error}")
            return FAILURE, outputs
        self.report(f"{title}: done in {time.monotonic() - started:.0f} s")
        return SUCCESS, outputs

    def _command(self, script: str, env: Mapping[str, Any], machine: Machine, files: Mapping[str, Path]) -> None:
        variables = {name: value for name, value in os.environ.items() if _is_passed(name)}
        variables |= {name: as_text(value) for name, value in env.items()}
        variables |= {name: str(path) for name, path in files.items()}
        variables |= {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(machine.workspace)}
        variables["GITHUB_REPOSITORY"] = self.event.github["repository"]
        added = files["GITHUB_PATH"].read_text().split()
        variables["PATH"] = os.pathsep.join([*reversed(added), variables.get("PATH", os.defpath)])
        subprocess.run(
            ["bash", "-e", "-c", script], env=variables, cwd=machine.workspace, check=True, stdin=subprocess.DEVNULL
        )


def default_inputs(root: Path, name: str) -> dict[str, str]:
    """Return the defaults of a workflow's inputs."""
    events = load_workflow(root / WORKFLOWS / f"{name}.yml")["on"]
    declared = (events.get("workflow_dispatch") or {}).get("inputs") or {}
    return {key: str(each.get("default", "")) for key, each in declared.items()}


def local_event(token: str = "a-token-of-this-run", **values: object) -> Event:
    """Return the event of a run that a person starts on the main branch."""
    github = {
        "event_name": "workflow_dispatch",
        "event": {"before": "HEAD^", "repository": {"default_branch": "main"}},
        "ref": "refs/heads/main",
        "ref_name": "main",
        "repository": "owner/factory",
        "run_id": 1,
        "run_attempt": 1,
        "workflow": "local",
        **values,
    }
    return Event(github=github, token=token)


def _is_passed(name: str) -> bool:
    return (name in PASSED or name.startswith(PASSED_PREFIXES)) and name not in OWN


def _words(value: object) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])  # type: ignore[call-overload]


def _status(result: str) -> Functions:
    return {
        "always": lambda: True,
        "cancelled": lambda: False,
        "success": lambda: result == SUCCESS,
        "failure": lambda: result == FAILURE,
    }


def _condition(part: Mapping[str, Any], names: Mapping[str, Any], status: Functions) -> bool:
    """Evaluate `if`; without a function of the status, the status must be success too."""
    text = str(part.get("if", "success()"))
    inner = text.strip().removeprefix("${{").removesuffix("}}")
    asked = any(f"{name}(" in inner for name in status)
    return (asked or status["success"]()) and bool(expand(f"${{{{ {inner} }}}}", names, status))


def _combinations(job: Mapping[str, Any], names: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the entries of `matrix.include`, or one empty entry."""
    if "strategy" not in job:
        yield {}
        return
    matrix = job["strategy"]["matrix"]
    if set(matrix) != {"include"}:
        raise ValueError("only matrix.include is known")
    entries = expand(matrix["include"], names, {})
    if not entries:
        raise ValueError("a matrix without entries is an error on GitHub")
    yield from entries


def _read_outputs(file: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in file.read_text().splitlines())
    return {name: value for name, _, value in pairs}
