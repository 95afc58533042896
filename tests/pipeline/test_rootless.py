"""Without root: an ordinary user's builds in user namespaces, by a user whom the tests add to the machine."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uv

from factory.errors import PrerequisiteMissing
from factory.host import binfmt
from factory.host.privileges import NAMESPACE
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.util.atomic_files import sha256_of
from factory.util.paths import Layout
from tests.support.checkouts import ONE_PROFILE, Checkout, make_checkout
from tests.support.waiting import wait_until

pytestmark = pytest.mark.environment

PROJECT = Path(__file__).parent.parent.parent
# What an installation doesn't need: history, caches and results.
NOT_INSTALLED = shutil.ignore_patterns(".*", "__pycache__", "dist", "build")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An ordinary user; `home` is what that user alone owns."""

    name: str
    uid: int
    home: Path

    @property
    def cache(self) -> Path:
        return self.home / ".cache/riscv64-wheel-factory"

    def start(self, argv: Sequence[str | Path], cwd: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        """Start a command as the user; both of its outputs are read from its `stdout`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FACTORY_", "XDG_"))}
        return subprocess.Popen(
            argv,
            cwd=cwd or self.home,
            env={**kept, "HOME": str(self.home), **variables},
            user=self.uid,
            group=self.uid,
            extra_groups=[],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, argv: Sequence[str | Path], cwd: Path | None = None, **variables: str) -> tuple[int, str]:
        """Run a command as the user to its end; returns its exit status and what it printed."""
        with self.start(argv, cwd, **variables) as process:
            said = process.communicate()[0]
        return process.returncode, said

    def processes(self) -> list[str]:
        """List processes of the user, including those in namespaces."""
        return [path.name for path in Path("/proc").glob("[0-9]*") if owner(path) == self.uid]


def owner(process: Path) -> int | None:
    try:
        return process.stat().st_uid
    except FileNotFoundError:
        return None


@contextmanager
def added_user(name: str, *options: str) -> Iterator[User]:
    """Add a user with subordinate ids by the machine's defaults."""
    # In no folder of root's alone: what is in the user's namespaces must find the way.
    home = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    home.chmod(0o755)
    subprocess.run(["useradd", "--home-dir", str(home), *options, name], check=True)
    try:
        entry = pwd.getpwnam(name)
        os.chown(home, entry.pw_uid, entry.pw_gid)
        yield User(name=name, uid=entry.pw_uid, home=home)
    finally:
        subprocess.run(["userdel", name], check=True)
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install a factory that every user may run; these tests' checkout and Python may be root's."""
    if shutil.which("newuidmap") is None:
        subprocess.run(["apt-get", "install", "--yes", "--no-install-recommends", "uidmap"], check=True)
    folder = Path(tempfile.mkdtemp(prefix="factory-"))
    try:
        shutil.copytree(PROJECT, folder / "project", ignore=NOT_INSTALLED)
        python = folder / "venv/bin/python"
        uv_run("venv", "--quiet", "--python", "/usr/bin/python3", folder / "venv")
        uv_run("pip", "install", "--quiet", "--link-mode", "copy", "--python", python, folder / "project")
        subprocess.run(["chmod", "--recursive", "a+rX", folder], check=True)
        yield folder
    finally:
        shutil.rmtree(folder)


def uv_run(*arguments: str | Path) -> None:
    subprocess.run([uv.find_uv_bin(), *arguments], check=True)


@pytest.fixture(scope="module")
def factory(installed: Path) -> Path:
    return installed / "venv/bin/factory"


@pytest.fixture(scope="module")
def user(factory: Path) -> Iterator[User]:
    with added_user(f"factory-{os.getpid()}") as user:
        status, said = user.run([factory, "doctor"], FACTORY_PRIVILEGE=NAMESPACE)
        if "the kernel setting" in said:
            pytest.skip(f"this machine forbids user namespaces: {said}")
        assert status == 0, said
        yield user


@pytest.fixture(scope="module")
def checkout(
    installed: Path,
    factory: Path,
    user: User,
    layout: Layout,
    hybrid: RootfsEnvironment,
    clean_root: RootfsEnvironment,
) -> Path:
    """Make the user's recipes and a cache with root's layers, which take minutes to make."""
    layers = {layer.tree.parent for environment in (hybrid, clean_root) for layer in environment.root.layers}
    move_layers(sorted(layers), layout, user, factory)
    folder = installed / "checkout"
    make_checkout(folder, user.cache, more=ONE_PROFILE, packages=installed / "project/tests/packages")
    return folder


def move_layers(layers: Sequence[Path], layout: Layout, user: User, factory: Path) -> None:
    """Export root's layers and import them as the user, whose namespace has the owners that their files need."""
    # Of all layers on this machine only these, as links beside them.
    cache = layout.root / f"export-{os.getpid()}"
    try:
        (cache / "layers").mkdir(parents=True)
        subprocess.run(["cp", "--archive", "--link", *layers, cache / "layers"], check=True)
        exported = Checkout(root=PROJECT, cache=cache).factory("cache", "export", "--layers", str(user.home / "layers"))
        assert exported.returncode == 0, exported.stderr
    finally:
        shutil.rmtree(cache)
    status, said = user.run([factory, "cache", "import", user.home / "layers"])
    assert status == 0, said


def test_rootless_killed_build_resumes_with_bytes_of_root_build(
    factory: Path, user: User, checkout: Path, built: Checkout
) -> None:
    killed = user.start([factory, "build", "vectors-c"], checkout)
    assert killed.stdout is not None
    assert any("vectors-c 1.0: build: started" in line for line in killed.stdout)
    wait_until(lambda: len(user.processes()) >= 2, process=killed)
    killed.kill()
    killed.wait()
    wait_until(lambda: user.processes() == [])
    status, said = user.run([factory, "build", "vectors-c"], checkout)
    assert status == 0, said
    (wheel,) = user.cache.glob("store/wheels/*/*.whl")
    assert sha256_of(wheel) == sha256_of(built.wheel())
    assert wheel.stat().st_uid == user.uid


def test_rootless_user_qemu_leaves_host_binfmt_unchanged(
    factory: Path, user: User, checkout: Path, hybrid: RootfsEnvironment
) -> None:
    before = binfmt.registered_interpreter()
    (qemu,) = user.cache.glob("layers/native-*/tree/opt/native/usr/bin/qemu-riscv64")
    make_different(qemu)
    # A native program sees which file the emulator of an emulated one is.
    script = "sleep 9 & python-pure -c \"import os, sys; print(os.stat(f'/proc/{sys.argv[1]}/exe').st_ino)\" $!"
    status, said = user.run([factory, "shell", "vectors-c", "--", "sh", "-c", script], checkout)
    assert (status, said.strip()) == (0, str(qemu.stat().st_ino))
    assert binfmt.registered_interpreter() == before


def make_different(program: Path) -> None:
    """Where users may read the machine's own QEMU, one that is equal to theirs would do as well."""
    other, found = program.with_suffix(".other"), program.stat()
    other.write_bytes(program.read_bytes() + b"\0")
    other.chmod(found.st_mode)
    os.chown(other, found.st_uid, found.st_gid)
    other.replace(program)


# As on a kernel before 6.7: here, since the namespace has no mounts of its own.
REGISTER = """
import sys
from pathlib import Path
from factory.host import binfmt
binfmt.ensure_registered(Path(sys.argv[1]))
"""


def test_rootless_without_user_binfmt_uses_host_registration(
    installed: Path, user: User, hybrid: RootfsEnvironment
) -> None:
    enter = ["unshare", "--user", "--map-root-user"]
    assert user.run([*enter, installed / "venv/bin/python", "-c", REGISTER, "/bin/true"]) == (0, "")


def test_rootless_without_any_binfmt_has_hint_for_administrator(installed: Path, user: User) -> None:
    hide = f'mount -t tmpfs tmpfs {binfmt.BINFMT} && exec unshare --user --map-root-user "$@"'
    enter = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", hide, "sh"]
    status, said = user.run([*enter, installed / "venv/bin/python", "-c", REGISTER, "/bin/true"])
    assert status != 0
    assert "PrerequisiteMissing: binfmt_misc: " in said
    assert "sudo factory setup" in said


def test_root_does_not_use_roots_that_were_made_without(user: User, checkout: Path) -> None:
    refused = Checkout(root=checkout, cache=user.cache).factory("build", "vectors-c")
    assert refused.returncode == PrerequisiteMissing.exit_code
    assert f" id {user.uid}" in refused.stderr
    assert "FACTORY_PRIVILEGE=namespace" in refused.stderr


def test_rootless_refuses_cache_made_with_sudo(factory: Path, installed: Path, user: User) -> None:
    cache = installed / "cache"
    cache.mkdir()
    status, said = user.run([factory, "setup"], FACTORY_CACHE=str(cache), FACTORY_PRIVILEGE=NAMESPACE)
    assert status == PrerequisiteMissing.exit_code
    assert f" {cache} belongs to root" in said
    assert f"sudo rm -r {cache}" in said


def test_rootless_hint_for_subordinate_ids_works(factory: Path) -> None:
    with added_user(f"factory-{os.getpid()}-bare", "--key", "SUB_UID_COUNT=0", "--key", "SUB_GID_COUNT=0") as bare:
        status, said = bare.run([factory, "setup"], FACTORY_PRIVILEGE=NAMESPACE)
        assert status == PrerequisiteMissing.exit_code
        assert f"user {bare.name} has no subordinate ids" in said
        command = said.partition("hint: sudo ")[2]
        assert command.startswith("usermod --add-subuids "), said
        subprocess.run(shlex.split(command), check=True)
        status, said = bare.run([factory, "doctor"], FACTORY_PRIVILEGE=NAMESPACE)
        assert "ok      privileges: not needed" in said
