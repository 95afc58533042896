"""Sandboxes under bubblewrap, with a temporary writable layer by overlayfs."""

from __future__ import annotations

import os
import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

from factory.errors import CommandFailed, EnvironmentSetupError
from factory.host import binfmt
from factory.host.apt import host_mirror, secret_settings
from factory.host.control_groups import control_group
from factory.host.network import host_network
from factory.model.protocols import BUILD, INPUTS, Command
from factory.model.target import needs_own_qemu
from factory.stages.environments.native_pip import MOUNT, NativePip
from factory.stages.environments.variables import BUILD_VENV
from factory.util.confinement import (
    NAMESPACES,
    call_filter,
    counted,
    default_limits,
    in_user_namespace,
    limited,
    memory_file,
    proc_options,
    run_tool,
    sealed_options,
)
from factory.util.disk_guard import disk_guard
from factory.util.log import LogSink
from factory.util.memory_guard import memory_guard
from factory.util.paths import Layout, make_private
from factory.util.process import attach, run, unguarded
from factory.util.scratch import discard

HOSTNAME = "riscv64-builder"
# Native programs read it instead of the host's; QEMU answers riscv64 programs itself.
CPUINFO = "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\nuarch\t\t: sifive,u54-mc\n"
# Folder of the build's virtual environment, in the work folder.
VENV = Path(BUILD_VENV).name
# Mount points in the scratch folder: the tools, and the table of interpreters of commands with our own QEMU.
TOOLS, TABLE = "tools", "interpreters"
# Without the capability to do so, tar must not give files to the users that an archive names.
COMMON_VARIABLES = {"TAR_OPTIONS": "--no-same-owner"}
# Temporary caches of commands without network.
WITHOUT_PACKAGES = {"UV_CACHE_DIR": "/tmp/uv", "PIP_CACHE_DIR": "/tmp/pip"}
# Separators of overlayfs and of the dynamic linker.
UNSUPPORTED = ":,;\\"
# Mounts in the command's own mount namespace end with it.
MOUNT_AND_RUN = 'until [ "$1" = -- ]; do mount -t overlay overlay -o "$1" "$2" || exit; shift 2; done; shift; exec "$@"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Caches:
    """Cache folders of one recipe, and whether its root has a compiler that uses ccache.

    The package cache is for commands with network only.
    """

    packages: Path
    compiler: Path | None = None

    def binds(self, *, network: bool) -> dict[Path, str]:
        """Map the host folders to their mount points; missing folders are made."""
        found = {self.packages: "/packages"} if network else {}
        if self.compiler is not None:
            found[self.compiler] = "/ccache"
        for folder in found:
            make_private(folder)
        return found


def caches_of(layout: Layout, name: str, variables: Mapping[str, str]) -> Caches:
    """Return the caches called `name` of a root with these variables."""
    compiler = layout.compiler_caches / name if "CCACHE_DIR" in variables else None
    return Caches(packages=layout.package_caches / name, compiler=compiler)


