"""Run a workflow on this machine: `nox -s workflow-local -- NAME [--input KEY=VALUE]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.workflows.runner import SUCCESS, WorkflowRun, default_inputs, local_event


def main() -> int:
    """Run the workflow, and print the result of each job."""
    parser = argparse.ArgumentParser(prog="workflow-local")
    parser.add_argument("name", help="workflow, such as nightly")
    parser.add_argument("--input", action="append", default=[], metavar="KEY=VALUE", help="input; repeatable")
    parser.add_argument("--folder", type=Path, help="folder for clones, caches and artifacts (default: a new one)")
    args = parser.parse_args()
    root = Path(subprocess.check_output(["git", "rev-parse", "--show-toplevel"], text=True).strip())
    folder = args.folder or Path(tempfile.mkdtemp(prefix="workflow-"))
    run = WorkflowRun(repository=root, folder=folder.absolute(), tools=folder.absolute() / "nox", event=local_event())
    inputs = default_inputs(root, args.name) | dict(each.split("=", 1) for each in args.input)
    result = run.run(args.name, inputs)
    for job, each in run.results.items():
        print(f"{job}: {each}")
    print(f"artifacts, caches and pages: {folder / 'storage'}")
    return 0 if result == SUCCESS else 1


if __name__ == "__main__":
    sys.exit(main())
