"""Run a workflow on this machine: `nox -s workflow-local -- NAME [--input KEY=VALUE]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.workflows.runner import SUCCESS, Event, WorkflowRun, load_workflow


def main() -> int:
    """Run the workflow, and print the result of each job."""
    parser = argparse.ArgumentParser(prog="workflow-local")
    parser.add_argument("name", help="workflow, such as nightly")
    parser.add_argument("--input", action="append", default=[], metavar="KEY=VALUE", help="input; repeatable")
    parser.add_argument("--folder", type=Path, help="folder for clones, caches and artifacts (default: a new one)")
    args = parser.parse_args()
    root = Path(subprocess.check_output(["git", "rev-parse", "--show-toplevel"], text=True).strip())
    folder = args.folder or Path(tempfile.mkdtemp(prefix="workflow-"))
    run = WorkflowRun(repository=root, folder=folder.absolute(), event=local_event(root))
    inputs = default_inputs(root, args.name) | dict(each.split("=", 1) for each in args.input)
    result = run.run(args.name, inputs)
    for job, each in run.results.items():
        print(f"{job}: {each}")
    print(f"artifacts, caches and pages: {folder / 'storage'}")
    return 0 if result == SUCCESS else 1


def default_inputs(root: Path, name: str) -> dict[str, str]:
    """Return the defaults of a workflow's inputs."""
    events = load_workflow(root / ".github/workflows" / f"{name}.yml")["on"]
    declared = (events.get("workflow_dispatch") or {}).get("inputs") or {}
    return {key: str(each.get("default", "")) for key, each in declared.items()}


def local_event(root: Path, **values: object) -> Event:
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
    return Event(github=github)


if __name__ == "__main__":
    sys.exit(main())
