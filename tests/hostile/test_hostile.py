"""Hostile packages: none gets out of its build, and the factory builds the next one."""

from __future__ import annotations

import ctypes
import os
import re
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory.stages.environments.rootfs import RootfsEnvironment
from factory.util.paths import Layout
from factory.util.scratch import discard
from tests.support.checkouts import Checkout
from tests.support.hostile_attacks import ALL, RESUME
from tests.support.hostile_packages import ESCAPED, STARTED, Machine, add_package
from tests.support.users import User, move_layers

pytestmark = pytest.mark.environment

SETTINGS = ("kernel/core_pattern", "kernel/modprobe", "vm/swappiness", "kernel/hostname")
# A fork bomb that is let go on would need more.
LIMITED = {"FACTORY_PROCESSES": "300", "FACTORY_MEMORY": "3g", "GITHUB_ACTIONS": "true"}
# Of a package's output, the runner obeys these alone; they are the factory's own.
OWN_COMMANDS = ("::group::", "::endgroup::")
# Attacks that go another way in containers and in namespaces: at the kernel, the network and the mounts.
CONTAINERS = [
    "answer-is-link",
    "capabilities",
    "devices",
    "fork-bomb",
    "inherited-files",
    "inputs-of-the-machine",
    "io-uring",
    "kernel-programs",
    "kernel-settings",
    "keyrings",
    "kill-and-trace",
    "locks-by-path",
    "memory-hog",
    "memory-hogs",
    "mounts",
    "network",
    "processes-that-stay",
    "programs-of-root",
    "question-plants-modules",
    "question-plants-programs",
    "question-plants-tools",
    "root-of-other-processes",
    "sockets-to-the-hypervisor",
    "wheel-folder-is-link",
    "check-reaches-out",
    "startup-files-of-the-package",
    "result-is-link",
    "source-is-link",
]
BY_SUDO = [
    "answer-is-link",
    "capabilities",
    "check-reaches-out",
    "kernel-settings",
    "keyrings",
    "locks-by-path",
    "mounts",
]
# Numbers of system calls for keys, and their arguments.
ADD_KEY, KEYCTL = (248, 250) if os.uname().machine == "x86_64" else (217, 219)
KEYCTL_JOIN, KEY_SPEC_SESSION_KEYRING = 1, -3
Build = Callable[..., str]
# Of the factory itself; a backend may have one.
OWN_TRACEBACK = re.compile(r'File "[^"]*/factory/[^"]*"')
SECRET = "the machine's secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """The machine under attack, and the connections that its server was asked for.

    `storage` is the port of a remote storage for ccache that never answers.
    """

    machine: Machine
    storage: int
    connections: list[object]
    before: tuple[str, ...]

    def changes(self) -> list[str]:
        """List what attacks have changed."""
        outside = self.machine.outside
        found = [f"connection from {each}" for each in self.connections]
        found += [f"file {path}" for path in outside.rglob("*") if path not in (outside / "secret", outside / "drop")]
        if (outside / "secret").read_text() != SECRET:
            found.append("the secret was overwritten")
        if not Path(f"/proc/{self.machine.victim}").exists():
            found.append("the victim was killed")
        if settings() != self.before:
            found.append(f"kernel settings: {settings()}")
        return found


def settings() -> tuple[str, ...]:
    return tuple(path.read_text() for name in SETTINGS if (path := Path("/proc/sys", name)).exists())


@contextmanager
def witness(folder: Path) -> Iterator[Witness]:
    """Provide a machine to be attacked, in a folder."""
    (folder / "outside/drop").mkdir(parents=True)
    (folder / "outside/secret").write_text(SECRET)
    connections: list[object] = []
    name = f"hostile-{os.getpid()}-{folder.name}"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_server(("127.0.0.1", 0), backlog=4096) as storage,
        key_of_the_machine(),
        socket.socket(socket.AF_UNIX) as abstract,
        subprocess.Popen(["sleep", "3600"]) as victim,
    ):
        abstract.bind(f"\0{name}")
        abstract.listen()
        for listener in (server, abstract):
            threading.Thread(target=accept, args=(listener, connections), daemon=True).start()
        machine = Machine(outside=folder / "outside", port=server.getsockname()[1], socket=name, victim=victim.pid)
        try:
            yield Witness(machine=machine, storage=storage.getsockname()[1], connections=connections, before=settings())
        finally:
            victim.kill()


def accept(listener: socket.socket, connections: list[object]) -> None:
    while True:
        try:
            connections.append(listener.accept()[1])
        except OSError:  # closed at the end
            return


def logs(checkout: Checkout, name: str) -> str:
    return "".join(path.read_text(errors="replace") for path in checkout.cache.glob(f"logs/{name}-1.0/**/*.log"))


def attacked(checkout: Checkout, seen: Witness, names: list[str], build: Build) -> None:
    """Build the packages of attacks and an innocent one; require that none got out."""
    for name in (*names, "innocent"):
        add_package(checkout.root, name, seen.machine)
    for folder in ("ccache/innocent", "packages/innocent"):
        (checkout.cache / folder).mkdir(parents=True, exist_ok=True)
        (checkout.cache / folder / "marker").write_text("its own")
    again = [name for name in names if name in RESUME]
    remote = {"FACTORY_CCACHE_REMOTE": f"http://127.0.0.1:{seen.storage}/ccache"}
    printed = build("build", *names, "innocent", **remote)
    printed += build("build", *again, "innocent", **remote) if again else ""
    require_contained(checkout, seen, names, printed)
    move_cache(checkout, seen, build)


def move_cache(checkout: Checkout, seen: Witness, build: Build) -> None:
    """Export, import and prune the cache with the files that the builds have left.

    Require that all of it works.
    """
    exported, other = checkout.cache / "exported.tar.zst", checkout.cache / "other"
    printed = build("cache", "info") + build("cache", "export", str(exported))
    assert exported.is_file(), printed
    imported = build("cache", "import", str(exported), FACTORY_CACHE=str(other))
    assert list(other.glob("store/wheels/*/innocent-1.0-*.whl")), imported
    planted = ["find", str(other), "-perm", "/6000", "-o", "-size", "+1G"]
    assert subprocess.run(planted, capture_output=True, text=True, check=True).stdout == ""
    for path in [*checkout.cache.glob("jobs/*"), *checkout.cache.glob("jobs/*/*")]:
        os.utime(path, (0, 0), follow_symlinks=False)
    pruned = build("cache", "prune", "--days", "1")
    assert [path for path in checkout.cache.glob("jobs/*") if path.is_dir()] == [], pruned
    said = printed + imported + pruned
    assert seen.changes() + OWN_TRACEBACK.findall(said) == []
    assert "\x1b" not in said
    exported.unlink()
    discard(other)


@contextmanager
def key_of_the_machine() -> Iterator[None]:
    """Put a key into a keyring of the tests' session."""
    libc = ctypes.CDLL(None)
    libc.syscall(KEYCTL, KEYCTL_JOIN, None)
    libc.syscall(ADD_KEY, b"user", b"hostile-secret", SECRET.encode(), len(SECRET), KEY_SPEC_SESSION_KEYRING)
    yield


