"""Verification of a wheel: what its index and signed statements prove about it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_version

from factory.errors import PrerequisiteMissing, PublishError
from factory.model.record import BuildRecord
from factory.publish.attestations import Attestations, Evidence, read_evidence, verify_evidence
from factory.publish.own_bill import count_shared_parts, read_own_bill
from factory.publish.own_keys import statements_path
from factory.publish.provenance import provenance_path
from factory.publish.published_index import IndexedFile, PublishedIndex
from factory.publish.signers import TrustedSigner, names_of
from factory.publish.statement import OWN_KEY, STATEMENT_LIMIT
from factory.publish.wheel_filename import parse_filename
from factory.publish.wheel_metadata import read_metadata
from factory.util.atomic_files import is_file, sha256_of
from factory.util.identifiers import OURS
from factory.util.jsonio import DAMAGED, decode
from factory.util.quantities import quantity

BILL_SUFFIX = ".cdx.json"  # of the bill of materials beside a wheel


class State(StrEnum):
    """State of a claim; `missing` is what is required, `signed` what a trusted signer states."""

    PROVEN = "proven"
    SIGNED = "signed"
    NOT_PROVEN = "not proven"
    MISSING = "missing"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A claim about a wheel, such as its hash, its state and an explanation."""

    subject: str
    state: State
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Findings on a wheel; its build records are `signed` if a trusted signer states them."""

    wheel: Path
    sha256: str
    findings: tuple[Finding, ...]
    records: tuple[BuildRecord, ...]
    signed: bool

    @property
    def ok(self) -> bool:
        """True if nothing is contradicted, and nothing that is required is missing."""
        return all(each.state not in (State.MISSING, State.CONTRADICTED) for each in self.findings)


def verify_wheel(
    wheel: Path, index: PublishedIndex | None, signers: Sequence[TrustedSigner], texts: Mapping[str, bytes]
) -> Verified:
    """Verify a wheel by an index, if there is one, and the signed files there or beside.

    `texts` are the local recipes and patches, by sha256.

    Raises:
        PublishError: it is no wheel, the index does not answer, or a signer's file cannot be read.
    """
    project, version = parse_filename(wheel.name)
    sha256, file = sha256_of(wheel), None
    if index is not None:
        file = next((each for each in index.files(project) if each.filename == wheel.name), None)
    evidence = read_evidence(index, project, file) if index is not None and file is not None else _beside(wheel)
    findings = [*_indexed(wheel, sha256, index, file)]
    try:
        attestations = verify_evidence(wheel.name, sha256, evidence, signers)
        findings += _signatures(attestations, signers)
    except PrerequisiteMissing as error:
        attestations = Attestations()
        findings.append(_unproven("signature", f"there is one, but {error.message}; {error.hint}", required=signers))
    records, signed = attestations.records, bool(attestations.trusted)
    findings += _recorded(records, version, signed, texts)
    if index is not None and file is not None:
        findings += _bill(index, wheel, sha256, records)
    return Verified(wheel=wheel, sha256=sha256, findings=tuple(findings), records=records, signed=signed)


def _unproven(subject: str, text: str, *, required: object = ()) -> Finding:
    """Return a claim that is not proven, missing where the caller requires it."""
    return Finding(subject=subject, state=State.MISSING if required else State.NOT_PROVEN, text=text)


def _proven(subject: str, text: str) -> Finding:
    return Finding(subject=subject, state=State.PROVEN, text=text)


def _contradicted(subject: str, text: str) -> Finding:
    return Finding(subject=subject, state=State.CONTRADICTED, text=text)


def _beside(wheel: Path) -> Evidence:
    """Read the signed files beside a wheel on this machine."""
    paths = (statements_path(wheel), provenance_path(wheel))
    statements, provenance = (path.read_bytes() if is_file(path) else None for path in paths)
    return Evidence(statements=statements, provenance=provenance)


def _indexed(wheel: Path, sha256: str, index: PublishedIndex | None, file: IndexedFile | None) -> Iterator[Finding]:
    """Compare a wheel with what the index states of it."""
    if index is None:
        yield _unproven("hash", f"sha256 {sha256}: no index was asked: name one with --index")
        return
    if file is None:
        yield _unproven("hash", f"sha256 {sha256}: {index.name} has no file of this name")
        return
    if not file.sha256:
        yield _unproven("hash", f"sha256 {sha256}: {index.name} states none")
    elif file.sha256 != sha256:
        yield _contradicted("hash", f"sha256 {sha256}, but {index.name} states {file.sha256}")
    else:
        yield _proven("hash", f"sha256 {sha256}, as {index.name} states")
    yield from _metadata(wheel, file)
    if file.yanked is not False:
        reason = file.yanked if isinstance(file.yanked, str) else ""
        yield _unproven("fitness", f"the index has yanked this file: {reason or 'without a reason'}")


def _metadata(wheel: Path, file: IndexedFile) -> Iterator[Finding]:
    """Compare METADATA, which installers read from the index before they fetch the wheel."""
    stated = file.core_metadata.get("sha256") if isinstance(file.core_metadata, dict) else None
    if stated is None:
        return
    try:
        found = hashlib.sha256(read_metadata(wheel)).hexdigest()
    except PublishError as error:
        yield _contradicted("metadata", error.message)
        return
    if found == stated:
        yield _proven("metadata", "the METADATA that the index offers by itself is the wheel's")
    else:
        yield _contradicted("metadata", f"sha256 {found}, but the index offers {stated}")


def _signatures(attestations: Attestations, signers: Sequence[TrustedSigner]) -> Iterator[Finding]:
    for reason in attestations.invalid:
        yield _contradicted("signature", reason)
    for each in attestations.trusted:
        how = ", a key of its own, for whose owner nobody vouches" if each.statement.builder == OWN_KEY else ""
        yield _proven("signature", f"by {each.signer!r}{how}: {each.statement.predicate_type}")
    if attestations.trusted or attestations.invalid:
        return
    if attestations.valid:
        unknown = ", ".join(dict.fromkeys(key for each in attestations.valid for key in each.unknown))
        text = f"by {unknown}: no trusted signer; name those whom you trust as [[signers]] in site.toml, or by --key"
    else:
        text = "there is none"
    wanted = f"; required: one of {names_of(signers)}" if signers else ""
    yield _unproven("signature", f"{text}{wanted}", required=signers)


def _bill(index: PublishedIndex, wheel: Path, sha256: str, records: Sequence[BuildRecord]) -> Iterator[Finding]:
    """Compare the index's bill of materials with the wheel, its own bill and its records."""
    content = index.sidecar(wheel.name, BILL_SUFFIX, STATEMENT_LIMIT)
    if content is None:
        return
    try:
        hashes, key = _read_bill(content)
    except DAMAGED as error:
        yield _contradicted("bill", f"{index.name} has a damaged bill of materials: {error}")
        return
    if sha256 not in hashes:
        yield _contradicted("bill", f"the bill of materials is of another file, sha256 {', '.join(hashes) or 'none'}")
    elif records and key not in {text for record in records for text in (record.key, record.wheel_of)}:
        yield _contradicted("bill", f"the bill of materials has content key {key}")
    else:
        yield _unproven("bill", f"the bill of materials states content key {key} (not signed)")
    yield from _own_bill(wheel, content)