class OpenFiles(NamedTuple):
    """Open files that bubblewrap reads: options for variables, and the filter of system calls."""

    variables: int
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSandbox(ABC):
    """A sandbox under bubblewrap; subclasses define its root.

    `scratch` is the folder of temporary files. A copy has the sandbox that it was made of as `original`. Commands have
    no capabilities, unless the sandbox is for Debian's own package installation (`installs_packages`).
    """

    work: Path
    scratch: Path
    environment: Mapping[str, str]
    caches: Caches | None
    installs_packages: bool = False
    original: Self | None = None

    @property
    def inputs(self) -> Path:
        """Host folder that commands see read-only at /inputs."""
        return inputs_of(self.work) if self.original is None else self.original.inputs

    @contextmanager
    def copied(self, name: str, *, keep: bool = False) -> Iterator[Self]:
        """Open a copy; see CopiedRoot."""
        with folder_of_copy(self.work, name, keep=keep) as work:
            copy = replace(self, work=work, scratch=work.with_name(f"{work.name}.root"), caches=None, original=self)
            with copy.opened(keep=keep, as_left=False):
                yield copy

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
        for folder in (self.work, self.inputs, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)
        (self.scratch / "cpuinfo").write_text(CPUINFO)

    def close(self) -> None:
        """Discard the changes outside `work` and the caches."""
        discard(self.scratch)
        if self.original is None:
            discard(self.inputs)

    def run(self, command: Command, *, log: LogSink) -> None:
        """Run a command in the root; see Sandbox."""
        log.write(f"[in the root] $ {shlex.join(command.argv)}\n")
        limits = default_limits()
        if self.installs_packages and command.network:
            command = self._with_apt_secrets(command)
        with (
            control_group(limits) as group,
            disk_guard(self.work),
            memory_guard(limits.memory) as guard,
            self._files(command) as files,
        ):
            argv = group.command(limited(self.host_argv(command, files, "--new-session"), limits))
            try:
                run(
                    argv,
                    log=log,
                    what=command.program,
                    show_command=False,
                    env=own_variables(),
                    inherited=files,
                    guard=unguarded if group.folders else guard,
                )
            except CommandFailed as error:
                raise _with_limit(error, group.reached(), log) from error

    @property
    def native_pip(self) -> bool:
        """Whether `pip` can run on a native Python; see CopiedRoot."""
        return False

    def interact(self, command: Command) -> int:
        """Run a command with this process's own terminal; returns its exit status."""
        terminal = {"TERM": os.environ.get("TERM", "dumb")}
        command = replace(command, env={**command.env, **terminal})
        with self._files(command) as files:
            return attach(self.host_argv(command, files), env=own_variables(), inherited=files)

    def host_argv(self, command: Command, files: OpenFiles, *options: str) -> list[str]:
        """Return the host's command line for a command in the root; `options` are bubblewrap's."""
        return [*self._bubblewrap(command, files, options), *command.argv]

    @abstractmethod
    def _root(self) -> list[str]:
        """Return bubblewrap's options for the root."""

    def _build_folder(self) -> Path:
        """Return the host folder that is mounted at /build: `work`, or a mount over it."""
        return self.work

    def _work_folders(self) -> tuple[Path, ...]:
        """Return the host folders whose files are in /build."""
        return (self.work,)

    @abstractmethod
    def _own_folders(self) -> tuple[str, ...]:
        """Return the mount points of the root that commands can write."""

    def _tools(self, command: Command) -> list[str]:
        """Return bubblewrap's options for the tools that a command asks for."""
        return []

    def _place(self, path: str) -> str:
        """Return the mount point of a file, which can be a link in the root."""
        return path

    def _with_apt_secrets(self, command: Command) -> Command:
        """Give apt the machine's logins and proxies that are in no layer."""
        configuration = secret_settings(host_mirror()).write(self.inputs, str(INPUTS))
        return replace(command, env={"APT_CONFIG": configuration, **command.env}) if configuration else command

    @contextmanager
    def _files(self, command: Command) -> Iterator[OpenFiles]:
        """Open files with the variables and the filter: every user could read a command line."""
        variables = command_variables(command, self.environment)
        settings = ["--clearenv", *(word for name, value in variables.items() for word in ("--setenv", name, value))]
        content = b"".join(os.fsencode(word) + b"\0" for word in settings)
        with memory_file("variables", content) as shown, call_filter() as calls:
            yield OpenFiles(variables=shown, calls=calls)

    def _bubblewrap(self, command: Command, files: OpenFiles, options: Sequence[str]) -> list[str]:
        seal = [*(NAMESPACES if self.installs_packages else sealed_options()), "--hostname", HOSTNAME, *options]
        seal += ["--seccomp", str(files.calls)]
        mounts = [*self._root(), "--dev", "/dev", *proc_options()]
        mounts += ["--ro-bind", str(self.scratch / "cpuinfo"), "/proc/cpuinfo"]
        mounts += ["--bind", str(self._build_folder()), str(BUILD), "--ro-bind", str(self.inputs), str(INPUTS)]
        mounts += self._tools(command)
        for host, inside in self.caches.binds(network=command.network).items() if self.caches else ():
            mounts += ["--bind", str(host), inside]
        if command.read_only:
            if any(map(has_venv, self._work_folders())):
                mounts += ["--ro-bind", str(self._build_folder() / VENV), f"{BUILD}/{VENV}"]
            mounts += ["--tmpfs", "/tmp"]
            mounts += [word for path in self._own_folders() for word in ("--remount-ro", path)]
        if command.network:
            for host, inside in host_network().files.items():
                mounts += ["--ro-bind", str(host), self._place(inside)]
        else:
            seal.append("--unshare-net")
        sealed = ["bwrap", *seal, *mounts, "--args", str(files.variables), "--chdir", str(command.cwd), "--"]
        return sealed if self.installs_packages else counted(sealed, default_limits())


@contextmanager
def folder_of_copy(work: Path, name: str, *, keep: bool) -> Iterator[Path]:
    """Provide the name of a copy's folder beside `work`, which is removed unless `keep`."""
    folder = work.with_name(f"{work.name}-{name}")
    discard(folder)
    try:
        yield folder
    finally:
        if not keep:
            discard(folder)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder that commands wrote, with links as links.

    Confined: in containers, processes of these commands may still run, and replace a folder by a link to another.
    """
    target.mkdir(exist_ok=True)
    command = ["cp", "--archive", "--reflink=auto", "--no-target-directory", "--", str(source), str(target)]
    run_tool(command, readable=[source], writable=[target])


def has_venv(work: Path) -> bool:
    """Report if the work folder has a virtual environment, not a link in its place."""
    return (work / VENV).is_dir() and not (work / VENV).is_symlink()


def own_variables() -> dict[str, str]:
    """Return bubblewrap's own variables: commands can read them in /proc/1/environ."""
    return {"PATH": os.environ.get("PATH", os.defpath)}


