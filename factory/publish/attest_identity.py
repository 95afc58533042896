"""Attestation with a workflow's identity: PEP 740 provenance, signed by sigstore."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from factory.errors import PrerequisiteMissing, PublishError
from factory.publish.attest import Attestable
from factory.publish.certified import load_trust
from factory.publish.libraries import CERTIFICATES, require_signing
from factory.publish.provenance import provenance_path
from factory.publish.statement import make_statement
from factory.util.atomic_files import is_file, write_file

if TYPE_CHECKING:
    from pypi_attestations import Attestation, GitHubPublisher
    from sigstore.sign import SigningContext


def attest_with_identity(wheels: Sequence[Attestable], config: Path | None) -> list[Path]:
    """Sign the statements of wheels without provenance; return the files that were written.

    `config` is the file of another instance of sigstore than the public one.

    Raises:
        PrerequisiteMissing: this is no workflow that may have an identity, or the libraries are not installed.
        PublishError: sigstore does not answer, or refuses to sign.
    """
    require_signing("--identity", CERTIFICATES)
    from sigstore.sign import SigningContext

    publisher, builder = publisher_of(os.environ), builder_of(os.environ)
    lacking = [each for each in wheels if not is_file(provenance_path(each.wheel.path))]
    if not lacking:
        return []
    trust = load_trust(config)
    trust.force_tlog_version = 1  # PEP 740 keeps no timestamps, without which entries of later versions prove no time
    context, written = SigningContext.from_trust_config(trust), []
    for each in lacking:
        attestations = _sign([make_statement(record, builder) for record in each.records], context, each)
        path = provenance_path(each.wheel.path)
        write_file(path, encode_provenance(attestations, publisher), durable=True)
        written.append(path)
    return written


def publisher_of(variables: Mapping[str, str]) -> GitHubPublisher:
    """Return the publisher that the runner's variables state.

    Raises:
        PrerequisiteMissing: they are not those of a workflow on GitHub.
    """
    from pypi_attestations import GitHubPublisher

    workflow = variables.get("GITHUB_WORKFLOW_REF", "").partition("@")[0].rpartition("/")[2]
    repository = variables.get("GITHUB_REPOSITORY", "")
    if not workflow or not repository:
        raise _no_identity("GITHUB_WORKFLOW_REF or GITHUB_REPOSITORY is not set")
    return GitHubPublisher(repository=repository, workflow=workflow)


def builder_of(variables: Mapping[str, str]) -> str:
    """Return the URI of the workflow, as its certificate states it."""
    return f"{variables.get('GITHUB_SERVER_URL', '')}/{variables.get('GITHUB_WORKFLOW_REF', '')}"


def encode_provenance(attestations: Sequence[Attestation], publisher: GitHubPublisher) -> bytes:
    """Return the provenance object of PEP 740."""
    from pypi_attestations import AttestationBundle, Provenance

    bundle = AttestationBundle(publisher=publisher, attestations=list(attestations))
    return Provenance(attestation_bundles=[bundle]).model_dump_json().encode() + b"\n"


def _sign(statements: Sequence[bytes], context: SigningContext, wheel: Attestable) -> list[Attestation]:
    """Sign with a certificate for each wheel: one holds for ten minutes."""
    from pypi_attestations import Attestation
    from sigstore.dsse import Statement
    from sigstore.oidc import IdentityError, IdentityToken, detect_credential

    try:
        token = detect_credential()
        if token is None:
            raise _no_identity("no token is offered to this job")
        with context.signer(IdentityToken(token)) as signer:
            return [Attestation.from_bundle(signer.sign_dsse(Statement(each))) for each in statements]
    except PrerequisiteMissing:
        raise
    except IdentityError as error:
        raise _no_identity(str(error)) from error
    except Exception as error:  # each part of the client has errors of its own
        raise PublishError(
            f"{wheel.wheel.path.name}: not attested: {_cause(error)}",
            hint="run the same command again: wheels that are attested are left alone",
            machines_fault=True,
        ) from error


def _cause(error: Exception) -> str:
    """Describe an error of sigstore's client; some have no text."""
    from sigstore.sign import ExpiredCertificate, ExpiredIdentity

    if isinstance(error, ExpiredCertificate | ExpiredIdentity):
        what = "certificate" if isinstance(error, ExpiredCertificate) else "token"
        return f"the {what} of this job's identity has expired"
    return str(error) or str(error.__cause__ or "") or type(error).__name__


def _no_identity(cause: str) -> PrerequisiteMissing:
    return PrerequisiteMissing(
        f"--identity: there is none: {cause}",
        hint="run it in a workflow with the permission id-token: write, or sign with a key: factory attest --key FILE",
    )
