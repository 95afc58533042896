"""Substitutes: an index's wheels and records, for builds with their content keys.

As with Nix, whatever is wrong with a substitute is one line, and the job is built. Nothing is stored before its hash
and the signature on its record are verified.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from packaging.utils import canonicalize_name, canonicalize_version

from factory.errors import PublishError, StoreError
from factory.model.artifacts import RepairedWheel
from factory.model.record import BuildRecord
from factory.pipeline.job import PreparedJob
from factory.pipeline.run import Run
from factory.publish.attestations import Attestations, Evidence, read_evidence, require_trusted, verify_evidence
from factory.publish.own_keys import statements_path
from factory.publish.provenance import provenance_path
from factory.publish.published_index import IndexedFile, PublishedIndex, open_index
from factory.publish.signers import TrustedSigner
from factory.publish.wheel_filename import parse_filename
from factory.util.atomic_files import write_file
from factory.util.redaction import without_secrets
from factory.util.scratch import own_folder
from factory.util.untrusted import WHEEL_LIMIT
from factory.util.wheel_tags import serves

# Builds of one version for one Python: each is asked for its signatures.
MAX_CANDIDATES = 16


@dataclass(slots=True, kw_only=True)
class Substitutes:
    """An index whose builds are taken if one of the `signers` signed them.

    With `only`, a job that has no substitute fails. A server that does not answer is not asked again.
    """

    where: str
    signers: Sequence[TrustedSigner]
    only: bool = False
    failed: bool = field(default=False, init=False)

    def take(self, prepared: PreparedJob, run: Run) -> BuildRecord | None:
        """Store the index's build of a job; None if it has none that can be trusted.

        Raises:
            StoreError: there is none, and nothing is to be built.
        """
        label, record, reason = prepared.job.label, None, "another job's look-up failed"
        if not self.failed:
            try:
                with open_index(self.where) as index:
                    record = _take(index, prepared, self.signers, run)
                reason = "no build of this content key"
            except PublishError as error:
                self.failed, reason = error.machines_fault, error.message
                if not self.only:
                    run.reporter.line(f"{label}: no substitute: {reason}")
        if record is None and self.only:
            raise StoreError(
                f"{label}: no substitute in {without_secrets(self.where)}: {reason}",
                hint="without --only-substitutes it is built here",
            )
        return record


def _take(
    index: PublishedIndex, prepared: PreparedJob, signers: Sequence[TrustedSigner], run: Run
) -> BuildRecord | None:
    """Verify and store the build with the job's content key.

    Raises:
        PublishError: the index does not answer, or what it has of this build cannot be trusted.
    """
    project, refusals = canonicalize_name(prepared.job.recipe.project), []
    certified = any(signer.identity for signer in signers)
    for file in islice(_candidates(index.files(project), prepared), MAX_CANDIDATES):
        evidence = read_evidence(index, project, file, certified=certified)
        attestations = verify_evidence(file.filename, file.sha256, evidence, signers)
        try:
            record = _record_of(attestations, prepared, file)
        except PublishError as error:
            refusals.append(error)
            continue
        if record is not None:
            return _store(index, file, evidence, record, prepared, run)
    if refusals:
        raise refusals[0]
    return None


def _candidates(files: Sequence[IndexedFile], prepared: PreparedJob) -> Iterator[IndexedFile]:
    """Select the files of the job's version that its Python accepts, the last listed first."""
    job = prepared.job
    for file in reversed(files):
        try:
            project, version = parse_filename(file.filename)
        except PublishError:
            continue
        same = project == canonicalize_name(job.recipe.project) and _public(version) == _public(job.recipe.version)
        if same and serves(file.filename, job.python) and file.yanked is False:
            yield file


def _public(version: str) -> str:
    """Return a version without the label of its builder, as `+debian`."""
    return canonicalize_version(version.partition("+")[0])


def _record_of(attestations: Attestations, prepared: PreparedJob, file: IndexedFile) -> BuildRecord | None:
    """Return the trusted record with the job's key, None if the file is of another build.

    Raises:
        PublishError: no trusted signer states a record, or one states another job's with this key.
    """
    named = [each for each in attestations.trusted if each.statement.record is not None]
    if not named:
        claims = [each.statement.record.key for each in attestations.valid if each.statement.record is not None]
        if claims and prepared.key not in claims and not attestations.invalid:
            return None  # of another build, whoever signed it
        require_trusted(attestations, file.filename)
        return None
    records = (each.statement.record for each in named)
    record = next((each for each in records if each is not None and each.key == prepared.key), None)
    if record is not None and not _fits(record, prepared):
        raise PublishError(f"{file.filename}: refused: its record has this content key, but is of another job")
    return record


def _fits(record: BuildRecord, prepared: PreparedJob) -> bool:
    job = prepared.job
    passed = bool(record.checks) and all(check.passed for check in record.checks)
    named = (record.name, record.version) == (job.id[0], job.recipe.version)
    return passed and named and record.target == prepared.config.target and record.built_with == job.toolchain


def _store(
    index: PublishedIndex,
    file: IndexedFile,
    evidence: Evidence,
    record: BuildRecord,
    prepared: PreparedJob,
    run: Run,
) -> BuildRecord:
    """Fetch a wheel, verify it, and store it with its record and its signatures."""
    job, store = prepared.job, run.store
    with own_folder(run.layout.scratch, "substitute", prepared.key, keep=False) as folder:
        wheel = folder / file.filename
        limit = WHEEL_LIMIT if file.size is None else min(file.size, WHEEL_LIMIT)
        index.fetch(canonicalize_name(job.recipe.project), file, wheel, limit)
        repaired = RepairedWheel(path=wheel, sha256=file.sha256, platform_tags=())
        stored = store.add(replace(record, comparison=job.comparison, substituted_from=index.name), repaired)
    _keep_evidence(store.wheel_path(stored), evidence)
    run.reporter.line(f"{job.label}: taken from {index.name}, {stored.wheel}")
    return stored


def _keep_evidence(wheel: Path, evidence: Evidence) -> None:
    """Write the signed files beside a stored wheel, unless it has some of its own."""
    for path, content in (
        (statements_path(wheel), evidence.statements),
        (provenance_path(wheel), evidence.provenance),
    ):
        if content is not None and not path.exists():
            write_file(path, content, durable=True)
