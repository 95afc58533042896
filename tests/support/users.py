"""Ordinary users of the machine, whom tests add and who run an installed factory."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uv

from factory.host.privileges import NAMESPACE
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.util.paths import Layout
from tests.support.checkouts import Checkout

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


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install a factory that every user may run: the tests' own may be root's."""
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


@pytest.fixture(scope="session")
def users_factory(installed: Path) -> Path:
    return installed / "venv/bin/factory"


@pytest.fixture(scope="session")
def user(users_factory: Path) -> Iterator[User]:
    with added_user(f"factory-{os.getpid()}") as user:
        status, said = user.run([users_factory, "doctor"], FACTORY_PRIVILEGE=NAMESPACE)
        if "the kernel setting" in said:
            pytest.skip(f"this machine forbids user namespaces: {said}")
        assert status == 0, said
        yield user


@pytest.fixture
def sudoer(users_factory: Path) -> Iterator[User]:
    """Add a user who may become root without a password."""
    if shutil.which("sudo") is None:
        subprocess.run(["apt-get", "install", "--yes", "--no-install-recommends", "sudo"], check=True)
    with added_user(f"factory-{os.getpid()}-sudo") as user:
        rule = Path("/etc/sudoers.d", user.name)
        rule.write_text(f"{user.name} ALL=(root) NOPASSWD: SETENV: ALL\n")
        rule.chmod(0o440)
        try:
            yield user
        finally:
            rule.unlink()


def move_layers(
    hybrid: RootfsEnvironment, clean_root: RootfsEnvironment, layout: Layout, user: User, users_factory: Path
) -> None:
    """Export root's layers and import them as the user, with the owners of the namespace.

    A user who has them already keeps them.
    """
    if (user.cache / "layers").is_dir():
        return
    layers = sorted({layer.tree.parent for environment in (hybrid, clean_root) for layer in environment.root.layers})
    # Of all layers on this machine only these, as links beside them.
    cache = layout.root / f"export-{os.getpid()}"
    try:
        (cache / "layers").mkdir(parents=True)
        subprocess.run(["cp", "--archive", "--link", *layers, cache / "layers"], check=True)
        exported = Checkout(root=PROJECT, cache=cache).factory("cache", "export", "--layers", str(user.home / "layers"))
        assert exported.returncode == 0, exported.stderr
    finally:
        shutil.rmtree(cache)
    status, said = user.run([users_factory, "cache", "import", user.home / "layers"])
    assert status == 0, said
