"""Sandboxes under bubblewrap, with a temporary writable layer by overlayfs."""

from __future__ import annotations

import os
import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from factory.errors import EnvironmentSetupError
from factory.host.network import host_network
from factory.model.protocols import BUILD, Command
from factory.util.log import LogSink
from factory.util.process import attach, run
from factory.util.scratch import discard

HOSTNAME = "riscv64-builder"
# Native programs read it instead of the host's; QEMU answers riscv64 programs itself.
CPUINFO = "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\nuarch\t\t: sifive,u54-mc\n"
# Mounts in the command's own mount namespace end with it.
MOUNT_AND_RUN = 'mount -t overlay overlay -o "$1" "$2" && shift 2 && ulimit -c 0 && exec "$@"'


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSandbox(ABC):
    """A sandbox under bubblewrap; subclasses define its root.

    `scratch` is the folder of temporary files; `binds` maps further writable host folders to paths inside.
    """

    work: Path
    scratch: Path
    environment: Mapping[str, str]
    binds: Mapping[Path, str]

    @contextmanager
    def opened(self, *, keep: bool, as_left: bool) -> Iterator[Self]:
        """Prepare the sandbox for the body; see Environment.open."""
        if not as_left:
            self.close()
        self.prepare()
        try:
            yield self
        finally:
            if not keep:
                self.close()

    def prepare(self) -> None:
        """Make the folders that a command needs."""
        for folder in (self.work, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)
        (self.scratch / "cpuinfo").write_text(CPUINFO)

    def close(self) -> None:
        """Discard the changes outside `work` and `binds`."""
        discard(self.scratch)

    def run(self, command: Command, *, log: LogSink) -> None:
        """Run a command in the root; see Sandbox."""
        log.write(f"[in the root] $ {shlex.join(command.argv)}\n")
        run(self.host_argv(command), log=_Quiet(log), what=command.program)

    def interact(self, command: Command) -> int:
        """Run a command with this process's own terminal; returns its exit status."""
        terminal = {"TERM": os.environ.get("TERM", "dumb")}
        return attach(self.host_argv(replace(command, env={**command.env, **terminal})))

    def host_argv(self, command: Command) -> list[str]:
        """Return the host's command line that runs a command in the root."""
        return [*self._bubblewrap(command), *command.argv]

    @abstractmethod
    def _root(self) -> list[str]:
        """Return bubblewrap's options for the root."""

    def _place(self, path: str) -> str:
        """Return the mount point of a file, which can be a link in the root."""
        return path

    def _bubblewrap(self, command: Command) -> list[str]:
        seal = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", HOSTNAME, "--die-with-parent"]
        mounts = [*self._root(), "--dev", "/dev", "--proc", "/proc"]
        mounts += ["--ro-bind", str(self.scratch / "cpuinfo"), "/proc/cpuinfo"]
        for host, inside in {self.work: str(BUILD), **self.binds}.items():
            mounts += ["--bind", str(host), inside]
        variables = {**self.environment, **command.env, "QEMU_CPU": command.cpu}
        if command.network:
            shown = host_network()
            variables = {**shown.environment, **variables}
            for host, inside in shown.files.items():
                mounts += ["--ro-bind", str(host), self._place(inside)]
        else:
            seal.append("--unshare-net")
        settings = [word for name, value in variables.items() for word in ("--setenv", name, value)]
        return ["bwrap", *seal, *mounts, "--clearenv", *settings, "--chdir", str(command.cwd), "--"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlaySandbox(SealedSandbox):
    """A sandbox of `layers`, the lowest first."""

    layers: tuple[Path, ...]

    def prepare(self) -> None:
        """Make the folders of overlayfs too."""
        SealedSandbox.prepare(self)
        for name in ("upper", "workdir", "merged"):
            (self.scratch / name).mkdir(exist_ok=True)

    def host_argv(self, command: Command) -> list[str]:
        """Return the host's command line, which mounts the layers first."""
        return [
            *("unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNT_AND_RUN, "sandbox"),
            *(self._overlay_options(), str(self.scratch / "merged")),
            *SealedSandbox.host_argv(self, command),
        ]

    def _root(self) -> list[str]:
        return ["--bind", str(self.scratch / "merged"), "/"]

    def _overlay_options(self) -> str:
        paths = [*self.layers, self.scratch]
        if any(mark in str(path) for path in paths for mark in ":,"):
            raise EnvironmentSetupError(
                f"{self.scratch}: overlayfs does not support ':' and ',' in folder names",
                hint="set FACTORY_CACHE to another folder",
            )
        lower = ":".join(str(path) for path in reversed(self.layers))
        options = f"lowerdir={lower},upperdir={self.scratch / 'upper'},workdir={self.scratch / 'workdir'}"
        return f"{options},userxattr" if in_user_namespace() else options


def in_user_namespace() -> bool:
    """Report if this is a user namespace, where overlayfs needs the option userxattr."""
    return Path("/proc/self/uid_map").read_text().split() != ["0", "0", str(2**32 - 1)]


@dataclass(frozen=True, slots=True)
class _Quiet:
    """A log without bubblewrap's long command line; it has the command inside."""

    log: LogSink

    @property
    def path(self) -> Path:
        return self.log.path

    def write(self, text: str) -> None:
        if not text.startswith(("$ unshare ", "$ bwrap ")):
            self.log.write(text)
