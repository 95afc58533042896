"""Form of a workflow's provenance: what sigstore and pypi-attestations make of it.

A workflow's identity exists only there. The signature here is a real one, with a certificate that nobody vouches for.
"""

from __future__ import annotations

import base64
import datetime
from pathlib import Path

import pytest

from factory.cli.main import main
from factory.errors import PrerequisiteMissing
from factory.publish.provenance import provenance_path, read_provenance
from factory.publish.statement import PREDICATE_TYPE, make_statement
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from tests.support.attested import built

pytest.importorskip("pypi_attestations", reason="the extra `provenance` is not installed")

WORKFLOW = {
    "GITHUB_SERVER_URL": "https://git.example",
    "GITHUB_REPOSITORY": "owner/factory",
    "GITHUB_WORKFLOW_REF": "owner/factory/.github/workflows/nightly.yml@refs/heads/main",
}


@pytest.fixture
def provenance(tmp_path: Path) -> Path:
    """Return the provenance of a stored wheel, with a certificate of its own."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding
    from pypi_attestations import Attestation
    from sigstore.dsse import Statement

    from factory.publish.attest_identity import builder_of, encode_provenance, publisher_of

    wheel = built(tmp_path)
    (record,) = Store(tmp_path / "cache/store").records()
    statement = Statement(make_statement(record, builder_of(WORKFLOW)))
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    workflow = x509.UniformResourceIdentifier(builder_of(WORKFLOW))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now)
        .add_extension(x509.SubjectAlternativeName([workflow]), critical=True)
        .sign(key, hashes.SHA256())
    )
    signature = key.sign(statement._pae(), ec.ECDSA(hashes.SHA256()))
    attestation = Attestation.model_validate(
        {
            "version": 1,
            "verification_material": {
                "certificate": base64.b64encode(certificate.public_bytes(Encoding.DER)),
                "transparency_entries": [{"logIndex": "1"}],
            },
            "envelope": {
                "statement": base64.b64encode(statement._contents),
                "signature": base64.b64encode(signature),
            },
        }
    )
    path = provenance_path(wheel)
    path.write_bytes(encode_provenance([attestation], publisher_of(WORKFLOW)))
    return path


def test_provenance_is_read_by_its_library_and_publisher(provenance: Path) -> None:
    from pypi_attestations import Provenance

    wheel = provenance.with_suffix("")
    (bundle,) = Provenance.model_validate_json(provenance.read_bytes()).attestation_bundles
    (attestation,) = bundle.attestations
    assert bundle.publisher.model_dump()["repository"] == "owner/factory"
    assert bundle.publisher.model_dump()["workflow"] == "nightly.yml"
    statement = attestation.statement
    assert statement["predicateType"] == PREDICATE_TYPE
    assert statement["subject"] == [{"name": wheel.name, "digest": {"sha256": sha256_of(wheel)}}]
    builder = statement["predicate"]["runDetails"]["builder"]["id"]
    assert builder == f"https://git.example/{WORKFLOW['GITHUB_WORKFLOW_REF']}"
    assert read_provenance(wheel, sha256_of(wheel)) == sha256_of(provenance)


def test_certificate_that_nobody_vouches_for_is_contradicted(
    provenance: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["verify", str(provenance.with_suffix("")), "--no-audit"]) == 18
    assert "contradicted:\n  signature   the signature is not certified: " in capsys.readouterr().out


def test_identity_outside_of_workflow_names_permission(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    for name in WORKFLOW:
        monkeypatch.delenv(name, raising=False)
    built(tmp_path)
    assert main(["attest", "--identity"]) == PrerequisiteMissing.exit_code
    assert "id-token: write" in capsys.readouterr().err
