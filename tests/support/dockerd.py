"""Docker engine for tests: the machine's if one answers, else Debian's, started for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from factory.errors import PrerequisiteMissing
from factory.host.docker_engine import ADDRESS_VARIABLE, connect

INSTALL = ["apt-get", "install", "--yes", "--no-install-recommends", "docker.io"]
ENDS_WITH_US = ["setpriv", "--pdeathsig", "TERM"]
PATIENCE = 60


@contextmanager
def some_engine() -> Iterator[None]:
    """Yield with a running engine: the machine's, else a new one."""
    if answers():
        yield
        return
    if shutil.which("dockerd") is None:
        _install()
    if answers():  # where there is an init system, installing it starts it
        yield
        return
    with own_engine():
        yield


def answers() -> bool:
    try:
        with connect():
            return True
    except PrerequisiteMissing:
        return False


@contextmanager
def own_engine() -> Iterator[None]:
    """Start dockerd with a folder and a socket of its own, beside any other; it ends, and the folder goes, afterwards.

    It has no bridge and touches no firewall: containers have the host's network or none.
    """
    folder = Path(tempfile.mkdtemp(prefix="dockerd-", dir="/var/tmp"))
    address = f"unix://{folder}/docker.sock"
    places = [
        f"--host={address}",
        f"--data-root={folder}/data",
        f"--exec-root={folder}/exec",
        f"--pidfile={folder}/pid",
    ]
    dockerd = ["dockerd", *places, "--bridge=none", "--iptables=false", "--ip6tables=false"]
    # It sees what is mounted later, for instance by tests; what it mounts itself ends with it.
    command = [*ENDS_WITH_US, "unshare", "--mount", "--propagation", "slave", *dockerd]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(ADDRESS_VARIABLE, address)
            _await(process, folder / "log")
            yield
    finally:
        process.terminate()
        process.wait(PATIENCE)
        shutil.rmtree(folder)


def _install() -> None:
    subprocess.run(["apt-get", "update"], capture_output=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(INSTALL, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"docker.io can't be installed here: {done.stderr.strip()[-500:]}")


def _await(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.skip(f"dockerd can't start here: {log.read_text().strip()[-500:]}")
        time.sleep(0.2)