def require_contained(checkout: Checkout, seen: Witness, names: list[str], printed: str) -> None:
    texts = {name: logs(checkout, name) for name in names}
    assert [name for name, text in texts.items() if STARTED not in text] == [], printed[-20000:]
    lines = [
        f"{name}: {line}"
        for name, text in texts.items()
        for line in text.splitlines()
        if line.lstrip().startswith(ESCAPED)  # uv indents what backends print
    ]
    assert lines + seen.changes() == []
    assert OWN_TRACEBACK.findall(printed) == []
    assert SECRET not in printed + "".join(texts.values())
    # The error that a run ends with is annotated too; packages print none that begin so.
    own = (*OWN_COMMANDS, *(f"::error::{name} 1.0: " for name in names))
    commands = [line for line in printed.splitlines() if line.strip().startswith("::") and not line.startswith(own)]
    assert commands == []
    assert "\x1b" not in printed
    closed = [checkout.cache / "jobs", *(checkout.cache / "ccache").glob("programs-of-root")]
    assert [path for path in closed if path.stat().st_mode & 0o077] == []
    assert list(checkout.cache.glob("store/wheels/*/innocent-1.0-*.whl")), printed[-5000:]


@pytest.fixture
def hostile_root(tmp_path: Path, fresh_cache: Path) -> Iterator[Checkout]:
    """Make a checkout of root's; remove trees afterwards that are too deep for Python."""
    yield Checkout(root=tmp_path / "checkout", cache=fresh_cache)
    for folder in ("jobs", "ccache", "other"):
        discard(fresh_cache / folder)


