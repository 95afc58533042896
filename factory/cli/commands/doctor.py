"""`factory doctor`: check this machine for everything that the factory needs."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from factory.cli.options import add_environment_option
from factory.errors import PrerequisiteMissing
from factory.host.doctor import examine
from factory.util.paths import default_layout


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_environment_option(parser)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Print a line for each prerequisite, and the command that installs a missing one."""
    findings = examine(default_layout(), args.environment)
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            print(f"{'ok     ' if finding.ok else 'MISSING'} {finding.name}: {finding.seen}")
            if not finding.ok:
                print(f"        fix: {finding.mend}")
    return 0 if all(finding.ok for finding in findings) else PrerequisiteMissing.exit_code
