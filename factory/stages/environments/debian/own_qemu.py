"""Our own QEMU: a patched source, built in an x86-64 root of the distribution's packages.

It emulates CPUs that the distribution's QEMU lacks. It is static, since the kernel starts it in roots of riscv64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from factory.errors import CommandFailed, EnvironmentSetupError
from factory.model.artifacts import PackagePin
from factory.model.distribution import Distribution
from factory.model.protocols import BUILD, SOURCE, Command
from factory.stages.environments.debian.bootstrap import extract
from factory.stages.environments.sandbox import OverlaySandbox
from factory.stages.environments.variables import BASE_PATH
from factory.util.log import LogSink
from factory.util.scratch import discard

# Counts up when the layer changes without its definition.
STEPS = 1
PROGRAM = "qemu-riscv64"
# Folder of the compiled files, beside the source.
OUTPUT = "out"
# In the layer.
QEMU = f"opt/native/usr/bin/{PROGRAM}"
# The packages are unpacked, not configured, so the shell and the tools of configure scripts are named. Without pip and
# its parts, configure would install pip, which needs the certificates of a configured root.
PACKAGES = (
    *("bash", "coreutils", "dash", "diffutils", "findutils", "grep", "sed"),
    *("gcc", "libc6-dev", "libglib2.0-dev", "meson", "ninja-build", "pkgconf"),
    *("python3-minimal", "python3-distlib", "python3-pip", "python3-pycotap", "python3-setuptools"),
)
OPTIONS = (
    *("--cc=gcc", "--static", "--target-list=riscv64-linux-user", "--without-default-features"),
    *("--disable-system", "--disable-tools", "--disable-docs", "--disable-install-blobs", "--disable-download"),
    *("--disable-debug-info", "--enable-attr"),  # attributes of files, which Python copies with them
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuSource:
    """A patched source of QEMU: its identity, and the function that unpacks it."""

    identity: tuple[str, ...]
    put: Callable[[Path, LogSink], None]


def make_own_qemu(
    tree: Path, source: QemuSource, distribution: Distribution, jobs: int, log: LogSink
) -> tuple[PackagePin, ...]:
    """Make the layer.

    Raises:
        SourceError, PatchError: the source cannot be fetched or patched.
        EnvironmentSetupError: the build fails.
    """
    folder, work = tree.with_name("build"), tree.with_name("work")
    source.put(work / SOURCE.name, log)
    packages = extract(folder / "root", "amd64", PACKAGES, distribution, log)
    _build(folder / "root", work, jobs, log)
    (tree / QEMU).parent.mkdir(parents=True)
    (work / OUTPUT / PROGRAM).rename(tree / QEMU)
    discard(folder)
    discard(work)
    return packages


def _build(root: Path, work: Path, jobs: int, log: LogSink) -> None:
    sandbox = OverlaySandbox(
        layers=(root,),
        work=work,
        scratch=root.with_name("scratch"),
        environment={"PATH": BASE_PATH, "LC_ALL": "C.UTF-8"},
        caches=None,
    )
    commands = ([f"{SOURCE}/configure", *OPTIONS], ["ninja", f"-j{jobs}", PROGRAM], ["strip", PROGRAM])
    (work / OUTPUT).mkdir()
    try:
        with sandbox.opened(keep=False, as_left=False):
            for command in commands:
                sandbox.run(Command(command, cwd=BUILD / OUTPUT), log=log)
    except CommandFailed as error:
        raise EnvironmentSetupError(
            f"our own QEMU: {error.message}:\n{error.output}", hint=f"read the log {log.path}"
        ) from error
