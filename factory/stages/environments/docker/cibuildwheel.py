"""The environment of cibuildwheel: the host, and an engine with the image.

cibuildwheel runs on the host and starts containers. They have the host's network, certificates and package indexes, the
files for the build and the recipe's compiler cache, but not the host's file system, which cibuildwheel mounts by
default. A killed build leaves no container: the image's entry point ends with its input, and the engine then removes
the container.

Variables of the network can have secrets. docker gets them by name, and in the container's shell `env`, before whose
commands cibuildwheel writes all variables, is no program: command lines are readable for every user.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from factory.errors import EnvironmentSetupError, PrerequisiteMissing
from factory.host.docker_engine import connect, engine_errors
from factory.host.network import CA_VARIABLES, host_network
from factory.model.protocols import BUILD, INPUTS, Command
from factory.stages.environments import inside
from factory.stages.environments.base import Root
from factory.stages.environments.docker.environment import (
    PLATFORM,
    ULIMITS,
    require_machine_root,
    shown_cpuinfo,
)
from factory.stages.environments.docker.image import ensure_image
from factory.stages.environments.docker.labels import OWNER_LABEL, own_label, remove_abandoned
from factory.stages.environments.docker.limits import limits
from factory.stages.environments.layers import LayerStore
from factory.stages.environments.manylinux import IMAGE_REPOSITORY, manylinux_image
from factory.stages.environments.sandbox import inputs_of
from factory.stages.environments.variables import SOURCE_DATE_EPOCH
from factory.util.confinement import default_limits
from factory.util.log import LogSink
from factory.util.paths import make_private
from factory.util.process import attach, run

if TYPE_CHECKING:
    from docker import DockerClient

# Variables of cibuildwheel itself; all others are for the container.
PREFIX = "CIBW_"
# A project's before-all commands install Debian packages.
APT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")
# The engine provides these files itself.
ENGINE_FILES = {"/etc/hosts", "/etc/resolv.conf"}
SHELL_FILE = "cibuildwheel.bash"
SHELL_VARIABLES = {"BASH_ENV": str(INPUTS / SHELL_FILE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CibuildwheelEnvironment:
    """An environment for one command, cibuildwheel."""

    root: Root
    store: LayerStore

    @contextmanager
    def open(
        self, work: Path, *, caches: str, keep: bool = False, as_left: bool = False
    ) -> Iterator[CibuildwheelSandbox]:
        """Load the image if it is missing; cibuildwheel keeps no container.

        Raises:
            PrerequisiteMissing: no engine answers, the program `docker` is missing, or we are root only in a namespace.
        """
        require_machine_root()
        if shutil.which("docker") is None:
            raise PrerequisiteMissing("the program 'docker' is not installed", hint="apt-get install docker.io")
        compiler_cache = self.store.layout.compiler_caches / caches
        for folder in (work, inputs_of(work)):
            folder.mkdir(parents=True, exist_ok=True)
        make_private(compiler_cache)
        shutil.copy(Path(inside.__file__).with_name(SHELL_FILE), inputs_of(work))
        with connect() as client, shown_cpuinfo(work) as cpuinfo:
            yield CibuildwheelSandbox(
                image=self._image(client),
                work=work,
                compiler_cache=compiler_cache,
                shown={cpuinfo: "/proc/cpuinfo", inputs_of(work): str(INPUTS)},
            )

    def _image(self, client: DockerClient) -> str:
        config = manylinux_image(self.root)
        with engine_errors("list its images"):
            remove_abandoned(client)
        return ensure_image(
            client, self.root.layers, config, self.store.open_stage, "manylinux image", IMAGE_REPOSITORY
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CibuildwheelSandbox:
    """A sandbox for cibuildwheel, which copies the source into its container.

    `shown` maps host paths to paths in containers, where they are read-only.
    """

    image: str
    work: Path
    compiler_cache: Path
    shown: Mapping[Path, str]

    @property
    def inputs(self) -> Path:
        """Host folder that containers see read-only at /inputs."""
        return inputs_of(self.work)

    def run(self, command: Command, *, log: LogSink) -> None:
        """Run cibuildwheel. Variables CIBW_* are for itself, all others for its container."""
        if command.program != "cibuildwheel" or not command.network:
            raise EnvironmentSetupError(f"{command.program}: cannot run here: only cibuildwheel can, with network")
        own = {name: value for name, value in command.env.items() if name.startswith(PREFIX)}
        others = {name: value for name, value in command.env.items() if name not in own} | {"QEMU_CPU": command.cpu}
        by_name = _by_name(command, others)
        arguments = self._create_args({**others, **SHELL_VARIABLES}, by_name)
        engine = f"docker; create_args: {shlex.join(arguments)}; disable_host_mount: true"
        variables = {
            # Without the host's CIBW_* variables, which are for other projects.
            **{name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
            **by_name,
            "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH,
            **own,
            "CIBW_MANYLINUX_RISCV64_IMAGE": self.image,
            "CIBW_CONTAINER_ENGINE": engine,
        }
        folder = self.work / command.cwd.relative_to(BUILD)
        run([sys.executable, "-m", *command.argv], log=log, env=variables, cwd=folder, what=command.program)

    def interact(self, command: Command) -> int:
        """Run a command in a container with this terminal; returns its exit status."""
        terminal = ["--tty"] if sys.stdin.isatty() else []
        mode = "host" if command.network else "none"
        start = ["docker", "run", "--interactive", *terminal, f"--platform={PLATFORM}", "--pull=never"]
        by_name = _by_name(command, command.env)
        start += self._create_args(command.env, by_name, mode)
        start += [f"--volume={self.work}:{BUILD}", f"--workdir={command.cwd}"]
        return attach([*start, self.image, *command.argv], env={**os.environ, **by_name})

    def _create_args(self, variables: Mapping[str, str], by_name: Iterable[str], network: str = "host") -> list[str]:
        """Return docker's options; it takes the variables `by_name` from its own environment."""
        host = host_network()
        shown = {path: inside for path, inside in host.files.items() if inside not in ENGINE_FILES} | dict(self.shown)
        certificates = {name: value for name, value in host.environment.items() if name in CA_VARIABLES}
        return [
            "--rm",
            f"--label={OWNER_LABEL}={own_label()}",
            f"--network={network}",
            "--security-opt=no-new-privileges",
            "--cap-drop=ALL",
            *(f"--cap-add={name}" for name in APT_CAPABILITIES),
            f"--pids-limit={default_limits().processes}",
            f"--memory={limits().memory}",
            *(f"--ulimit={name}={value}:{value}" for name, value in ULIMITS.items()),
            f"--volume={self.compiler_cache}:/ccache",
            *(f"--volume={path}:{inside}:ro" for path, inside in shown.items()),
            *(f"--env={name}={value}" for name, value in {**certificates, **variables}.items()),
            *(f"--env={name}" for name in by_name),
        ]


def _by_name(command: Command, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the network's variables, without those that `variables` set."""
    found = host_network().variables(crates=command.crates) if command.network else {}
    return {name: value for name, value in found.items() if name not in {*CA_VARIABLES, *variables}}
