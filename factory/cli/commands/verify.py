"""`factory verify WHEEL`: report what a wheel's index and signatures prove about it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.cli.printable import printable
from factory.cli.project_options import DEFAULT_OUTPUT, add_project_option, optional_project
from factory.cli.values import require_file
from factory.errors import AuditFailed, NotVerified, RecipeError
from factory.model.recipe import AuditOptions
from factory.model.record import BuildRecord
from factory.model.target import Target
from factory.publish.own_keys import load_public_key
from factory.publish.published_index import open_index
from factory.publish.signers import TrustedSigner, of_key
from factory.publish.source_texts import find_texts
from factory.publish.verification import Finding, State, Verified, verify_wheel
from factory.publish.wheel_filename import parse_filename
from factory.recipes.recipe_set import RecipeSet
from factory.site.config import load_settings
from factory.stages.audit.auditor import audit_wheel
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.util.project import INDEX_FOLDER
from factory.util.quantities import quantity

HEADINGS = {
    State.PROVEN: "proven here",
    State.SIGNED: "stated by the trusted signer, and not repeated here",
    State.NOT_PROVEN: "not proven",
    State.MISSING: "missing",
    State.CONTRADICTED: "contradicted",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("wheel", type=Path, metavar="WHEEL", help="wheel file")
    parser.add_argument(
        "--index",
        metavar="URL|DIR",
        help=f"index that has the wheel, its address or folder (default: {DEFAULT_OUTPUT}, if it exists)",
    )
    parser.add_argument(
        "--key",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="public key of a signer to trust, besides those in site.toml; repeatable",
    )
    parser.add_argument("--no-audit", action="store_true", help="do not audit the wheel again, which reads it whole")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    add_project_option(parser)


def run(args: argparse.Namespace) -> int:
    """Print the findings; return the exit code of NotVerified if one contradicts the wheel."""
    require_file(args.wheel)
    for key in args.key:  # a wrong name is no fault of a wheel without signatures
        load_public_key(key)
    project = optional_project(args)
    settings = None if project is None else load_settings(project / INDEX_FOLDER)
    signers = (*(settings.signers if settings else ()), *map(of_key, args.key))
    found = _verify(args, project, signers)
    if not args.no_audit:
        found = replace(found, findings=(*found.findings, *_audit(found, project)))
    print(_as_json(found) if args.json else "\n".join(_lines(found)))
    return 0 if found.ok else NotVerified.exit_code


def _verify(args: argparse.Namespace, project: Path | None, signers: tuple[TrustedSigner, ...]) -> Verified:
    where = args.index or (str(DEFAULT_OUTPUT) if (DEFAULT_OUTPUT / "simple").is_dir() else None)
    texts = {} if project is None else find_texts(project)
    with nullcontext() if where is None else open_index(where) as index:
        return verify_wheel(args.wheel, index, signers, texts)


def _audit(found: Verified, project: Path | None) -> Iterator[Finding]:
    """Audit the wheel by its recipe's declarations, else by a trusted signer's.

    What a wheel declares of itself would allow anything.
    """
    known = project and next(filter(None, (_options_of(each, found, project) for each in found.records)), None)
    whose = "its recipe's declarations" if known else "the signed record" if found.signed else "no declarations"
    try:
        report = audit_wheel(
            found.wheel, known or _recorded(found), Target(), trust_declaration=found.signed and not known
        )
    except AuditFailed as error:
        yield Finding(subject="audit", state=State.CONTRADICTED, text=error.message)
        return
    if report.ok:
        text = f"repeated here, {quantity(len(report.libraries), 'library', 'libraries')}: the tag holds, by {whose}"
        yield Finding(subject="audit", state=State.PROVEN, text=text)
        return
    text = f"{quantity(len(report.violations), 'violation')} by {whose}, such as {report.violations[0]}"
    if not known:
        text += "; its recipe may allow them"
    yield Finding(subject="audit", state=State.CONTRADICTED if known else State.NOT_PROVEN, text=text)


def _recorded(found: Verified) -> AuditOptions:
    """Return the declarations of a trusted record."""
    audits = [record.audit for record in found.records if found.signed and record.audit is not None]
    return AuditOptions(dispatched=tuple(each.path for audit in audits[:1] for each in audit.dispatched))


def _options_of(record: BuildRecord, found: Verified, project: Path) -> AuditOptions | None:
    """Return the audit options of the very recipe that a record names, if it is here."""
    try:
        recipe = RecipeSet(project, SOURCE_KINDS).find(record.name)
    except RecipeError:
        return None
    same = canonicalize_name(recipe.project) == parse_filename(found.wheel.name)[0]
    return recipe.audit if same and recipe.file_sha256 == record.recipe_sha256 else None


def _lines(found: Verified) -> Iterator[str]:
    yield found.wheel.name
    for state in State:
        chosen = [each for each in found.findings if each.state is state]
        if chosen:
            yield f"{HEADINGS[state]}:"
        yield from (printable(f"  {each.subject:<12}{each.text}") for each in chosen)


def _as_json(found: Verified) -> str:
    findings = [asdict(each) for each in found.findings]
    content = {"wheel": found.wheel.name, "sha256": found.sha256, "ok": found.ok, "findings": findings}
    return json.dumps(content, indent=1)