def command_variables(command: Command, root: Mapping[str, str]) -> dict[str, str]:
    """Return a command's variables; `root` are those of its root."""
    network = host_network().variables(crates=command.crates) if command.network else {}
    sealed = {} if command.network else WITHOUT_PACKAGES
    return {**COMMON_VARIABLES, **network, **root, **sealed, **command.env, "QEMU_CPU": command.cpu}


def inputs_of(work: Path) -> Path:
    """Return the folder of the host's files for commands in the root with the folder `work`."""
    return work.with_name(f"{work.name}.inputs")


def _with_limit(error: CommandFailed, reached: str | None, log: LogSink) -> CommandFailed:
    """Return the failure, with a reached limit as the last line of its output."""
    if reached is None:
        return error
    log.write(f"{reached}\n")
    return CommandFailed(error.message, status=error.status, output=f"{error.output}\n{reached}".lstrip())


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlaySandbox(SealedSandbox):
    """A sandbox of `layers`, the lowest first.

    A copy has the original's changes as one more layer, and the original's `work` below its own. `tools` are for
    commands that ask for them, `own_qemu` for those whose CPU needs it.
    """

    layers: tuple[Path, ...]
    tools: NativePip | None = None
    own_qemu: Path | None = None

    @property
    def native_pip(self) -> bool:
        """Whether `pip` can run on a native Python; see CopiedRoot."""
        return self.tools is not None

    def prepare(self) -> None:
        """Make the folders of overlayfs too."""
        SealedSandbox.prepare(self)
        own = (("build-workdir", "build") if self.original else ()) + ((TABLE,) if self.own_qemu else ())
        for name in ("upper", "workdir", "merged", *own):
            (self.scratch / name).mkdir(exist_ok=True)
        if self.tools is not None and self.original is None:
            (self.scratch / TOOLS).mkdir(exist_ok=True)
            self.tools.give(self.inputs)

    def host_argv(self, command: Command, files: OpenFiles, *options: str) -> list[str]:
        """Return the host's command line, which mounts the layers first."""
        overlays, sealed = self._overlays(), command
        if command.native_pip and self.tools is not None:
            overlays.append((_lower(self.tools.trees), self.scratch / TOOLS))
            sealed = replace(command, argv=self.tools.argv(command))
        return [
            *("unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNT_AND_RUN, "sandbox"),
            *(word for options, place in overlays for word in (options, str(place))),
            "--",
            *self._interpreters(command),
            *SealedSandbox.host_argv(self, sealed, files, *options),
        ]

    def _interpreters(self, command: Command) -> list[str]:
        """Return the words that give a command our own QEMU, if its CPU needs it."""
        if not needs_own_qemu(command.cpu):
            return []
        if self.own_qemu is None:
            raise EnvironmentSetupError(
                f"{command.program}: this command has no QEMU for the CPU {command.cpu}",
                hint="use `factory check` or `factory shell --check` for this profile",
            )
        return binfmt.own_table(self.own_qemu, self.scratch / TABLE)

    def _tools(self, command: Command) -> list[str]:
        shown = command.native_pip and self.tools is not None
        return ["--ro-bind", str(self.scratch / TOOLS), str(MOUNT)] if shown else []

    def _root(self) -> list[str]:
        return ["--bind", str(self.scratch / "merged"), "/"]

    def _own_folders(self) -> tuple[str, ...]:
        return ("/",)

    def _build_folder(self) -> Path:
        return self.scratch / "build" if self.original else self.work

    def _work_folders(self) -> tuple[Path, ...]:
        return (self.work,) if self.original is None else (self.work, self.original.work)

    def _overlays(self) -> list[tuple[str, Path]]:
        """Return the options of each overlay, and its mount point."""
        root = (self._options(self._layers(), self.scratch / "upper", "workdir"), self.scratch / "merged")
        if self.original is None:
            return [root]
        return [root, (self._options((self.original.work,), self.work, "build-workdir"), self.scratch / "build")]

    def _layers(self) -> tuple[Path, ...]:
        """Return the read-only trees, the lowest first."""
        return self.layers if self.original is None else (*self.layers, self.original.scratch / "upper")

    def _options(self, layers: tuple[Path, ...], upper: Path, workdir: str) -> str:
        paths = [*layers, upper, self.scratch]
        if any(mark in str(path) for path in paths for mark in UNSUPPORTED):
            raise EnvironmentSetupError(
                f"{self.scratch}: folder names cannot have any of {UNSUPPORTED}",
                hint="set FACTORY_CACHE to another folder",
            )
        options = f"{_lower(layers)},upperdir={upper},workdir={self.scratch / workdir}"
        return f"{options},userxattr" if in_user_namespace() else options


def _lower(layers: tuple[Path, ...]) -> str:
    """Return overlayfs's option for read-only trees, the lowest first."""
    return f"lowerdir={':'.join(str(path) for path in reversed(layers))}"
