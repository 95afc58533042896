"""Exchange of a fleet: in a folder, and in a bucket of a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fsspec.core import url_to_fs
from moto.server import ThreadedMotoServer

from factory.errors import StoreError
from factory.model.artifacts import RepairedWheel
from factory.model.record import BuildRecord, StageRun
from factory.store.exchange import Exchange
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from factory.util.paths import Layout
from tests.support.records import record
from tests.support.wheelmaker import make_wheel


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    import s3fs

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as variables:
        variables.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            variables.setenv(name, "x")
        variables.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem().mkdir("wheels")
        yield "s3://wheels/fleet"
    server.stop()


@pytest.fixture(params=["folder", "bucket"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "exchange")
    return f"{request.getfixturevalue('bucket')}/{tmp_path.name}"


def store_build(layout: Layout) -> BuildRecord:
    wheel = make_wheel(layout.root / "made", "spam")
    made = record(sha256_of(wheel), passed=True)
    log = layout.logs / "spam/build.log"
    log.parent.mkdir(parents=True)
    log.write_text("built")
    made = replace(made, stages=(StageRun(stage="build", seconds=1.0, commands=(), log=log),))
    return Store(layout.store).add(made, RepairedWheel(path=wheel, sha256=sha256_of(wheel), platform_tags=()))


def test_build_comes_back_whole(url: str, tmp_path: Path) -> None:
    here, there = Layout(tmp_path / "here"), Layout(tmp_path / "there")
    kept = store_build(here)
    other = Exchange(url=url, layout=there)
    assert other.take(kept.key) is None
    for _ in range(2):
        Exchange(url=url, layout=here).put(kept)
    taken = other.take(kept.key)
    assert taken is not None
    assert Store(there.store).wheel_path(taken).read_bytes() == Store(here.store).wheel_path(kept).read_bytes()
    assert taken.stages[0].log == there.logs / "spam/build.log"
    assert taken.stages[0].log.read_text() == "built"
    assert Store(there.store).record(kept.key) == taken
    assert list((there.root / "scratch").iterdir()) == []


def test_files_of_killed_writers_are_removed_later(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are never among the results, and those of a running writer stay."""
    layout = Layout(tmp_path / "here")
    exchange = Exchange(url=url, layout=layout)
    kept = store_build(layout)
    files, root = url_to_fs(url)
    files.makedirs(f"{root}/partial", exist_ok=True)
    files.pipe_file(f"{root}/partial/0123", b"half a whe")
    exchange.put(kept)
    assert [each.rpartition("/")[2] for each in files.find(f"{root}/partial")] == ["0123"]
    files.rm(f"{root}/store", recursive=True)
    monkeypatch.setattr("factory.store.exchange.ABANDONED", timedelta(seconds=-60))
    exchange.put(kept)
    files.invalidate_cache()
    assert files.find(f"{root}/partial") == []
    assert exchange.take(kept.key) is not None


def test_log_of_a_failure_comes_back(url: str, tmp_path: Path) -> None:
    here, there = Layout(tmp_path / "here"), Layout(tmp_path / "there")
    log = here.logs / "spam/build.log"
    log.parent.mkdir(parents=True)
    log.write_text("error: no")
    Exchange(url=url, layout=here).put_log("logs/spam/build.log")
    taken = Exchange(url=url, layout=there).take_log("logs/spam/build.log")
    assert taken == there.logs / "spam/build.log"
    assert taken.read_text() == "error: no"
    assert Exchange(url=url, layout=there).take_log("logs/other.log") is None


@pytest.mark.parametrize("log", ["../x.log", "logs/../store/x", "store/records/x.json", "/etc/passwd"])
def test_log_of_a_failure_is_nothing_but_a_log(log: str, tmp_path: Path) -> None:
    exchange = Exchange(url=str(tmp_path / "exchange"), layout=Layout(tmp_path / "here"))
    for use in (exchange.put_log, exchange.take_log):
        with pytest.raises(StoreError, match=r"a failure names it|a record names it"):
            use(log)


def test_wheel_with_other_bytes_is_refused(tmp_path: Path) -> None:
    here, there = Layout(tmp_path / "here"), Layout(tmp_path / "there")
    kept, url = store_build(here), str(tmp_path / "exchange")
    Exchange(url=url, layout=here).put(kept)
    (wheel,) = Path(url).glob("store/wheels/*/*")
    wheel.write_bytes(wheel.read_bytes()[:-1])
    with pytest.raises(StoreError, match="changed while it was copied"):
        Exchange(url=url, layout=there).take(kept.key)
    assert Store(there.store).record(kept.key) is None


@pytest.mark.parametrize("change", [{"wheel": "../../../../evil.whl"}, {"key": "0" * 64}, {"name": "../records/x"}])
def test_record_that_leaves_the_cache_is_refused(change: dict[str, str], tmp_path: Path) -> None:
    here, there = Layout(tmp_path / "here"), Layout(tmp_path / "there")
    kept, url = store_build(here), str(tmp_path / "exchange")
    Exchange(url=url, layout=here).put(kept)
    (file,) = Path(url).glob("store/records/*")
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(StoreError):
        Exchange(url=url, layout=there).take(kept.key)
    assert not list(tmp_path.rglob("evil.whl"))


def test_log_outside_the_logs_is_not_written(tmp_path: Path) -> None:
    here, there = Layout(tmp_path / "here"), Layout(tmp_path / "there")
    kept, url = store_build(here), tmp_path / "exchange"
    Exchange(url=str(url), layout=here).put(kept)
    (file,) = url.glob("store/records/*")
    file.write_text(file.read_text().replace("logs/spam/build.log", "store/records/other.json"))
    (url / "store/records/other.json").write_text("{}")
    assert Exchange(url=str(url), layout=there).take(kept.key) is not None
    assert [path.name for path in (there.store / "records").iterdir()] == [f"{kept.key}.json"]


def test_errors_name_an_exchange_without_its_password(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "here")
    exchange = Exchange(url="nonsense://user:secret@host/fleet", layout=layout)
    with pytest.raises(StoreError, match="nonsense://host/fleet: exchange not reached") as raised:
        exchange.put(store_build(layout))
    assert "secret" not in str(raised.value)


def test_unreachable_exchange_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for url in (str(tmp_path / "file/below"), "nonsense://x"):
        kept = store_build(Layout(tmp_path / f"here-{len(url)}"))
        with pytest.raises(StoreError, match="exchange not reached"):
            Exchange(url=url, layout=Layout(tmp_path / f"here-{len(url)}")).put(kept)
