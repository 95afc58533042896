"""`factory attest` and `verify`, with real keys, on indexes in folders and on loopback."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from factory.cli.main import main
from factory.errors import NotVerified, PublishError
from factory.model.materials import BILL, Materials
from factory.model.record import AuditSummary, DispatchedLibrary
from factory.sbom.cyclonedx import bill_of_materials
from factory.util.atomic_files import sha256_of
from tests.support.attested import built, indexed, key_of, published
from tests.support.folder_server import folder_served
from tests.support.good_wheels import GOOD
from tests.support.recipes import SMALLEST, write
from tests.support.wheelmaker import make_wheel

pytest.importorskip("pypi_attestations", reason="the extra `provenance` is not installed")
pytestmark = [
    pytest.mark.usefixtures("upstream"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the store is root's: an ordinary user's command starts itself again"),
]

Verify = Callable[..., dict[str, list[str]]]
SIGNED = ["record", "environment", "source", "recipe", "patches", "checks"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def verify(folder: Path, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Run the command, which must end with `status`; return its subjects by state."""

    def run(wheel: Path, *options: str, status: int = 0) -> dict[str, list[str]]:
        capsys.readouterr()
        assert main(["verify", str(wheel), *options, "--json"]) == status
        answer = json.loads(capsys.readouterr().out)
        assert answer["ok"] == (status == 0)
        found: dict[str, list[str]] = {}
        for each in answer["findings"]:
            found.setdefault(each["state"], []).append(each["subject"])
        return found

    return run


def trust(folder: Path) -> list[str]:
    return ["--key", f"{key_of(folder)}.pub"]


def test_verify_reports_what_trusted_signer_states(folder: Path, verify: Verify) -> None:
    wheel = built(folder)
    index = published(folder)
    for where in (index, index / "simple"):
        found = verify(wheel, "--index", str(where), *trust(folder))
        assert found == {
            "proven": ["hash", "metadata", "signature", "audit"],
            "signed": SIGNED,
            "not proven": ["bill"],
        }


def test_verify_compares_the_two_bills(folder: Path, verify: Verify) -> None:
    """The one in the wheel, and the one that the index publishes."""
    materials = Materials(filename="demo-1.0-py3-none-any.whl", project="demo", version="1.0", source_sha256="s")
    made = make_wheel(folder / "wheels", "demo", more={BILL: bill_of_materials(materials).decode()})
    wheel = built(folder, made=made)
    index = published(folder)
    assert "contents" in verify(wheel, "--index", str(index), *trust(folder))["proven"]
    sidecar = index / f"files/{wheel.name}.cdx.json"
    bill = json.loads(sidecar.read_text())
    bill["components"].append({"name": "libevil"})
    sidecar.write_text(json.dumps(bill))
    found = verify(wheel, "--index", str(index), *trust(folder), status=NotVerified.exit_code)
    assert found["contradicted"] == ["contents"]


def test_verify_asks_index_by_http(folder: Path, verify: Verify) -> None:
    wheel = built(folder)
    with folder_served(indexed(folder)) as url:
        found = verify(wheel, "--index", f"{url}/simple/", *trust(folder))
    assert found["signed"] == SIGNED


def test_verify_reads_signers_of_site(folder: Path, verify: Verify) -> None:
    """The file of a key is relative to `site.toml`."""
    wheel = built(folder)
    index = indexed(folder)
    (folder / "index").mkdir()
    (folder / "recipes").mkdir(exist_ok=True)
    shutil.copy(f"{key_of(folder)}.pub", folder / "index")
    (folder / "index/site.toml").write_text('[[signers]]\nname = "we"\nkey = "factory.pem.pub"\n')
    assert verify(wheel, "--index", str(index))["signed"] == SIGNED


def test_verify_without_signers_proves_no_record(folder: Path, verify: Verify) -> None:
    wheel = built(folder)
    found = verify(wheel, "--index", str(indexed(folder)))
    assert found == {"proven": ["hash", "metadata", "audit"], "not proven": ["signature", *SIGNED]}


def test_verify_requires_signature_of_named_signer(folder: Path, verify: Verify) -> None:
    wheel, other = built(folder), folder / "other"
    other.mkdir()
    index = indexed(folder)
    found = verify(wheel, "--index", str(index), "--key", f"{key_of(other)}.pub", status=NotVerified.exit_code)
    assert found["missing"] == ["signature"]
    (index / f"files/{wheel.name}.intoto.jsonl").unlink()
    found = verify(wheel, "--index", str(index), *trust(folder), status=NotVerified.exit_code)
    assert found["missing"] == ["signature"]


