"""Without root: an ordinary user's builds in user namespaces, by a user whom the tests add to the machine."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from factory.errors import PrerequisiteMissing
from factory.host import binfmt
from factory.host.privileges import NAMESPACE
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.util.atomic_files import sha256_of
from factory.util.paths import Layout
from tests.support.checkouts import ONE_PROFILE, Checkout, make_checkout
from tests.support.users import User, added_user, move_layers
from tests.support.waiting import wait_until

pytestmark = pytest.mark.environment


@pytest.fixture(scope="module")
def checkout(
    installed: Path,
    users_factory: Path,
    user: User,
    layout: Layout,
    hybrid: RootfsEnvironment,
    clean_root: RootfsEnvironment,
) -> Path:
    """Make the user's recipes and a cache with root's layers, which take minutes to make."""
    move_layers(hybrid, clean_root, layout, user, users_factory)
    folder = installed / "checkout"
    make_checkout(folder, user.cache, more=ONE_PROFILE, packages=installed / "project/tests/packages")
    return folder


def test_rootless_killed_build_resumes_with_bytes_of_root_build(
    users_factory: Path, user: User, checkout: Path, built: Checkout
) -> None:
    killed = user.start([users_factory, "build", "vectors-c"], checkout)
    assert killed.stdout is not None
    assert any("vectors-c 1.0: build: started" in line for line in killed.stdout)
    wait_until(lambda: len(user.processes()) >= 2, process=killed)
    killed.kill()
    killed.wait()
    wait_until(lambda: user.processes() == [])
    status, said = user.run([users_factory, "build", "vectors-c"], checkout)
    assert status == 0, said
    (wheel,) = user.cache.glob("store/wheels/*/vectors_c-*.whl")  # beside those of other tests
    assert sha256_of(wheel) == sha256_of(built.wheel())
    assert wheel.stat().st_uid == user.uid


def test_rootless_user_qemu_leaves_host_binfmt_unchanged(
    users_factory: Path, user: User, checkout: Path, hybrid: RootfsEnvironment
) -> None:
    before = binfmt.registered_interpreter()
    (qemu,) = user.cache.glob("layers/native-*/tree/opt/native/usr/bin/qemu-riscv64")
    make_different(qemu)
    # A native program sees which file the emulator of an emulated one is.
    script = "sleep 9 & python-pure -c \"import os, sys; print(os.stat(f'/proc/{sys.argv[1]}/exe').st_ino)\" $!"
    status, said = user.run([users_factory, "shell", "vectors-c", "--", "sh", "-c", script], checkout)
    assert (status, said.splitlines()[-1]) == (0, str(qemu.stat().st_ino))
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


def test_rootless_refuses_cache_made_with_sudo(users_factory: Path, installed: Path, user: User) -> None:
    cache = installed / "cache"
    cache.mkdir()
    status, said = user.run([users_factory, "setup"], FACTORY_CACHE=str(cache), FACTORY_PRIVILEGE=NAMESPACE)
    assert status == PrerequisiteMissing.exit_code
    assert f" {cache} belongs to root" in said
    assert f"sudo rm -r {cache}" in said


def test_rootless_hint_for_subordinate_ids_works(users_factory: Path) -> None:
    with added_user(f"factory-{os.getpid()}-bare", "--key", "SUB_UID_COUNT=0", "--key", "SUB_GID_COUNT=0") as bare:
        status, said = bare.run([users_factory, "setup"], FACTORY_PRIVILEGE=NAMESPACE)
        assert status == PrerequisiteMissing.exit_code
        assert f"user {bare.name} has no subordinate ids" in said
        command = said.partition("hint: sudo ")[2]
        assert command.startswith("usermod --add-subuids "), said
        subprocess.run(shlex.split(command), check=True)
        status, said = bare.run([users_factory, "doctor"], FACTORY_PRIVILEGE=NAMESPACE)
        assert "ok      privileges: not needed" in said
