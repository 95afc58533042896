"""Substitutes from loopback, with real signatures, and servers that misbehave."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli.console import Reporter
from factory.errors import StoreError
from factory.model.artifacts import RepairedWheel
from factory.model.target import Target
from factory.pipeline.job import PreparedJob
from factory.pipeline.run import Run
from factory.pipeline.substitutes import Substitutes
from factory.publish.attest import attestable
from factory.publish.signers import of_key
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from factory.util.paths import Layout
from tests.support.attested import built, indexed, key_of
from tests.support.bad_servers import bad_server, endless, silent, silent_within_body
from tests.support.folder_server import folder_served
from tests.support.jobs import job_of, prepared
from tests.support.recipes import recipe_named
from tests.support.wheelmaker import make_wheel

pytest.importorskip("securesystemslib", reason="the extra `provenance` is not installed")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("factory.publish.index_server.TIMEOUT_SECONDS", (10.0, 2.0))
    return tmp_path


@pytest.fixture
def job() -> PreparedJob:
    return prepared(job_of(recipe_named("demo")))


@pytest.fixture
def index(folder: Path, job: PreparedJob) -> Path:
    """Publish a signed build with the content key of `job`."""
    built(folder, key=job.key, target=job.config.target)
    return indexed(folder)


Take = Callable[..., str]


@pytest.fixture
def take(folder: Path, job: PreparedJob, capsys: pytest.CaptureFixture[str]) -> Take:
    """Look for a substitute with an empty store; return what is printed.

    Nothing but a verified wheel with its record may be in the store afterwards.
    """
    run = Run(layout=Layout(folder / "new"), recipes=RecipeSet(folder, SOURCE_KINDS), reporter=Reporter())

    def look(where: Path | str, *, only: bool = False, found: bool = False) -> str:
        capsys.readouterr()
        substitutes = Substitutes(where=str(where), signers=[of_key(Path(f"{key_of(folder)}.pub"))], only=only)
        record = substitutes.take(job, run)
        assert (record is not None) == found
        assert run.store.record(job.key) == record
        stored = list((folder / "new/store").rglob("*.whl")) if (folder / "new").exists() else []
        assert len(stored) == found
        shown = capsys.readouterr().err
        assert len(shown.splitlines()) <= 1
        return shown

    return look


def test_build_with_same_key_is_taken(folder: Path, index: Path, job: PreparedJob, take: Take) -> None:
    with folder_served(index) as url:
        assert take(f"{url}/simple/", found=True) == f"demo 1.0: taken from {url}, demo-1.0-py3-none-any.whl\n"
    store = Store(folder / "new/store")
    record = store.record(job.key)
    assert record is not None
    assert record.substituted_from == url
    assert Path(f"{store.wheel_path(record)}.intoto.jsonl").is_file()
    assert attestable(store.published_candidates(), store.records()) == []


def test_build_is_taken_from_folder(index: Path, take: Take) -> None:
    assert "taken from" in take(index, found=True)


def test_other_key_is_no_substitute(folder: Path, take: Take) -> None:
    built(folder, key="0" * 64)
    with folder_served(indexed(folder)) as url:
        assert take(url) == ""
        with pytest.raises(StoreError, match="no build of this content key"):
            take(url, only=True)


def test_index_with_many_builds_is_asked_for_few(
    folder: Path, index: Path, job: PreparedJob, capsys: pytest.CaptureFixture[str]
) -> None:
    page = index / "simple/demo/index.v1+json"
    content = json.loads(page.read_text())
    names = [f"demo-1.0-{number}-py3-none-any.whl" for number in range(1, 1000)]
    content["files"] = [{**content["files"][0], "filename": name} for name in names]
    requests: list[str] = []

    def answer(_server: object, path: str, write: Callable[[bytes], None]) -> None:
        requests.append(path)
        body = json.dumps(content).encode() if path.endswith("+json") else b""
        status = "200 OK" if body else "404 Not Found"
        write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    run = Run(layout=Layout(folder / "new"), recipes=RecipeSet(folder, SOURCE_KINDS), reporter=Reporter())
    with bad_server(answer) as server:
        substitutes = Substitutes(where=server.url, signers=[of_key(Path(f"{key_of(folder)}.pub"))])
        assert substitutes.take(job, run) is None
    assert "it has no signature" in capsys.readouterr().err
    assert len(requests) < 40


def test_unknown_project_is_no_substitute(folder: Path, take: Take) -> None:
    built(folder, "other")
    assert take(indexed(folder)) == ""


def test_wrong_hash_is_refused(index: Path, take: Take) -> None:
    """The wheel has other bytes than its signed record, of the same length."""
    wheel = index / "files/demo-1.0-py3-none-any.whl"
    content = wheel.read_bytes()
    wheel.unlink()
    wheel.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with folder_served(index) as url:
        assert "demo 1.0: no substitute: demo-1.0-py3-none-any.whl: sha256 is" in take(url)


@pytest.mark.parametrize("address", ["http://[x", "//[x", "http://.x:1/", "../../files/%00", "a" * 300])
def test_impossible_address_is_refused(index: Path, take: Take, address: str) -> None:
    page = index / "simple/demo/index.v1+json"
    content = json.loads(page.read_text())
    content["files"][0]["url"] = address
    page.unlink()
    page.write_text(json.dumps(content))
    assert "demo 1.0: no substitute: " in take(index)
    if "%00" not in address:  # which the server of the test does not bear
        with folder_served(index) as server:
            assert "demo 1.0: no substitute: " in take(server)


def test_larger_wheel_is_refused_before_its_end(index: Path, take: Take) -> None:
    wheel = index / "files/demo-1.0-py3-none-any.whl"
    wheel.unlink()
    with wheel.open("wb") as file:
        file.truncate(1 << 34)
    assert "larger than" in take(index)


def test_missing_signature_is_refused(index: Path, take: Take) -> None:
    (index / "files/demo-1.0-py3-none-any.whl.intoto.jsonl").unlink()
    with folder_served(index) as url:
        assert take(url).endswith("demo-1.0-py3-none-any.whl: refused: it has no signature\n")


def test_foreign_signature_is_refused(folder: Path, index: Path, take: Take) -> None:
    for key in folder.glob("factory.pem*"):
        key.unlink()
    assert "refused: no trusted signer has signed it, only " in take(index)


def test_changed_statement_is_refused(index: Path, take: Take) -> None:
    statements = index / "files/demo-1.0-py3-none-any.whl.intoto.jsonl"
    statements.write_text(statements.read_text().replace('"payload":"eyJ', '"payload":"eyK'))
    assert "refused: " in take(index)


def test_replayed_older_build_is_no_substitute(folder: Path, index: Path, job: PreparedJob, take: Take) -> None:
    """An index offers an older wheel of this name with its own statement, which is valid."""
    old = make_wheel(folder / "old", "demo", code="ANSWER = 41\n")
    store = Store(folder / "cache/store")
    record = store.record(job.key)
    assert record is not None
    shutil.rmtree(folder / "cache")
    store.add(replace(record, key="1" * 64), RepairedWheel(path=old, sha256=sha256_of(old), platform_tags=()))
    shutil.rmtree(index)
    assert take(indexed(folder)) == ""


def test_record_of_another_job_with_this_key_is_refused(folder: Path, job: PreparedJob, take: Take) -> None:
    built(folder, key=job.key, target=Target(python="3.14"))
    assert "is of another job" in take(indexed(folder))


@pytest.mark.parametrize("answer", [silent, silent_within_body, endless])
def test_hanging_server_is_one_line_and_not_asked_again(
    folder: Path, job: PreparedJob, answer: object, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(layout=Layout(folder / "new"), recipes=RecipeSet(folder, SOURCE_KINDS), reporter=Reporter())
    with bad_server(answer) as server:  # type: ignore[arg-type]
        substitutes = Substitutes(where=server.url, signers=[of_key(Path(f"{key_of(folder)}.pub"))])
        capsys.readouterr()
        assert [substitutes.take(job, run) for _ in range(3)] == [None, None, None]
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("demo 1.0: no substitute: ")
        assert len(server.requests) <= 3 if answer is not endless else True


def test_truncated_wheel_is_refused(folder: Path, index: Path, take: Take) -> None:
    def cut(_server: object, path: str, write: Callable[[bytes], None]) -> None:
        file = index / path.lstrip("/")
        content = file.read_bytes() if file.is_file() else b""
        status = "200 OK" if file.is_file() else "404 Not Found"
        write(f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode())
        write(content[: len(content) // 2] if path.endswith(".whl") else content)

    with bad_server(cut) as server:
        assert "no substitute: " in take(server.url)


@pytest.mark.parametrize(
    "address",
    [
        "../../../../../etc/passwd",
        "file:///etc/passwd",
        "/etc/passwd",
        "http://127.0.0.1:9/demo-1.0-py3-none-any.whl",
        "../../files/../../secret",
    ],
)
def test_address_outside_index_is_refused(folder: Path, index: Path, take: Take, address: str) -> None:
    (folder / "secret").write_text("of this machine")
    page = index / "simple/demo/index.v1+json"
    page.write_text(page.read_text().replace("../../files/demo-1.0-py3-none-any.whl", address))
    assert "no substitute: " in take(index)
    with folder_served(index) as url:
        assert "no substitute: " in take(url)


@pytest.mark.parametrize(
    "name", ["../demo-1.0-py3-none-any.whl", "demo-1.0-py3-none-any.whl/x", "demo-1.0-py3-none-any", "\\u0000.whl", ""]
)
def test_unsafe_file_name_is_no_candidate(index: Path, take: Take, name: str) -> None:
    page = index / "simple/demo/index.v1+json"
    page.write_text(page.read_text().replace('"filename":"demo-1.0-py3-none-any.whl"', f'"filename":"{name}"'))
    assert take(index) == ""


@pytest.mark.parametrize("page", ["", "[]", "{}", '{"files": [1]}', '{"files": 1}', "\x00", "[" * 100_000])
def test_damaged_page_is_one_line(index: Path, take: Take, page: str) -> None:
    (index / "simple/demo/index.v1+json").write_text(page)
    with folder_served(index) as url:
        assert "damaged page" in take(url)
