"""The environment `docker`: a root as an image, and commands in containers of it.

A container's network cannot be changed, but builds install their requirements with network and continue without. So
there is a container for each. Changes outside the mounted folders must be visible in the other container, so they are
committed to an image, and a new container starts from it (0.6 s measured). Builds seldom write there, checks once.

A container ends with the process that started it: its main process reads a pipe that the engine closes with our
connection, however we end, and the engine then removes the container. Images of a killed process have its label, and
the next process that opens an environment removes them.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factory.errors import EnvironmentSetupError, PrerequisiteMissing
from factory.host.docker_engine import address, connect, engine_errors
from factory.host.network import host_network
from factory.model.protocols import BUILD, INPUTS, Command
from factory.stages.environments.base import Root
from factory.stages.environments.docker import executions
from factory.stages.environments.docker.image import REPOSITORY, ImageConfig, ensure_image
from factory.stages.environments.docker.labels import (
    OWNER_LABEL,
    folder_label,
    own_label,
    remove_abandoned,
    remove_image,
)
from factory.stages.environments.docker.limits import Limits, limits
from factory.stages.environments.layers import LayerStore
from factory.stages.environments.sandbox import (
    CPUINFO,
    HOSTNAME,
    VENV,
    Caches,
    caches_of,
    command_variables,
    copy_tree,
    folder_of_copy,
    has_venv,
    inputs_of,
)
from factory.util import cancellation
from factory.util.confinement import FILE_BYTES, default_limits, in_user_namespace
from factory.util.disk_guard import disk_guard
from factory.util.log import LogSink
from factory.util.process import Tail, attach, conclude
from factory.util.resource_usage import watched_elsewhere
from factory.util.scratch import discard
from factory.util.system_calls import docker_profile

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.types import Mount

# Copies of one root are opened in several threads.
_COPIES = threading.Lock()
ULIMITS = {"core": 0, "fsize": FILE_BYTES}
PLATFORM = "linux/riscv64"
KEPT_REPOSITORY = f"{REPOSITORY}-kept"
# The shell stays as the init process, which reaps orphaned processes.
WAIT_FOR_DISCONNECT = ("sh", "-c", "cat; exit")


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerEnvironment:
    """A root whose layers are an image, which is loaded into the engine once."""

    root: Root
    store: LayerStore

    @contextmanager
    def open(self, work: Path, *, caches: str, keep: bool = False, as_left: bool = False) -> Iterator[ContainerSandbox]:
        """Open the root; see Environment.open. Kept changes are an image.

        Raises:
            PrerequisiteMissing: no engine answers, or we are root only in a user namespace.
        """
        require_machine_root()
        allowed = limits()
        kept = kept_image(work)
        if not as_left:
            discard(inputs_of(work))
        for folder in (work, inputs_of(work)):
            folder.mkdir(parents=True, exist_ok=True)
        with connect() as client, shown_cpuinfo(work) as cpuinfo:
            sandbox = ContainerSandbox(
                client=client,
                image=self._image(client, kept, as_left=as_left),
                work=work,
                caches=caches_of(self.store.layout, caches, self.root.variables),
                cpuinfo=cpuinfo,
                environment=self.root.variables,
                limits=allowed,
            )
            try:
                yield sandbox
            except BaseException:
                with suppress(EnvironmentSetupError):  # report the first error
                    sandbox.close(kept, keep=keep)
                raise
            sandbox.close(kept, keep=keep)

    def _image(self, client: DockerClient, kept: str, *, as_left: bool) -> str:
        """Return the root's image, or with `as_left` the one that a sandbox kept."""
        with engine_errors("list its images"):
            remove_abandoned(client)
            if as_left and client.api.images(kept):
                return kept
            remove_image(client, kept)
        config = ImageConfig(variables=self.root.variables)
        return ensure_image(client, self.root.layers, config, self.store.open_stage, "image for Docker")


def kept_image(work: Path) -> str:
    """Return the name of the image with the kept changes of the root with the folder `work`."""
    return f"{KEPT_REPOSITORY}:{sha256(os.fsencode(work)).hexdigest()[:16]}"


def require_machine_root() -> None:
    """Require root of the machine: containers write files as that user.

    Raises:
        PrerequisiteMissing: we are root only in a user namespace.
    """
    if in_user_namespace():
        raise PrerequisiteMissing(
            "--environment docker: containers need root of the machine: this is root in a user namespace",
            hint="run the command as root, or use --environment rootfs",
        )