def test_changed_wheel_contradicts_index_and_signature(folder: Path, verify: Verify) -> None:
    wheel = built(folder)
    index = indexed(folder)
    changed = make_wheel(folder / "elsewhere", "demo", code="ANSWER = 43\n")
    assert changed.name == wheel.name
    found = verify(changed, "--index", str(index), *trust(folder), status=NotVerified.exit_code)
    assert found["contradicted"] == ["hash", "signature"]


def test_changed_statement_is_contradicted(folder: Path, verify: Verify) -> None:
    wheel = built(folder)
    statements = indexed(folder) / f"files/{wheel.name}.intoto.jsonl"
    envelope = json.loads(statements.read_text())
    payload = base64.b64decode(envelope["payload"]).replace(b'"Paris"', b'"Lyon!"')
    payload = payload.replace(b"rv64gc", b"rva23x")
    statements.write_text(json.dumps({**envelope, "payload": base64.b64encode(payload).decode()}) + "\n")
    found = verify(wheel, "--index", str(folder / "out"), *trust(folder), status=NotVerified.exit_code)
    assert found["contradicted"] == ["signature"]


def test_statement_of_another_wheel_is_contradicted(folder: Path, verify: Verify) -> None:
    wheel, other = built(folder), built(folder, "other")
    files = indexed(folder) / "files"
    shutil.copy(files / f"{other.name}.intoto.jsonl", files / f"{wheel.name}.intoto.jsonl")
    found = verify(wheel, "--index", str(folder / "out"), *trust(folder), status=NotVerified.exit_code)
    assert found["contradicted"] == ["signature"]


@pytest.mark.parametrize("content", ["", "{}\n", "[1]\n", "null\n", '{"payload": 1}\n', "\x00\n", "{" * 100_000])
def test_damaged_statements_are_reported(folder: Path, verify: Verify, content: str) -> None:
    wheel = built(folder)
    statements = indexed(folder) / f"files/{wheel.name}.intoto.jsonl"
    statements.write_text(content)
    found = verify(wheel, "--index", str(folder / "out"), *trust(folder), status=NotVerified.exit_code)
    assert found["missing" if not content else "contradicted"] == ["signature"]


def test_statements_beside_wheel_need_no_index(folder: Path, verify: Verify) -> None:
    wheel = built(folder)
    assert main(["attest", "--key", str(key_of(folder))]) == 0
    found = verify(wheel, *trust(folder), "--no-audit")
    assert found == {"not proven": ["hash"], "proven": ["signature"], "signed": SIGNED}


