"""Files stored in a folder by chunks, without a server: uploads, deduplication, downloads, ranges, hashes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import tempfile
from importlib.metadata import version
from pathlib import Path

import hf_xet

source = random.Random(20261201)
FIRST, SECOND, THIRD = (source.randbytes(700_000) for _ in range(3))
TEXT = "Grüße, 世界! ".encode() * 40_000
FILES = {
    "empty": b"",
    "short": b"a few bytes",
    "text": TEXT,
    "random": FIRST + SECOND,
    "shares": FIRST[5:] + THIRD,
    "zeros": bytes(900_000),
}


def stored_bytes(store: Path) -> int:
    return sum(path.stat().st_size for path in store.rglob("*") if path.is_file())


def upload(endpoint: str, folder: Path) -> dict[str, hf_xet.XetFileInfo]:
    """Upload each file, from the disk, from memory or as a stream, in one commit."""
    commit = hf_xet.XetSession().new_upload_commit(endpoint=endpoint)
    handles = {}
    for place, (name, content) in enumerate(FILES.items()):
        if place % 2:
            handles[name] = commit.start_upload_bytes(content, sha256=hf_xet.COMPUTE_SHA256)
        else:
            (folder / name).write_bytes(content)
            handles[name] = commit.start_upload_file(str(folder / name), sha256=hf_xet.COMPUTE_SHA256)
    commit.wait_to_finish()
    return {name: handle.result().xet_info for name, handle in handles.items()}


def download(endpoint: str, infos: dict[str, hf_xet.XetFileInfo], folder: Path) -> None:
    with hf_xet.XetSession().new_file_download_group(endpoint=endpoint) as group:
        for name, info in infos.items():
            group.start_download_file(info, str(folder / f"{name}.back"))
    for name, content in FILES.items():
        assert (folder / f"{name}.back").read_bytes() == content, name


def ranges(endpoint: str, info: hf_xet.XetFileInfo, content: bytes) -> None:
    """Read parts of a file as streams."""
    for start, end in ((0, 10), (50_000, 250_000), (699_990, 700_010), (1_399_999, 1_400_000)):
        group = hf_xet.XetSession().new_download_stream_group(endpoint=endpoint)
        found = b"".join(bytes(chunk) for chunk in group.download_stream(info, start=start, end=end))
        assert found == content[start:end], (start, end, len(found))


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    endpoint = f"local://{folder / 'store'}"
    infos = upload(endpoint, folder)
    for name, content in FILES.items():
        assert infos[name].file_size == len(content), name
        if content:
            assert infos[name].sha256 == hashlib.sha256(content).hexdigest(), name
    used = stored_bytes(folder / "store")
    upload(endpoint, folder)
    again = stored_bytes(folder / "store") - used
    assert again < 100_000, again
    download(endpoint, infos, folder)
    ranges(endpoint, infos["random"], FILES["random"])
    hashed = hf_xet.hash_files([str(folder / name) for name in ("empty", "text", "shares")])
    assert [each.hash for each in hashed] == [infos[name].hash for name in ("empty", "text", "shares")]
    try:
        hf_xet.XetConfig()["no.such.key"]
    except KeyError:
        pass
    else:
        raise AssertionError("an unknown key was found")

total = sum(map(len, FILES.values()))
shown = f"hf-xet {version('hf-xet')}: {len(FILES)} files of {total} bytes, kept as {used} and read back"
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
