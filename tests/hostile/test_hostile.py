"""Hostile packages: none gets out of its build, and the factory builds the next one."""

from __future__ import annotations

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
LIMITED = {"FACTORY_PROCESSES": "300", "GITHUB_ACTIONS": "true"}
# Of a package's output, the runner obeys these alone; they are the factory's own.
OWN_COMMANDS = ("::group::", "::endgroup::")
# Attacks that go another way in containers and in namespaces: at the kernel, the network and the mounts.
CONTAINERS = [
    "answer-is-link",
    "capabilities",
    "devices",
    "fork-bomb",
    "inputs-of-the-machine",
    "kernel-settings",
    "kill-and-trace",
    "locks-by-path",
    "mounts",
    "network",
    "processes-that-stay",
    "programs-of-root",
    "question-plants-modules",
    "question-plants-programs",
    "question-plants-tools",
    "root-of-other-processes",
    "wheel-folder-is-link",
    "check-reaches-out",
    "result-is-link",
    "source-is-link",
]
BY_SUDO = ["answer-is-link", "capabilities", "check-reaches-out", "kernel-settings", "locks-by-path", "mounts"]
Build = Callable[..., str]
# Of the factory itself; a backend may have one.
OWN_TRACEBACK = re.compile(r'File "[^"]*/factory/[^"]*"')
SECRET = "the machine's secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """The machine under attack, and the connections that its server was asked for."""

    machine: Machine
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
        socket.socket(socket.AF_UNIX) as abstract,
        subprocess.Popen(["sleep", "3600"]) as victim,
    ):
        abstract.bind(f"\0{name}")
        abstract.listen()
        for listener in (server, abstract):
            threading.Thread(target=accept, args=(listener, connections), daemon=True).start()
        machine = Machine(outside=folder / "outside", port=server.getsockname()[1], socket=name, victim=victim.pid)
        try:
            yield Witness(machine=machine, connections=connections, before=settings())
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
    printed = build("build", *names, "innocent") + (build("build", *again, "innocent") if again else "")
    require_contained(checkout, seen, names, printed)


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
    commands = [
        line for line in printed.splitlines() if line.strip().startswith("::") and not line.startswith(OWN_COMMANDS)
    ]
    assert commands == []
    assert "\x1b" not in printed
    closed = [checkout.cache / "jobs", *(checkout.cache / "ccache").glob("programs-of-root")]
    assert [path for path in closed if path.stat().st_mode & 0o077] == []
    assert list(checkout.cache.glob("store/wheels/*/innocent-1.0-*.whl")), printed[-5000:]


@pytest.fixture
def hostile_root(tmp_path: Path, fresh_cache: Path) -> Iterator[Checkout]:
    """Make a checkout of root's; remove trees afterwards that are too deep for Python."""
    yield Checkout(root=tmp_path / "checkout", cache=fresh_cache)
    discard(fresh_cache / "jobs")


def as_root(checkout: Checkout, *options: str) -> Build:
    def build(*arguments: str) -> str:
        run = checkout.factory(*arguments, *options, **LIMITED)
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


def users_checkout(folder: Path, user: User) -> Checkout:
    """Return a checkout that the user can read, and the user's cache."""
    (folder / "checkout").mkdir(parents=True)
    return Checkout(root=folder / "checkout", cache=user.cache)


def test_no_package_gets_out_of_a_users_namespace(
    user: User, users_factory: Path, hybrid: RootfsEnvironment, clean_root: RootfsEnvironment, layout: Layout
) -> None:
    move_layers(hybrid, clean_root, layout, user, users_factory)
    checkout = users_checkout(user.home / "hostile", user)

    def build(*arguments: str) -> str:
        made_by_root = (checkout.root.parent, user.cache / "ccache", user.cache / "packages")
        subprocess.run(["chown", "--recursive", f"{user.uid}:{user.uid}", *made_by_root], check=True)
        return user.run([users_factory, *arguments], checkout.root, FACTORY_PRIVILEGE="namespace", **LIMITED)[1]

    with witness(checkout.root.parent) as seen:
        attacked(checkout, seen, CONTAINERS, build)
    discard(user.cache / "jobs")


def test_no_package_gets_out_when_sudo_starts_it(
    hostile_root: Checkout, sudoer: User, users_factory: Path, tmp_path: Path
) -> None:
    """Through sudo, the build is root's: a few attacks on its rights."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o055 != 0o055 and folder.is_relative_to(tempfile.gettempdir()):
            folder.chmod(0o755)
    variables = {"FACTORY_PRIVILEGE": "sudo", "FACTORY_CACHE": str(hostile_root.cache), **LIMITED}

    def build(*arguments: str) -> str:
        return sudoer.run([users_factory, *arguments], hostile_root.root, **variables)[1]

    with witness(tmp_path) as seen:
        attacked(hostile_root, seen, BY_SUDO, build)