def test_attest_signs_only_what_lacks_statement(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = built(folder)
    for expected in (f"{wheel}.intoto.jsonl", "all wheels are attested"):
        capsys.readouterr()
        assert main(["attest", "--key", str(key_of(folder))]) == 0
        assert capsys.readouterr().out.strip() == expected
    published(folder)
    Path(f"{wheel}.intoto.jsonl").unlink()
    assert main(["attest", "--key", str(key_of(folder)), "--ledger", str(folder / "index/ledger")]) == 0
    assert not Path(f"{wheel}.intoto.jsonl").exists()
    assert main(["attest", str(folder / "no-1-py3-none-any.whl"), "--key", str(key_of(folder))]) == 13


def test_second_key_keeps_the_first_ones_statements(folder: Path, verify: Verify) -> None:
    """Also in an index, whose publisher may have only one of them beside the stored wheel."""
    wheel, other = built(folder), folder / "other"
    other.mkdir()
    index = published(folder)
    for key in (key_of(other), key_of(folder), key_of(other)):
        assert main(["attest", str(wheel), "--key", str(key)]) == 0
    beside = Path(f"{wheel}.intoto.jsonl")
    assert len(beside.read_text().splitlines()) == 2
    beside.write_text(beside.read_text().splitlines()[1] + "\n")
    project = ["--project", str(folder), "--ledger", str(folder / "index/ledger")]
    assert main(["publish", str(wheel), *project, "--output", str(index)]) == 0
    for key in (key_of(other), key_of(folder)):
        assert "signature" in verify(wheel, "--index", str(index), "--key", f"{key}.pub")["proven"]


def test_attest_leaves_out_wheels_of_other_projects(folder: Path) -> None:
    wheel, other = built(folder), built(folder, "other")
    shutil.rmtree(folder / "recipes/other")
    assert main(["attest", "--key", str(key_of(folder))]) == 0
    assert Path(f"{wheel}.intoto.jsonl").exists()
    assert not Path(f"{other}.intoto.jsonl").exists()
    assert main(["attest", str(other), "--key", str(key_of(folder))]) == 0
    assert Path(f"{other}.intoto.jsonl").exists()


@pytest.mark.parametrize("name", ["absent", "empty", "folder", "factory.pem"])
def test_key_that_is_none_is_named(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where the wheel has no signature that it would be compared with."""
    wheel, private = built(folder), key_of(folder)
    (folder / "empty").touch()
    (folder / "folder").mkdir()
    assert main(["verify", str(wheel), "--key", name]) == PublishError.exit_code
    assert capsys.readouterr().err.startswith(f"factory: {name}: ")
    if name != private.name:
        assert main(["attest", str(wheel), "--key", name]) == PublishError.exit_code
        assert capsys.readouterr().err.startswith(f"factory: {name}: ")


def test_short_key_of_rsa_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    wheel, key = built(folder), generate_private_key(65537, 1024)
    pem = Encoding.PEM
    (folder / "short.pem").write_bytes(key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(pem, PublicFormat.SubjectPublicKeyInfo)
    (folder / "short.pem.pub").write_bytes(public)
    for command, name in (("attest", "short.pem"), ("verify", "short.pem.pub")):
        assert main([command, str(wheel), "--key", name]) == PublishError.exit_code
        assert "a key of 1024 bits: RSA needs 2048" in capsys.readouterr().err


def test_new_key_is_private_and_replaces_nothing(folder: Path) -> None:
    key = key_of(folder)
    assert key.stat().st_mode & 0o777 == 0o600
    before = sha256_of(key)
    assert main(["attest", "--new-key", str(key)]) == 13
    assert sha256_of(key) == before


def test_published_statements_are_verified_and_restored(folder: Path) -> None:
    wheel = built(folder)
    index = published(folder)
    command = ["index", "--verify", "--output", str(index), "--ledger", str(folder / "index/ledger")]
    statements = index / f"files/{wheel.name}.intoto.jsonl"
    assert main(command) == 0
    content = statements.read_bytes()
    statements.write_bytes(content + b"\n")
    assert main(command) == 17
    assert published(folder) == index
    assert (statements.read_bytes(), main(command)) == (content, 0)


def test_verify_without_libraries_names_the_extra(folder: Path) -> None:
    """A signature that cannot be verified proves nothing, and the reason has the command that helps."""
    wheel = built(folder)
    assert main(["attest", "--key", str(key_of(folder))]) == 0
    program = (
        "import sys; sys.modules['securesystemslib'] = None\n"
        "from factory.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "verify", str(wheel), "--no-audit"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "securesystemslib is not installed; install the factory with its extra" in answer.stdout


def test_declarations_without_trusted_signature_allow_nothing(folder: Path, verify: Verify) -> None:
    """A wheel has vector code. It declares itself that this is dispatched, and so does its record."""
    plant = next(each for each in GOOD if each.trust)
    dispatched = tuple(DispatchedLibrary(path=path, extensions=("v",)) for path in (plant.path,))
    audit = AuditSummary(libraries=1, glibc=None, dispatched=dispatched, system_libraries=(), bundled={}, sboms=())
    wheel = built(folder, "vectors-c", plant.make(folder), audit=audit)
    assert main(["attest", str(wheel), "--key", str(key_of(folder))]) == 0
    assert "audit" in verify(wheel)["not proven"]
    assert "audit" in verify(wheel, *trust(folder))["proven"]


def test_recipe_of_another_project_allows_nothing(folder: Path, verify: Verify) -> None:
    """An untrusted record names a recipe at hand, with its hash, whose declarations would allow this wheel's code."""
    recipe = write(folder / "recipes", SMALLEST.replace("spam", "lax") + '[audit]\ndispatched = ["demo/*"]\n', "lax")
    recipe /= "recipe.toml"
    plant = next(each for each in GOOD if each.trust)
    wheel = built(folder, "lax", plant.make(folder), recipe_sha256=sha256_of(recipe))
    assert main(["attest", str(wheel), "--key", str(key_of(folder))]) == 0
    assert "audit" in verify(wheel)["not proven"]
