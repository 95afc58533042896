"""`factory attest --identity` and `verify`, with sigstore on loopback."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pypi_attestations", reason="the extra `provenance` is not installed")

from factory.cli.main import main
from factory.errors import NotVerified, PrerequisiteMissing, PublishError
from factory.publish.certified import _verifier
from factory.publish.provenance import provenance_path, read_provenance
from factory.publish.statement import PREDICATE_TYPE
from factory.util.atomic_files import sha256_of
from tests.support.attested import built
from tests.support.sigstore_instance import (
    ISSUER,
    REPOSITORY,
    SERVER,
    WORKFLOW,
    Instance,
    identity_of,
    new_key,
    sigstore_instance,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the store is root's")
SIGNERS = """
[[signers]]
name = "nightly"
identity = "{identity}"
issuer = "{issuer}"
trust-config = "trust.json"
"""


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    """Serve an instance to this job, which has a project folder; nobody else's can be reached."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "clients"))
    for name in ("recipes", "index"):
        (tmp_path / name).mkdir()
    _verifier.cache_clear()
    with sigstore_instance() as instance:
        for name, text in instance.variables().items():
            monkeypatch.setenv(name, text)
        instance.write_trust(tmp_path / "index/trust.json")
        trust(tmp_path)
        yield instance


def trust(folder: Path, identity: str | None = None) -> None:
    """State whose signatures count."""
    text = SIGNERS.format(identity=identity or identity_of(), issuer=ISSUER)
    (folder / "index/site.toml").write_text(text)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return built(tmp_path)


def attest(folder: Path) -> int:
    return main(["attest", "--identity", "--trust-config", str(folder / "index/trust.json")])


Verify = Callable[..., str]


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    """Verify a wheel by what is beside it; return what the command printed."""

    def run(wheel: Path, status: int = 0) -> str:
        capsys.readouterr()
        assert main(["verify", str(wheel), "--no-audit"]) == status
        return capsys.readouterr().out

    return run


def test_workflow_signs_and_its_identity_is_proven(
    instance: Instance, wheel: Path, tmp_path: Path, verify: Verify
) -> None:
    other = built(tmp_path, "other")
    assert attest(tmp_path) == 0
    assert len(instance.statements.leaves) == 2
    for each in (wheel, other):  # the proof of the second one has a path in the tree
        shown = verify(each)
        assert "signature   by 'nightly': https://slsa.dev/provenance/v1" in shown
        assert "stated by the trusted signer" in shown
    statement = bundle_of(wheel).attestations[0].statement
    assert statement["predicateType"] == PREDICATE_TYPE
    assert statement["predicate"]["runDetails"]["builder"]["id"] == identity_of()
    assert (bundle_of(wheel).publisher.repository, bundle_of(wheel).publisher.workflow) == (REPOSITORY, WORKFLOW)
    assert read_provenance(wheel, sha256_of(wheel)) == sha256_of(provenance_path(wheel))


def bundle_of(wheel: Path) -> Any:
    from pypi_attestations import Provenance

    (bundle,) = Provenance.model_validate_json(provenance_path(wheel).read_bytes()).attestation_bundles
    return bundle


def test_second_run_signs_nothing_again(instance: Instance, wheel: Path, tmp_path: Path) -> None:
    assert attest(tmp_path) == attest(tmp_path) == 0
    assert len(instance.statements.leaves) == 1


def clients_trust(instance: Instance) -> None:
    """Write what other clients trust into their caches, in place of the public instance."""
    from sigstore._internal.tuf import DEFAULT_TUF_URL, _get_dirs

    folder = _get_dirs(DEFAULT_TUF_URL)[1]
    folder.mkdir(parents=True)
    trusted = instance.trust()
    (folder / "trusted_root.json").write_text(json.dumps(trusted["trustedRoot"]))
    (folder / "signing_config.v0.2.json").write_text(json.dumps(trusted["signingConfig"]))


