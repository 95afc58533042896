"""Image archives made of a root's layers."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from pathlib import Path

import pytest

from factory.errors import EnvironmentSetupError
from factory.model.artifacts import PackagePin
from factory.stages.environments.docker.image import ImageConfig, image_archive, image_tag, layer_members
from factory.stages.environments.layers import Layer

CONFIG = ImageConfig(variables={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, labels={"made-by": "a test"})


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a layer with one file and one folder."""
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n")
    return tree


def unpacked(*trees: Path) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(b"".join(image_archive(trees, CONFIG, "made:one"))))


def content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def layer(archive: tarfile.TarFile, name: str = "0.tar") -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(content(archive, name)))


def test_manifest_and_config_match_layer_bytes(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "upper/usr").mkdir(parents=True)
    archive = unpacked(tree, tmp_path / "upper")
    (manifest,) = json.loads(content(archive, "manifest.json"))
    assert (manifest["RepoTags"], manifest["Layers"]) == (["made:one"], ["0.tar", "1.tar"])
    config = content(archive, manifest["Config"])
    assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    assert json.loads(config)["rootfs"]["diff_ids"] == [
        f"sha256:{hashlib.sha256(content(archive, name)).hexdigest()}" for name in manifest["Layers"]
    ]
    assert layer(archive, "1.tar").getnames() == ["usr"]


def test_image_config_has_riscv64_and_root_variables(tree: Path) -> None:
    archive = unpacked(tree)
    (manifest,) = json.loads(content(archive, "manifest.json"))
    config = json.loads(content(archive, manifest["Config"]))
    assert (config["architecture"], config["os"]) == ("riscv64", "linux")
    assert config["config"]["Env"] == ["LANG=C.UTF-8", "PATH=/usr/bin:/bin"]
    assert (config["config"]["Cmd"], config["config"]["Labels"]) == (["bash"], {"made-by": "a test"})


def test_equal_layers_give_equal_bytes_in_any_file_order(tmp_path: Path) -> None:
    for name, order in (("one", "abc"), ("two", "cab")):
        (tmp_path / name).mkdir()
        for file in order:
            (tmp_path / name / file).write_text(file)
            os.utime(tmp_path / name / file, ns=(0, 1_700_000_000_500_000_000))
    first, second = (b"".join(image_archive([tmp_path / name], CONFIG, "made:one")) for name in ("one", "two"))
    assert first == second


def test_layer_members_keep_owners_modes_times_and_links(tree: Path) -> None:
    program = tree / "etc/program"
    program.write_bytes(b"x" * 3_000_000)
    program.chmod(0o4755)
    os.utime(program, (0, 1_600_000_000))
    os.link(program, tree / "etc/same")
    (tree / "etc/to").symlink_to("program")
    os.mkfifo(tree / "etc/queue")
    members = {member.name: member for member in layer(unpacked(tree)).getmembers()}
    kept = members["etc/program"]
    assert (stat.S_IMODE(kept.mode), kept.mtime, kept.size) == (0o4755, 1_600_000_000, 3_000_000)
    assert (kept.uid, kept.gid, kept.uname, kept.gname) == (os.getuid(), os.getgid(), "", "")
    assert (members["etc/same"].islnk(), members["etc/same"].linkname) == (True, "etc/program")
    assert (members["etc/to"].issym(), members["etc/to"].linkname) == (True, "program")
    assert members["etc/queue"].isfifo()


def test_layer_members_keep_long_and_undecodable_names(tree: Path) -> None:
    names = ["n" * 200, os.fsdecode(b"caf\xe9")]
    for name in names:
        (tree / name).write_text(name[:1])
    assert set(layer(unpacked(tree)).getnames()) == {"etc", "etc/hosts", *names}


def test_removed_file_becomes_whiteout(tree: Path) -> None:
    try:
        os.mknod(tree / "etc/passwd", stat.S_IFCHR, os.makedev(0, 0))
    except PermissionError:
        pytest.skip("this kernel lets only root make what marks a removed file")
    removed = layer(unpacked(tree)).getmember("etc/.wh.passwd")
    assert (removed.isreg(), removed.size) == (True, 0)


def test_opaque_folder_is_marked_before_its_content(tree: Path) -> None:
    try:
        os.setxattr(tree / "etc", "user.overlay.opaque", b"y")
    except OSError as error:
        pytest.skip(f"the file system of {tree} keeps no attributes: {error}")
    assert layer(unpacked(tree)).getnames() == ["etc", "etc/.wh..wh..opq", "etc/hosts"]


def test_layer_members_keep_device_nodes(tree: Path) -> None:
    try:
        os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes device nodes")
    node = layer(unpacked(tree)).getmember("null")
    assert (node.ischr(), node.devmajor, node.devminor) == (True, 1, 3)


def test_file_that_shrinks_while_read_is_an_error(tree: Path) -> None:
    (tree / "long").write_bytes(bytes(5_000_000))
    blocks = image_archive([tree], CONFIG, "made:one")
    next(blocks)
    (tree / "long").write_bytes(b"")
    with pytest.raises(EnvironmentSetupError, match="long: file became shorter"):
        list(blocks)


def test_layer_members_exclude_sockets(tree: Path) -> None:
    os.mknod(tree / "socket", stat.S_IFSOCK | 0o600)
    assert [info.name for info, _ in layer_members(tree)] == ["etc", "etc/hosts"]


def test_image_tag_depends_on_layers_and_config_only() -> None:
    layers = [Layer(key=key, tree=Path("anywhere"), packages=()) for key in "ab"]
    moved = [Layer(key=key, tree=Path("elsewhere"), packages=()) for key in "ab"]
    updated = [layers[0], Layer(key="b", tree=Path("t"), packages=(PackagePin(name="libc6", version="2"),))]
    tag = image_tag(layers, CONFIG)
    assert tag == image_tag(moved, CONFIG)
    assert tag.startswith("riscv64-wheel-factory:")
    others = {image_tag(updated, CONFIG), image_tag(layers[::-1], CONFIG), image_tag(layers, ImageConfig(variables={}))}
    assert tag not in others
    assert len(others) == 3
