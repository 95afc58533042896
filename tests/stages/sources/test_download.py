"""Downloads from a server that truncates, dies, ignores Range or sends other data."""

from __future__ import annotations

import hashlib
import multiprocessing
from pathlib import Path

import pytest

from factory.errors import SourceError, TimeLimitReached
from factory.host import transfer
from factory.host.index_session import RETRIES, open_session, read_index_config
from factory.stages.sources.download import RemoteFile, download
from factory.util import cancellation
from tests.support import bad_servers
from tests.support.bad_servers import Answer, bad_server
from tests.support.index_server import IndexServer
from tests.support.logs import MemoryLog

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "spam-1.0.tar.gz"


def get(index: IndexServer, cache: Path, log: MemoryLog, sha256: str = SHA256) -> Path:
    with open_session(read_index_config()) as session:
        return download(RemoteFile(url=f"{index.url}/files/{NAME}", name=NAME, sha256=sha256), cache, session, log)


@pytest.fixture
def served(index: IndexServer) -> IndexServer:
    index.add(NAME, CONTENT)
    return index


@pytest.fixture
def part(tmp_path: Path) -> Path:
    path = tmp_path / SHA256[:2] / SHA256 / f"{NAME}.part"
    path.parent.mkdir(parents=True)
    return path


def test_download_is_cached_under_its_hash(served: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    path = get(served, tmp_path, log)
    assert path == tmp_path / SHA256[:2] / SHA256 / NAME
    assert path.read_bytes() == CONTENT
    assert not path.with_name(f"{NAME}.part").exists()


def test_cached_file_needs_no_request(served: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    get(served, tmp_path, log)
    get(served, tmp_path, log)
    assert served.downloads() == ["all"]
    assert log.text == f"{NAME} is in the cache\n"


def test_damaged_cached_file_is_downloaded_again(served: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    get(served, tmp_path, log).write_bytes(CONTENT[:-1] + b"?")
    assert get(served, tmp_path, log).read_bytes() == CONTENT
    assert "in the cache is damaged; downloading it again" in log.text


def test_broken_connection_is_resumed(served: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    served.cuts = [300_000, 0, 100_000]
    assert get(served, tmp_path, log).read_bytes() == CONTENT
    assert served.downloads() == ["all", "bytes=300000-", "bytes=300000-", "bytes=400000-"]
    assert "resuming at 300000 bytes" in log.text


def test_server_that_always_dies_is_reported(served: IndexServer, tmp_path: Path, log: MemoryLog, part: Path) -> None:
    served.cuts = [100_000] + [0] * (RETRIES + 1)
    with pytest.raises(SourceError) as caught:
        get(served, tmp_path, log)
    assert caught.value.message.startswith(f"{NAME}: can't be downloaded from {served.url}/files/{NAME}: ")
    assert part.read_bytes() == CONTENT[:100_000]  # kept for the next run


def test_part_file_of_a_killed_process_is_resumed(
    served: IndexServer, tmp_path: Path, log: MemoryLog, part: Path
) -> None:
    part.write_bytes(CONTENT[:500_000])
    assert get(served, tmp_path, log).read_bytes() == CONTENT
    assert served.downloads() == ["bytes=500000-"]


def test_cancelled_run_ends_within_a_download(tmp_path: Path, log: MemoryLog) -> None:
    """The server sends a part and hangs; the part is kept."""
    with bad_server(bad_servers.silent_within_body) as server, open_session(read_index_config()) as session:
        file = RemoteFile(url=server.url, name=NAME, sha256=SHA256)
        with cancellation.time_limit(2, TimeLimitReached), pytest.raises(TimeLimitReached):
            download(file, tmp_path, session, log)
    assert next(tmp_path.rglob("*.part")).stat().st_size > 100_000


@pytest.mark.parametrize("size", [None, 5_000_000])
@pytest.mark.parametrize("answer", [bad_servers.endless, bad_servers.endless_chunks])
def test_endless_download_is_refused(
    tmp_path: Path,
    log: MemoryLog,
    index: IndexServer,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    size: int | None,
) -> None:
    monkeypatch.setattr("factory.stages.sources.download.MAX_FILE_BYTES", 5_000_000)
    with bad_server(answer) as server, open_session(read_index_config()) as session:
        file = RemoteFile(url=server.url, name=NAME, sha256=SHA256, size=size)
        with pytest.raises(SourceError, match=r"larger than allowed: .* 5000000 bytes"):
            download(file, tmp_path, session, log)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("answer", [bad_servers.trickling_body, bad_servers.trickling_chunks])
def test_trickling_download_is_refused(
    tmp_path: Path, log: MemoryLog, index: IndexServer, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr(transfer, "RATE_SECONDS", 0.5)
    with bad_server(answer) as server, open_session(read_index_config()) as session:
        file = RemoteFile(url=server.url, name=NAME, sha256=SHA256)
        with pytest.raises(SourceError, match=r"the server sent \d+ bytes in \d+ s") as caught:
            download(file, tmp_path, session, log)
    assert caught.value.machines_fault


def test_complete_part_file_needs_no_request(served: IndexServer, tmp_path: Path, log: MemoryLog, part: Path) -> None:
    part.write_bytes(CONTENT)
    assert get(served, tmp_path, log).read_bytes() == CONTENT
    assert served.downloads() == []


def test_server_without_ranges_restarts_the_download(served: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    served.ranges, served.cuts = False, [300_000]
    assert get(served, tmp_path, log).read_bytes() == CONTENT
    assert "the server does not resume; starting again from zero" in log.text


@pytest.mark.parametrize("left", [b"x" * 1000, CONTENT + b"more"], ids=["wrong", "too long"])
def test_wrong_part_file_is_discarded_once(
    served: IndexServer, tmp_path: Path, log: MemoryLog, part: Path, left: bytes
) -> None:
    part.write_bytes(left)
    assert get(served, tmp_path, log).read_bytes() == CONTENT
    assert served.downloads() == [f"bytes={len(left)}-", "all"]
    assert "starting again from zero" in log.text


def test_wrong_hash_is_refused_with_both_hashes(served: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    wrong = "0" * 64
    with pytest.raises(SourceError) as caught:
        get(served, tmp_path, log, wrong)
    assert str(caught.value) == (
        f"{NAME}: the download has another content than the one pinned\n"
        f"  pinned sha256: {wrong}\n"
        f"  found sha256:  {SHA256}\n"
        "  hint: if the pin is right, the index or a proxy serves another file: do not use it"
    )
    assert [path.name for path in (tmp_path / "00" / wrong).iterdir() if path.suffix != ".lock"] == []


def test_silently_truncated_file_is_refused(served: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    served.files[NAME] = CONTENT[:-1]
    with pytest.raises(SourceError, match=f"found sha256:  {hashlib.sha256(CONTENT[:-1]).hexdigest()}"):
        get(served, tmp_path, log)


def test_server_error_is_retried(served: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    served.statuses = [503, 429, 500]
    assert get(served, tmp_path, log).read_bytes() == CONTENT


@pytest.mark.parametrize("statuses", [[404], [503] * (RETRIES + 1)], ids=["missing", "in trouble for long"])
def test_persistent_status_is_reported(
    served: IndexServer, tmp_path: Path, log: MemoryLog, statuses: list[int]
) -> None:
    served.statuses = list(statuses)
    with pytest.raises(SourceError, match=f"can't be downloaded from .*: the server answers {statuses[0]} ") as caught:
        get(served, tmp_path, log)
    assert caught.value.machines_fault is (statuses[0] != 404)


def test_unreachable_server_is_reported(tmp_path: Path, log: MemoryLog, index: IndexServer) -> None:
    index.url = "http://127.0.0.1:9"
    with pytest.raises(SourceError, match=r"Connection refused(.|\n)*hint: check the network, the proxy variables"):
        get(index, tmp_path, log)


def test_url_queries_and_credentials_are_never_shown(tmp_path: Path, log: MemoryLog, index: IndexServer) -> None:
    url = index.url.replace("//", "//me:secret@") + "/files/none?token=secret"
    with open_session(read_index_config()) as session, pytest.raises(SourceError) as caught:
        download(RemoteFile(url=url, name=NAME, sha256=SHA256), tmp_path, session, log)
    assert "secret" not in str(caught.value) + log.text


def hold_and_get(url: str, cache: Path, results: multiprocessing.Queue[str]) -> None:
    log = MemoryLog()
    with open_session(read_index_config()) as session:
        download(RemoteFile(url=url, name=NAME, sha256=SHA256), cache, session, log)
    results.put(log.text)


def test_two_processes_download_once(served: IndexServer, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str] = context.Queue()
    arguments = (f"{served.url}/files/{NAME}", tmp_path, results)
    processes = [context.Process(target=hold_and_get, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    texts = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert served.downloads() == ["all"]
    assert sum("is in the cache" in text for text in texts) == 1


def test_full_disk_is_reported(served: IndexServer, tiny_disk: Path, log: MemoryLog) -> None:
    with pytest.raises(SourceError) as caught:
        get(served, tiny_disk, log)
    part = next(tiny_disk.rglob("*.part"))
    expected = f"{part}: can't be written: No space left on device: the file system {tiny_disk} has 0.0 MB left"
    assert caught.value.message == expected
    assert "free some space there" in str(caught.value.hint)
    assert caught.value.machines_fault