def as_root(checkout: Checkout, *options: str) -> Build:
    def build(*arguments: str, **variables: str) -> str:
        own = options if arguments[0] == "build" else ()
        run = checkout.factory(*arguments, *own, **LIMITED, **variables)
        return run.stdout + run.stderr

    return build


def test_no_package_gets_out_of_its_build(hostile_root: Checkout, tmp_path: Path) -> None:
    with witness(tmp_path) as seen:
        attacked(hostile_root, seen, sorted(ALL), as_root(hostile_root))


def test_no_package_gets_out_of_its_container(hostile_root: Checkout, tmp_path: Path, docker_engine: None) -> None:
    with witness(tmp_path) as seen:
        attacked(hostile_root, seen, CONTAINERS, as_root(hostile_root, "--environment", "docker"))


@pytest.mark.long
def test_no_package_at_all_gets_out_of_a_container(hostile_root: Checkout, tmp_path: Path, docker_engine: None) -> None:
    with witness(tmp_path) as seen:
        attacked(hostile_root, seen, sorted(ALL), as_root(hostile_root, "--environment", "docker"))


Way = tuple[Checkout, Build]


@pytest.fixture
def in_namespace(
    user: User,
    users_factory: Path,
    hybrid: RootfsEnvironment,
    clean_root: RootfsEnvironment,
    layout: Layout,
    tmp_path: Path,
) -> Iterator[Way]:
    """Make a checkout and a cache of a user who builds in a user namespace."""
    move_layers(hybrid, clean_root, layout, user, users_factory)
    folder = user.home / tmp_path.name
    checkout = Checkout(root=folder / "checkout", cache=folder / "cache")
    for made in (checkout.root, checkout.cache):
        made.mkdir(parents=True)
    (checkout.cache / "layers").symlink_to(user.cache / "layers")

    def build(*arguments: str, **variables: str) -> str:
        if not (checkout.cache / "jobs").exists():
            subprocess.run(["chown", "--recursive", f"{user.uid}:{user.uid}", folder], check=True)
        own = {"FACTORY_PRIVILEGE": "namespace", "FACTORY_CACHE": str(checkout.cache), **LIMITED}
        return user.run([users_factory, *arguments], checkout.root, **own | variables)[1]

    yield checkout, build
    discard(folder)


@pytest.fixture
def by_sudo(hostile_root: Checkout, sudoer: User, users_factory: Path, tmp_path: Path) -> Way:
    """Make a checkout of a user who builds by sudo."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o055 != 0o055 and folder.is_relative_to(tempfile.gettempdir()):
            folder.chmod(0o755)
    own = {"FACTORY_PRIVILEGE": "sudo", "FACTORY_CACHE": str(hostile_root.cache), **LIMITED}

    def build(*arguments: str, **variables: str) -> str:
        return sudoer.run([users_factory, *arguments], hostile_root.root, **own | variables)[1]

    return hostile_root, build


def test_no_package_gets_out_of_a_users_namespace(in_namespace: Way) -> None:
    checkout, build = in_namespace
    with witness(checkout.root.parent) as seen:
        attacked(checkout, seen, CONTAINERS, build)


@pytest.mark.long
def test_no_package_at_all_gets_out_of_a_namespace(in_namespace: Way) -> None:
    checkout, build = in_namespace
    with witness(checkout.root.parent) as seen:
        attacked(checkout, seen, sorted(ALL), build)


def test_no_package_gets_out_when_sudo_starts_it(by_sudo: Way, tmp_path: Path) -> None:
    """Through sudo, the build is root's: a few attacks on its rights."""
    checkout, build = by_sudo
    with witness(tmp_path) as seen:
        attacked(checkout, seen, BY_SUDO, build)


@pytest.mark.long
def test_no_package_at_all_gets_out_when_sudo_starts_it(by_sudo: Way, tmp_path: Path) -> None:
    checkout, build = by_sudo
    with witness(tmp_path) as seen:
        attacked(checkout, seen, sorted(ALL), build)
