"""`factory audit WHEEL`: show a wheel's content and check its tag."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from factory.cli.values import require_file
from factory.errors import AuditFailed
from factory.model.recipe import AuditOptions
from factory.model.target import Target
from factory.stages.audit.auditor import audit_wheel, render_text


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("wheel", type=Path, metavar="WHEEL", help="wheel file")
    parser.add_argument(
        "--dispatched",
        action="append",
        default=[],
        metavar="GLOB",
        help="libraries (paths in the wheel) whose code beyond rv64gc runs only after run-time detection, besides "
        "those that the wheel declares; repeatable",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the report of the audit; return AuditFailed's exit code for a violation."""
    require_file(args.wheel)
    options = AuditOptions(dispatched=tuple(args.dispatched))
    report = audit_wheel(args.wheel, options, Target(), trust_declaration=True)
    print(json.dumps(report.to_json(), indent=2) if args.json else render_text(report))
    return 0 if report.ok else AuditFailed.exit_code