def pypi_verify(wheel: Path, repository: str = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """Run the command of pypi-attestations."""
    command = [sys.executable, "-m", "pypi_attestations", "verify", "pypi", "--offline", str(wheel)]
    options = ["--provenance-file", str(provenance_path(wheel)), "--repository", f"{SERVER}/{repository}"]
    return subprocess.run([*command, *options], capture_output=True, text=True)


def test_pypi_attestations_verifies_the_same_file(instance: Instance, wheel: Path, tmp_path: Path) -> None:
    assert attest(tmp_path) == 0
    clients_trust(instance)
    verified = pypi_verify(wheel)
    assert verified.returncode == 0, verified.stderr
    assert f"OK: {wheel.name}" in verified.stderr
    other = pypi_verify(wheel, "somebody/else")
    assert other.returncode != 0
    assert "Verification failed" in other.stderr


def test_other_workflow_is_no_trusted_signer(instance: Instance, wheel: Path, tmp_path: Path, verify: Verify) -> None:
    assert attest(tmp_path) == 0
    trust(tmp_path, identity_of("release.yml"))
    shown = verify(wheel, NotVerified.exit_code)
    assert f"signature   by {identity_of()}: no trusted signer" in shown
    assert "required: one of 'nightly'" in shown


def test_provenance_of_other_wheel_is_refused(instance: Instance, wheel: Path, tmp_path: Path, verify: Verify) -> None:
    other = built(tmp_path, "other")
    assert attest(tmp_path) == 0
    shutil.copy(provenance_path(other), provenance_path(wheel))
    shown = verify(wheel, NotVerified.exit_code)
    assert f"signature   the statement is about another file: {other.name}" in shown
    assert pypi_verify(wheel).returncode != 0


def changed(wheel: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the attestation of a wheel."""
    path = provenance_path(wheel)
    content = json.loads(path.read_text())
    change(content["attestation_bundles"][0]["attestations"][0])
    path.write_text(json.dumps(content))


def remove_entry(attestation: dict[str, Any]) -> None:
    attestation["verification_material"]["transparency_entries"] = []


def remove_proof(attestation: dict[str, Any]) -> None:
    del attestation["verification_material"]["transparency_entries"][0]["inclusionProof"]


def change_time(attestation: dict[str, Any]) -> None:
    entry = attestation["verification_material"]["transparency_entries"][0]
    entry["integratedTime"] = str(int(entry["integratedTime"]) + 5)


def change_root(attestation: dict[str, Any]) -> None:
    proof = attestation["verification_material"]["transparency_entries"][0]["inclusionProof"]
    proof["rootHash"] = base64.b64encode(bytes(32)).decode()


def change_statement(attestation: dict[str, Any]) -> None:
    statement = base64.b64decode(attestation["envelope"]["statement"]).replace(b"rv64gc", b"rva23x")
    attestation["envelope"]["statement"] = base64.b64encode(statement).decode()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (remove_entry, "damaged provenance"),
        (remove_proof, "invalid transparency log entry"),
        (change_time, "invalid inclusion promise"),
        (change_root, "inclusion proof contains invalid root hash"),
        (change_statement, "the signature is not certified: "),
    ],
)
def test_changed_attestation_is_refused(
    change: Callable[[dict[str, Any]], None],
    reason: str,
    instance: Instance,
    wheel: Path,
    tmp_path: Path,
    verify: Verify,
) -> None:
    assert attest(tmp_path) == 0
    changed(wheel, change)
    shown = verify(wheel, NotVerified.exit_code)
    assert "contradicted:" in shown
    assert reason in shown


def test_entry_of_other_statement_is_refused(instance: Instance, wheel: Path, tmp_path: Path, verify: Verify) -> None:
    other = built(tmp_path, "other")
    assert attest(tmp_path) == 0
    (entry,) = bundle_of(other).attestations[0].verification_material.transparency_entries
    changed(wheel, lambda found: found["verification_material"].update(transparency_entries=[entry]))
    shown = verify(wheel, NotVerified.exit_code)
    assert "log entry payload hash does not match bundle" in shown


def test_certificate_that_had_expired_is_refused(
    instance: Instance, wheel: Path, tmp_path: Path, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client would not sign with it: the authority dates it back after the client has looked."""
    from sigstore.sign import Signer

    instance.starts = -20
    monkeypatch.setattr(Signer, "_signing_cert", lambda signer: signer._Signer__cached_signing_certificate)
    monkeypatch.setattr(Signer, "__init__", signing_with_any_certificate)
    assert attest(tmp_path) == 0
    shown = verify(wheel, NotVerified.exit_code)
    assert "the signature is not certified: " in shown
    assert "not valid at validation time" in shown or "expired" in shown


def signing_with_any_certificate(signer: Any, token: Any, context: Any, cache: bool = True) -> None:
    signer._identity_token, signer._signing_ctx = token, context
    signer._Signer__cached_private_key = new_key()
    request = signer._build_csr()
    signer._Signer__cached_signing_certificate = context._fulcio.signing_cert.post(request, token).cert


def test_client_does_not_sign_with_expired_certificate(
    instance: Instance, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    instance.starts = -20
    assert attest(tmp_path) == PublishError.exit_code
    assert f"{wheel.name}: not attested: the certificate of this job's identity has expired" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["authority", "certificates", "statements"])
def test_instance_with_other_keys_is_refused(
    part: str, instance: Instance, wheel: Path, tmp_path: Path, verify: Verify
) -> None:
    """An authority or a log that the signers' file does not name."""
    assert attest(tmp_path) == 0
    other = Instance(url=instance.url)
    for name in {"authority", "certificates", "statements"} - {part}:
        setattr(other, name, getattr(instance, name))
    if part != "authority":
        other.__dict__["root"] = instance.root
    other.write_trust(tmp_path / "index/trust.json")
    assert "the signature is not certified: " in verify(wheel, NotVerified.exit_code)


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/api/v2/signingCert", "503"), ("/api/v1/log/entries", "503")],
)
def test_service_that_fails_is_named(
    path: str, reason: str, instance: Instance, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    instance.failing[path] = 503
    assert attest(tmp_path) == PublishError.exit_code
    shown = capsys.readouterr().err
    assert f"{wheel.name}: not attested: " in shown
    assert reason in shown
    assert not provenance_path(wheel).exists()
    instance.failing.clear()
    assert attest(tmp_path) == 0


def test_job_without_permission_is_told(
    instance: Instance, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    instance.failing["/token"] = 403
    assert attest(tmp_path) == PrerequisiteMissing.exit_code
    assert "id-token: write" in capsys.readouterr().err


def test_identity_outside_of_workflow_names_permission(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    for name in ("GITHUB_REPOSITORY", "GITHUB_WORKFLOW_REF"):
        monkeypatch.delenv(name, raising=False)
    built(tmp_path)
    assert main(["attest", "--identity"]) == PrerequisiteMissing.exit_code
    assert "id-token: write" in capsys.readouterr().err
