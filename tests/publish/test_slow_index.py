"""Resolution and copies from an index that hangs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from factory.errors import PublishError, TimeLimitReached
from factory.model.target import Target
from factory.publish import mirror, resolver
from factory.util import cancellation, hang_limits
from factory.util.hang_limits import HangLimits
from tests.support import bad_servers
from tests.support.bad_servers import Answer, BadServer, bad_server
from tests.support.logs import MemoryLog

HANGING = (bad_servers.silent, bad_servers.trickling_body, bad_servers.trickling_chunks)


def variables(server: BadServer) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "UV_DEFAULT_INDEX": server.simple, "UV_NO_CONFIG": "1", "NO_PROXY": "127.0.0.1"}


@pytest.mark.parametrize("answer", HANGING, ids=lambda answer: answer.__name__)
def test_resolution_by_hanging_index_ends(answer: Answer, log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "RESOLVE_SECONDS", 3.0)
    with bad_server(answer) as server, pytest.raises(PublishError, match="not finished after 3 s") as caught:
        resolver.resolve("spam==1.0", python="3.13", environment=variables(server), log=log)
    assert not isinstance(caught.value, resolver.Unresolvable)


@pytest.mark.parametrize("answer", HANGING, ids=lambda answer: answer.__name__)
def test_resolution_ends_at_time_limit_of_the_run(answer: Answer, log: MemoryLog) -> None:
    started = time.monotonic()
    with bad_server(answer) as server, cancellation.time_limit(3, TimeLimitReached), pytest.raises(TimeLimitReached):
        resolver.resolve("spam==1.0", python="3.13", environment=variables(server), log=log)
    assert time.monotonic() - started < 60


def test_copies_from_hanging_index_end(tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "DOWNLOAD_LIMITS", HangLimits(silent=3.0))
    monkeypatch.setattr(hang_limits, "POLL_SECONDS", 0.1)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with bad_server(bad_servers.trickling_body) as server:
        monkeypatch.setenv("PIP_INDEX_URL", server.simple)
        with pytest.raises(PublishError, match="pip download hangs"):
            mirror._download([f"spam==1.0 --hash=sha256:{'0' * 64}"], Target(), tmp_path, log)
