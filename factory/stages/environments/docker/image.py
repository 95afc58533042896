"""Container images made of a root's layers, for `docker load` and `podman load`.

The archive is written directly, not by `docker build`: engines share layers between images, pull no base image, and
the image's architecture is riscv64 (`docker import` of some engines sets the host's).

It is streamed into the engine in one pass: a layer's size follows from its files' headers, and config and manifest,
which need the hashes, come last. Equal layers and configuration give equal bytes. Files keep their modification times,
since Python compares them with those in its compiled files.

    tag = ensure_image(client, root.layers, ImageConfig(variables=root.variables), open_stage, "image")
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from factory.errors import EnvironmentSetupError
from factory.host.docker_engine import engine_errors
from factory.stages.environments.layers import Layer, content_key
from factory.util.log import OpenStage

if TYPE_CHECKING:
    from docker import DockerClient

REPOSITORY = "riscv64-wheel-factory"
# Counts up when the code below writes different images of the same layers.
FORMAT = 1
CREATED = datetime(1980, 1, 1, tzinfo=UTC).isoformat()
BLOCK = 1 << 20
# Marks of removed names and of folders that hide the one below: in overlayfs, and in images.
OPAQUE_ATTRIBUTES = ("trusted.overlay.opaque", "user.overlay.opaque")
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"

# An entry of a layer, and the file with its content if it has content.
Member = tuple[tarfile.TarInfo, Path | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """The configuration of an image's containers."""

    variables: Mapping[str, str]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ("bash",)
    folder: str = "/"
    labels: Mapping[str, str] = field(default_factory=dict)


def image_tag(layers: Sequence[Layer], config: ImageConfig, repository: str = REPOSITORY) -> str:
    """Return the image's name, with the content key of its layers and configuration."""
    key = content_key({"format": FORMAT, "layers": [layer.digest for layer in layers], "config": asdict(config)})
    return f"{repository}:{key[:16]}"


def ensure_image(
    client: DockerClient,
    layers: Sequence[Layer],
    config: ImageConfig,
    open_stage: OpenStage,
    stage: str,
    repository: str = REPOSITORY,
) -> str:
    """Load the image of `layers`, lowest first, if it is missing; returns its tag.

    `stage` is the name under which loading is reported.

    Raises:
        EnvironmentSetupError: loading failed, for instance because the engine's disk is full.
    """
    tag = image_tag(layers, config, repository)
    with engine_errors(f"load the image {tag}"):
        if not client.api.images(tag):
            with open_stage(stage) as log:
                log.write(f"loading the image {tag} into the Docker engine\n")
                archive = image_archive([layer.tree for layer in layers], config, tag)
                client.images.load(archive)  # type: ignore[arg-type]  # requests accepts an iterator
    return tag


def image_archive(trees: Sequence[Path], config: ImageConfig, tag: str) -> Iterator[bytes]:
    """Yield the image of `trees`, lowest first, as a `docker save` archive in blocks.

    Raises:
        EnvironmentSetupError: a file changed after its header was read.
    """
    return _in_blocks(_archive(trees, config, tag))


def _archive(trees: Sequence[Path], config: ImageConfig, tag: str) -> Iterator[bytes]:
    names, digests = [f"{number}.tar" for number in range(len(trees))], []
    for name, tree in zip(names, trees, strict=True):
        members, digest = list(layer_members(tree)), hashlib.sha256()
        yield _header(name, _size(members))
        for chunk in _layer(members):
            digest.update(chunk)
            yield chunk
        digests.append(f"sha256:{digest.hexdigest()}")
    description = json.dumps(_description(config, digests), sort_keys=True).encode()
    config_name = f"{hashlib.sha256(description).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": names}]).encode()
    for name, content in ((config_name, description), ("manifest.json", manifest)):
        yield _header(name, len(content)) + _padded(content)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _description(config: ImageConfig, digests: Sequence[str]) -> dict[str, object]:
    return {
        "architecture": "riscv64",
        "os": "linux",
        "created": CREATED,
        "config": {
            "Env": [f"{name}={value}" for name, value in sorted(config.variables.items())],
            "Entrypoint": list(config.entrypoint),
            "Cmd": list(config.command),
            "WorkingDir": config.folder,
            "Labels": dict(config.labels),
        },
        "rootfs": {"type": "layers", "diff_ids": list(digests)},
        "history": [{"created": CREATED, "created_by": REPOSITORY} for _ in digests],
    }


def layer_members(tree: Path) -> Iterator[Member]:
    """Yield the sorted entries of a layer, with whiteouts in the format of images."""
    # Never written to: it makes the headers of files, and keeps track of hard links.
    with tarfile.TarFile(fileobj=io.BytesIO(), mode="w") as describer:
        for path in _below(tree):
            name = path.relative_to(tree)
            if _is_whiteout(path):
                yield tarfile.TarInfo(str(name.with_name(WHITEOUT + name.name))), None
                continue
            info = describer.gettarinfo(path, str(name))
            if info is None:
                continue  # a socket
            info.uname = info.gname = ""
            info.mtime = int(info.mtime)
            yield info, path if info.isreg() else None
            if info.isdir() and _is_opaque(path):
                yield tarfile.TarInfo(str(name / OPAQUE)), None


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _below(path)


def _is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(0, 0)


def _is_opaque(folder: Path) -> bool:
    present = set(os.listxattr(folder)).intersection(OPAQUE_ATTRIBUTES)
    return any(os.getxattr(folder, name) == b"y" for name in present)


def _size(members: Iterable[Member]) -> int:
    """Return the size of a layer's archive in bytes."""
    entries = sum(len(_encoded(info)) + info.size + -info.size % tarfile.BLOCKSIZE for info, _ in members)
    return entries + 2 * tarfile.BLOCKSIZE


def _layer(members: Iterable[Member]) -> Iterator[bytes]:
    for info, path in members:
        yield _encoded(info)
        if path is not None:
            yield from _content(path, info.size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _content(path: Path, size: int) -> Iterator[bytes]:
    left = size
    with path.open("rb") as file:
        while left and (chunk := file.read(min(left, BLOCK))):
            left -= len(chunk)
            yield chunk
    if left:
        raise EnvironmentSetupError(f"{path}: file became shorter while it was read", hint="run the command again")
    yield bytes(-size % tarfile.BLOCKSIZE)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return _encoded(info)


def _encoded(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.GNU_FORMAT)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % tarfile.BLOCKSIZE)


def _in_blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Join chunks to blocks: each block costs a round trip to the engine."""
    gathered = bytearray()
    for chunk in chunks:
        gathered += chunk
        if len(gathered) >= BLOCK:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)
