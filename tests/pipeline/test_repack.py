"""Packages of a small distribution, from its mirror to a wheel that was run."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from factory.model.protocols import Command
from factory.stages.environments.rootfs import RootfsEnvironment
from tests.support.checkouts import Checkout
from tests.support.index_server import serve
from tests.support.logs import MemoryLog

pytestmark = pytest.mark.environment

RECIPE = """
[package]
name = "spam-debian"
distribution = "spam"
version = "1.0+debian"
[source]
kind = "deb"
project = "spam"
package = "python3-spam"
version = "1.0-2"
sha256 = "{python3-spam}"
overlay = ["package"]
[build]
builder = "repack"
[repair]
left-out = ["libmissing.so.1", "libgone.so.1"]
[check]
profiles = ["rv64gc"]
[source.parts."packages/libspam1"]
kind = "deb"
project = "spam"
package = "libspam1"
version = "1.0-2"
sha256 = "{libspam1}"
"""
PYPROJECT = '[project]\nname = "spam"\nversion = "1.0+debian"\n'
# libspam is the package's own, libeggs is only needed by it, and so are libmissing and libgone, which nobody has.
SOURCES = {
    "libmissing": "int absent(void) { return 0; }\nint absent_data = 0;\n",
    "libgone": "int departed(void) { return 0; }\n",
    "libeggs": "int eggs(void) { return 41; }\n",
    "libspam": "int eggs(void); int absent(void); extern int absent_data; int departed(void);\n"
    "int spam(void) { return eggs() + 1; }\nint use(void) { return absent() + absent_data + departed(); }\n",
    "fast": "int spam(void);\nint fast(void) { return spam(); }\n",
}
NEEDS = {"libspam": ("libeggs", "libmissing", "libgone"), "fast": ("libspam",)}
# The versions of a library's symbols; others have none.
VERSIONS = {"libgone": "GONE_1 { departed; };\n"}
SMOKE = """
import ctypes, json, os, pathlib, subprocess, sys, sysconfig
place = pathlib.Path(sysconfig.get_path("purelib"), "spam")
answer = ctypes.CDLL(str(place / "fast.so")).fast()
assert answer == 42, answer
call = f"import ctypes; ctypes.CDLL({str(place / 'lib/libspam.so')!r}).use()"
gone = subprocess.run([sys.executable, "-c", call], stderr=subprocess.PIPE, text=True).stderr
said = "absent: this wheel leaves out the library that has it, one of: libmissing.so.1, libgone.so.1"
assert gone.startswith(said), gone
result = {"shown": f"spam {answer}", "facts": {}, "tokens": [], "logits": []}
open(os.environ["FACTORY_RESULT"], "w").write(json.dumps(result))
"""
METADATA = "Metadata-Version: 2.4\nName: spam\nVersion: 1.0+debian\n"


def test_packages_of_a_distribution_become_a_wheel_that_says_so(
    tmp_path: Path, fresh_cache: Path, hybrid: RootfsEnvironment, log: MemoryLog
) -> None:
    packages = make_packages(tmp_path, compile_libraries(tmp_path / "compiling", hybrid, log))
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in packages.items()}
    folder = tmp_path / "checkout/recipes/spam-debian"
    (folder / "package").mkdir(parents=True)
    (folder / "package/pyproject.toml").write_text(PYPROJECT)
    (folder / "recipe.toml").write_text(RECIPE.format_map(hashes))
    (folder / "smoke.py").write_text(SMOKE)
    checkout = Checkout(root=tmp_path / "checkout", cache=fresh_cache)
    with serve() as mirror:
        for name, content in packages.items():
            mirror.files[f"main/s/spam/{name}_1.0-2_riscv64.deb"] = content
        finished = checkout.factory("build", "spam-debian", FACTORY_DEBIAN_MIRROR=mirror.url, NO_PROXY="127.0.0.1")
    assert finished.returncode == 0, finished.stderr
    (record,) = (json.loads(path.read_text()) for path in fresh_cache.glob("store/records/*.json"))
    assert record["repacked_from"] == "Debian's python3-spam 1.0-2"
    repacked = {each["name"]: (each["source"], each["version"], each["sha256"]) for each in record["repacked"]}
    assert repacked == {name: ("spam", "1.0-2", sha256) for name, sha256 in hashes.items()}
    assert record["wheel"].startswith("spam-1.0+debian-cp313-cp313-manylinux_2_")
    unpacked = tmp_path / "unpacked"
    zipfile.ZipFile(checkout.wheel()).extractall(unpacked)
    dist_info = unpacked / "spam-1.0+debian.dist-info"
    assert (dist_info / "licenses/debian/libspam1/copyright").read_text() == "libspam1's licence\n"
    assert dynamic(unpacked / "spam/lib/libspam.so")["DT_SONAME"] == ["libspam.so"]
    fast = dynamic(unpacked / "spam/fast.so")
    assert fast["DT_NEEDED"][0] == "libspam.so"
    assert fast["DT_RUNPATH"][0].split(":")[0] == "$ORIGIN/lib"
    bundled = sorted(path.name.partition("-")[0] for path in (unpacked / "spam.libs").iterdir())
    assert bundled == ["libeggs", "libspam_left_out"]


def compile_libraries(work: Path, environment: RootfsEnvironment, log: MemoryLog) -> dict[str, Path]:
    """Compile libraries with versioned names, as a distribution does, and an extension that needs one."""
    made = {}
    with environment.open(work, caches="test") as sandbox:
        for name, source in SOURCES.items():
            (work / f"{name}.c").write_text(source)
            soname = f"{name}.so" if name == "fast" else f"{name}.so.1"
            (work / f"{name}.map").write_text(VERSIONS.get(name, "{ *; };\n"))
            needed = [f"/build/{needs}.so" for needs in NEEDS.get(name, ())]
            command = ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{soname}", f"-Wl,--version-script=/build/{name}.map"]
            sandbox.run(Command([*command, "-o", f"/build/{name}.so", f"/build/{name}.c", *needed]), log=log)
            made[name] = work / f"{name}.so"
    return made


def make_packages(folder: Path, libraries: Mapping[str, Path]) -> dict[str, bytes]:
    """Make the distribution's packages, by name."""
    python, system = "usr/lib/python3/dist-packages", "usr/lib/riscv64-linux-gnu"
    own = folder / "python3-spam"
    (own / f"{python}/spam/lib").mkdir(parents=True)
    (own / f"{python}/spam/fast.so").write_bytes(libraries["fast"].read_bytes())
    (own / f"{python}/spam/lib/libspam.so").symlink_to("../../../../riscv64-linux-gnu/libspam.so.1")
    (own / f"{python}/spam-1.0+debian.dist-info").mkdir()
    (own / f"{python}/spam-1.0+debian.dist-info/METADATA").write_text(METADATA)
    (folder / f"libspam1/{system}").mkdir(parents=True)
    for name in ("libspam", "libeggs"):
        (folder / f"libspam1/{system}/{name}.so.1").write_bytes(libraries[name].read_bytes())
    return {name: package(folder / name) for name in ("python3-spam", "libspam1")}


def package(folder: Path) -> bytes:
    (folder / f"usr/share/doc/{folder.name}").mkdir(parents=True)
    (folder / f"usr/share/doc/{folder.name}/copyright").write_text(f"{folder.name}'s licence\n")
    (folder / "DEBIAN").mkdir()
    control = f"Package: {folder.name}\nVersion: 1.0-2\nArchitecture: riscv64\nMaintainer: x\nDescription: x\n"
    (folder / "DEBIAN/control").write_text(control)
    subprocess.run(["dpkg-deb", "--build", folder, f"{folder}.deb"], check=True, capture_output=True)
    return Path(f"{folder}.deb").read_bytes()


def dynamic(path: Path) -> dict[str, list[str]]:
    """Read the names in an ELF file's dynamic section, by tag."""
    names: dict[str, list[str]] = {}
    with path.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".dynamic")
        assert isinstance(section, DynamicSection)
        for tag in section.iter_tags():
            for attribute in ("needed", "soname", "runpath", "rpath"):
                if attribute in vars(tag):
                    kind = "DT_RUNPATH" if attribute == "rpath" else tag.entry.d_tag
                    names.setdefault(kind, []).append(str(vars(tag)[attribute]))
    return names