def _own_bill(wheel: Path, published: bytes) -> Iterator[Finding]:
    """Compare the bill of materials in a wheel, if it has one, with that of the index."""
    try:
        own = read_own_bill(wheel)
        shared = None if own is None else count_shared_parts(own, published)
    except PublishError as error:
        yield _contradicted("contents", error.message)
        return
    except DAMAGED as error:
        yield _contradicted("contents", f"its own or the index's bill of materials is damaged: {error}")
        return
    if own is None:
        return
    if shared is None:
        yield _contradicted("contents", "the index's bill of materials lists other contents than the wheel's own")
    else:
        yield _proven(
            "contents", f"its own bill of materials and the index's list the same libraries and crates: {shared}"
        )


def _read_bill(content: bytes) -> tuple[list[str], str]:
    """Return a bill of materials' hashes of its file, and the build's content key."""
    metadata = decode(content, dict[str, Any])["metadata"]
    hashes = [str(each["content"]) for each in metadata["component"]["hashes"]]
    keys = [str(each["value"]) for each in metadata["properties"] if each["name"] == f"{OURS}:build-record"]
    return hashes, keys[0] if keys else "none"


def _signed(subject: str, text: str) -> Finding:
    return Finding(subject=subject, state=State.SIGNED, text=text)


def _stated(subject: str, text: str) -> Finding:
    return _unproven(subject, f"{text} (stated without a trusted signature)")


def _recorded(
    records: Sequence[BuildRecord], version: str, signed: bool, texts: Mapping[str, bytes]
) -> Iterator[Finding]:
    """Describe how the wheel was made according to its records."""
    if not records:
        subjects = ("record", "environment", "source", "patches", "checks")
        yield from (_unproven(subject, "no statement has a build record") for subject in subjects)
        return
    say = _signed if signed else _stated
    made = next((record for record in records if not record.wheel_of), records[0])
    yield say("record", f"content key {made.wheel_of or made.key}, built {made.finished}, {made.mode} mode")
    if canonicalize_version(made.version) not in map(canonicalize_version, (version, version.partition("+")[0])):
        yield _contradicted("record", f"of version {made.version}, but the wheel has {version}")
    lock = f"{quantity(len(made.environment), 'package')} of the distribution, "
    lock += quantity(len(made.requirements), "build requirement")
    yield say("environment", f"{lock}; key {made.environment_key}")
    origins = (origin.urls[0] for origin in made.sources if origin.urls)
    yield say("source", " ".join((f"sha256 {made.source_sha256}", *origins)))
    here = "the project has its text" if made.recipe_sha256 in texts else "the project does not have its text"
    yield say("recipe", f"{made.name}, sha256 {made.recipe_sha256}: {here}")
    missing = [each.name for each in made.patches if each.sha256 not in texts]
    names = ", ".join(each.name for each in made.patches) or "none"
    yield say("patches", f"{names}{'; not in the project: ' + ', '.join(missing) if missing else ''}")
    for record in records:
        yield from _checks(record, say)


def _checks(record: BuildRecord, say: Callable[[str, str], Finding]) -> Iterator[Finding]:
    failed = [check.profile for check in record.checks if not check.passed]
    passed = [check.profile for check in record.checks if check.passed]
    python = f"Python {record.target.python}"
    if failed:
        yield _contradicted("checks", f"failed with {python} on {', '.join(failed)}")
    if passed:
        yield say("checks", f"passed with {python} on {', '.join(passed)}")
    if not record.checks:
        yield _unproven("checks", f"none with {python}")
