"""Host sandbox: builds a package natively, sealed like a riscv64 root."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import uv

from factory.errors import PrerequisiteMissing
from factory.host.network import CA_VARIABLES, ca_bundle, host_network
from factory.model.protocols import BUILD, INPUTS, Command
from factory.model.target import Target
from factory.stages.environments.sandbox import inputs_of
from factory.stages.environments.variables import BASE_PATH, BUILD_VENV_PATH, COMMON
from factory.util.log import LogSink
from factory.util.paths import Layout
from factory.util.process import run

# The host's Rust is usually in the user's home.
CARGO = shutil.which("cargo")
PATH = f"/build/bin:{BUILD_VENV_PATH}:{BASE_PATH}" + (f":{Path(CARGO).parent}" if CARGO else "")
VARIABLES = {**COMMON, "PATH": PATH}
# Folders that are not mounted read-only: new ones inside, writable ones, and our own.
OTHERWISE = ("dev", "proc", "tmp", BUILD.name, INPUTS.name, "packages")


# The Python of a root; the running Python replaces it.
ROOT_PYTHON = f"/usr/bin/python{Target().python}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSandbox:
    """A sandbox with the host's files read-only and `work` at /build; ignores `cpu`."""

    work: Path
    package_cache: Path

    @property
    def inputs(self) -> Path:
        return inputs_of(self.work)

    def run(self, command: Command, *, log: LogSink) -> None:
        """Run a command on the host; see model.Sandbox."""
        argv = [sys.executable if word == ROOT_PYTHON else word for word in command.argv]
        shown = _network() if command.network else {}
        settings = [word for item in {**VARIABLES, **shown, **command.env}.items() for word in ("--setenv", *item)]
        seal = ["--unshare-pid", "--unshare-ipc", "--die-with-parent", *([] if command.network else ["--unshare-net"])]
        mounts = [word for path in _top_folders() for word in ("--ro-bind", path, path)]
        mounts += ["--dev", "/dev", "--proc", "/proc", "--bind", "/tmp", "/tmp"]
        mounts += ["--ro-bind", str(self.inputs), str(INPUTS)]
        mounts += ["--bind", str(self.work), str(BUILD), "--bind", str(self.package_cache), "/packages"]
        bubblewrap = ["bwrap", *seal, *mounts, "--clearenv", *settings, "--chdir", str(command.cwd), "--"]
        run([*bubblewrap, *argv], log=log, what=argv[0])


def open_host(work: Path, layout: Layout) -> HostSandbox:
    """Open the host as a sandbox, with uv in /build/bin.

    Raises:
        PrerequisiteMissing: the host has no compiler, or its Python no headers.
    """
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if shutil.which("g++") is None or not headers.is_file():
        raise PrerequisiteMissing(
            f"native builds: g++ or Python's headers ({headers}) are missing", hint="apt-get install g++ python3-dev"
        )
    (work / "bin").mkdir(parents=True)
    cache = layout.package_caches / "_benchmarks"
    for folder in (cache, inputs_of(work)):
        folder.mkdir(parents=True, exist_ok=True)
    (work / "bin/uv").symlink_to(uv.find_uv_bin())
    return HostSandbox(work=work, package_cache=cache)


def _top_folders() -> list[str]:
    return [str(path) for path in sorted(Path("/").iterdir()) if path.is_dir() and path.name not in OTHERWISE]


def _network() -> dict[str, str]:
    """Return the host's network variables, with the CA bundle at the host's path."""
    bundle = ca_bundle(os.environ)
    return {**host_network().environment, **(dict.fromkeys(CA_VARIABLES, str(bundle)) if bundle else {})}