@contextmanager
def shown_cpuinfo(work: Path) -> Iterator[Path]:
    """Provide a temporary riscv64 /proc/cpuinfo for native programs."""
    path = work.with_name(f"{work.name}.cpuinfo")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CPUINFO)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@dataclass(slots=True, kw_only=True)
class ContainerSandbox:
    """A sandbox of two containers of `image`: one with network, one without.

    Only the container of the last command can differ from `image`.
    """

    client: DockerClient
    image: str
    work: Path
    caches: Caches | None
    cpuinfo: Path
    environment: Mapping[str, str]
    limits: Limits
    original: ContainerSandbox | None = None
    _running: dict[bool, _Running] = field(default_factory=dict)
    _last: _Running | None = None
    _saved: str | None = None
    _copied: str | None = None

    @property
    def inputs(self) -> Path:
        """Host folder that commands see read-only at /inputs."""
        return inputs_of(self.work) if self.original is None else self.original.inputs

    @contextmanager
    def copied(self, name: str, *, keep: bool = False) -> Iterator[ContainerSandbox]:
        """Open a copy, of an image of the changes so far; see CopiedRoot."""
        with _COPIES, engine_errors("save a container"):
            image = self._image_of_copies()
        with (
            folder_of_copy(self.work, name, keep=keep) as work,
            connect() as client,
            shown_cpuinfo(work) as cpuinfo,
        ):
            copy_tree(self.work, work)
            copy = ContainerSandbox(
                client=client,
                image=image,
                work=work,
                caches=None,
                cpuinfo=cpuinfo,
                environment=self.environment,
                limits=self.limits,
                original=self,
            )
            try:
                yield copy
            finally:
                copy.close(kept_image(work), keep=keep)

    @property
    def native_pip(self) -> bool:
        """Whether `pip` can run on a native Python; see CopiedRoot."""
        return False

    def run(self, command: Command, *, log: LogSink) -> None:
        """Run a command in a container; see Sandbox."""
        log.write(f"[in the root] $ {shlex.join(command.argv)}\n")
        with disk_guard(self.work):
            cancellation.current().check()
            with engine_errors(f"run {command.program}"):
                if not command.read_only:
                    self._execute(self._container(network=command.network), command, log)
                    return
                running = self._start_read_only()
                try:
                    self._execute(running.container, command, log)
                finally:
                    running.stop()

    def _execute(self, container: Container, command: Command, log: LogSink) -> None:
        started, tail = time.time(), Tail()
        created = self._create_execution(container, command)
        with (
            cancellation.current().ended_by(lambda: executions.end_cleanly(self.client, created["Id"])),
            watched_elsewhere(lambda: executions.watched_process(self.client, created["Id"])),
        ):
            for line in executions.lines(self.client.api.exec_start(created["Id"], stream=True)):
                tail.append(line.rstrip())
                log.write(line)
        status = executions.status_of(self.client, created["Id"])
        executions.end_leftovers(self.client, str(container.id))
        if status != 0 and self._reached_memory_limit(container, started):
            reached = f"# out of memory: the container reached its memory limit of {self.limits.memory / 1e9:.1f} GB"
            tail.append(reached)
            log.write(f"{reached}\n")
        conclude(command.program, status, time.time() - started, tail, log)

    def interact(self, command: Command) -> int:
        """Run a command with this process's own terminal; returns its exit status.

        Raises:
            PrerequisiteMissing: the program `docker`, which connects the terminal, is not installed.
        """
        if shutil.which("docker") is None:
            raise PrerequisiteMissing(
                "the program 'docker' is not installed", hint="apt-get install docker-cli, or docker.io"
            )
        variables = {**command_variables(command, self.environment), "TERM": os.environ.get("TERM", "dumb")}
        # By name: every user can read command lines, and the network's variables have secrets.
        secret = set(host_network().variables(crates=command.crates)) & set(variables)
        settings = [word for name, value in variables.items() for word in ("--env", _setting(name, value, secret))]
        own = {**os.environ, **{name: variables[name] for name in secret}}
        terminal = ["--tty"] if sys.stdin.isatty() else []
        with engine_errors("open a shell"):
            container = self._container(network=command.network)
        options = ["--interactive", *terminal, "--workdir", str(command.cwd), *settings]
        return attach(["docker", "--host", address(), "exec", *options, str(container.id), *command.argv], env=own)

    def close(self, kept: str, *, keep: bool) -> None:
        """Remove the containers; with `keep`, commit their changes to the image `kept`."""
        with engine_errors("remove a container"):
            if keep and self._last is not None:
                self._last.save(folder_label(self.work), kept)
            self._stop()
            if not keep and self.original is None:
                discard(self.inputs)
            leftovers = [self._saved, self._copied, None if keep else kept]
            for image in filter(None, leftovers):
                remove_image(self.client, image)

    def _image_of_copies(self) -> str:
        """Return the image with all changes so far, made once."""
        if self._copied is None and self._last is not None and self._last.has_written():
            self._copied = self._last.save(own_label())
        return self._copied or self.image

    def _container(self, *, network: bool) -> Container:
        """Return the running container, with the changes of the last command."""
        if self._running.get(not network) is self._last:
            self._save_changes()
        if network not in self._running:
            self._running[network] = self._start(network=network)
        self._last = self._running[network]
        return self._last.container

    def _save_changes(self) -> None:
        """Make the changes of the last command part of the image of the next container."""
        if self._last is not None and self._last.has_written():
            self.image = self._saved = self._last.save(own_label())
            self._stop()

    def _start_read_only(self) -> _Running:
        """Start a container without network that cannot change the root."""
        self._save_changes()
        return self._start(network=False, read_only=True)

    def _stop(self) -> None:
        for running in self._running.values():
            running.stop()
        self._running.clear()

    def _start(self, *, network: bool, read_only: bool = False) -> _Running:
        from docker.types import Ulimit

        container = self.client.containers.create(
            self.image,
            list(WAIT_FOR_DISCONNECT),
            stdin_open=True,
            auto_remove=True,
            platform=PLATFORM,
            hostname=HOSTNAME,
            network_mode="host" if network else "none",
            mounts=self._mounts(network=network, read_only=read_only),
            read_only=read_only,
            tmpfs={"/tmp": "exec"} if read_only else None,
            labels={OWNER_LABEL: own_label()},
            mem_limit=self.limits.memory,
            memswap_limit=self.limits.memory,
            nano_cpus=None if self.limits.cpus is None else int(self.limits.cpus * 1e9),
            shm_size=self.limits.memory // 2,
            pids_limit=default_limits().processes,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true", f"seccomp={docker_profile()}"],
            ulimits=[Ulimit(name=name, soft=value, hard=value) for name, value in ULIMITS.items()],
            use_config_proxy=False,
        )
        connection = container.attach_socket(params={"stdin": 1, "stream": 1})
        container.start()
        executions.wait_for_entry_point(self.client, str(container.id))
        return _Running(container=container, connection=connection)

    def _mounts(self, *, network: bool, read_only: bool) -> list[Mount]:
        from docker.types import Mount

        files = host_network().files if network else {}
        shown = {self.cpuinfo: "/proc/cpuinfo", self.inputs: str(INPUTS), **files}
        if read_only and has_venv(self.work):
            shown[self.work / VENV] = f"{BUILD}/{VENV}"
        written = {self.work: str(BUILD)} | (self.caches.binds(network=network) if self.caches else {})
        mounts = [Mount(inside, str(host), type="bind") for host, inside in written.items()]
        return mounts + [Mount(inside, str(host), type="bind", read_only=True) for host, inside in shown.items()]

    def _create_execution(self, container: Container, command: Command) -> Any:
        return self.client.api.exec_create(
            container.id,
            list(command.argv),
            environment=command_variables(command, self.environment),
            workdir=str(command.cwd),
        )

    def _reached_memory_limit(self, container: Container, since: float) -> bool:
        """Report if a process was killed for lack of memory; events can be a second late."""
        filters = {"container": str(container.id), "event": "oom"}
        return any(self.client.events(since=int(since), until=int(time.time()) + 1, filters=filters, decode=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    """A running container, and the connection that keeps it alive."""

    container: Container
    connection: object

    def has_written(self) -> bool:
        """Report if the container differs from its image."""
        return bool(self.container.diff())

    def save(self, owner: str, name: str = "") -> str:
        """Commit the container to an image, named or not; returns the image id."""
        repository, _, tag = name.partition(":")
        labels = {OWNER_LABEL: owner}
        image = self.container.commit(repository or None, tag or None, pause=False, conf={"Labels": labels})
        return str(image.id)

    def stop(self) -> None:
        """Kill the container, and wait until it is removed."""
        from docker.errors import NotFound

        with suppress(NotFound):
            self.container.kill()
            self.container.wait(condition="removed")


def _setting(name: str, value: str, secret: Collection[str]) -> str:
    """Return docker's word for a variable; a secret's value is in docker's own variable."""
    return name if name in secret else f"{name}={value}"
