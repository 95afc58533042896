"""Trees of Debian packages by mmdebstrap: the riscv64 base, extracted packages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from factory.errors import CommandFailed, EnvironmentSetupError
from factory.host.apt import MIRROR_VARIABLE, fetch_options, host_mirror, secret_settings, without_login
from factory.model.artifacts import PackagePin
from factory.model.distribution import Distribution
from factory.stages.environments.debian.apt_progress import AptProgress
from factory.stages.environments.debian.packages import (
    ARCHIVE_LIST,
    BASE_PACKAGES,
    RETRY_HINT,
    extracted_packages,
    installed_packages,
)
from factory.util.log import LogSink
from factory.util.process import run

# Counts up when the base root changes without its package list. Installed packages and uv have the same number.
STEPS = 1
APT_OPTIONS = ('APT::Install-Recommends "false"', 'Acquire::Languages "none"', 'Acquire::Retries "5"')
# Documentation is thousands of small files. Licences stay.
DPKG_OPTIONS = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/doc/*/copyright",
    "force-unsafe-io",
)
SECRET_PART = "etc/apt/apt.conf.d/98host-secrets"
# apt refuses paths with double quotes: it gets the folder of the tree under another name.
BIND_AND_RUN = 'mount --bind "$1" "$2"; shift 2; exec "$@"'
LIST_ARCHIVES = f'cd "$1/var/cache/apt/archives" && ls *.deb > "$1/{ARCHIVE_LIST}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The contents of a tree: mmdebstrap's variant, architectures, packages, hooks."""

    variant: str
    architectures: str
    packages: Sequence[str]
    hooks: Sequence[str]


def make_base(tree: Path, distribution: Distribution, log: LogSink) -> tuple[PackagePin, ...]:
    """Make the riscv64 root: Debian's minimal system with Python and its venv module.

    QEMU must be registered: maintainer scripts run in the root.
    """
    python = distribution.python
    hooks = [f"--essential-hook={divert_script(python)}", f"--customize-hook={undivert_script(python)}"]
    _mmdebstrap(
        tree,
        Selection(variant="minbase", architectures="riscv64", packages=BASE_PACKAGES, hooks=hooks),
        distribution,
        log,
    )
    return installed_packages(tree)


def divert_script(python: str) -> str:
    """Return the hook that disables Debian's byte-compilation of Python files.

    Under QEMU it takes minutes; `compile_python` does the same natively in seconds. py3compile stays diverted for the
    packages of later layers.
    """
    return f"""
set -e
chroot "$1" dpkg-divert --local --rename --add /usr/bin/py3compile
ln -s true "$1/usr/bin/py3compile"
chroot "$1" dpkg-divert --local --no-rename --add /usr/lib/python{python}/py_compile.py
mkdir -p "$1/usr/lib/python{python}"
: > "$1/usr/lib/python{python}/py_compile.py"
"""


def undivert_script(python: str) -> str:
    """Return the hook that restores the standard library's py_compile."""
    return f"""
set -e
rm "$1/usr/lib/python{python}/py_compile.py"
chroot "$1" dpkg-divert --local --rename --remove /usr/lib/python{python}/py_compile.py
"""


def extract(
    tree: Path, architectures: str, packages: Sequence[str], distribution: Distribution, log: LogSink
) -> tuple[PackagePin, ...]:
    """Unpack packages and dependencies into `tree`, not installed; returns all."""
    tree.parent.mkdir(parents=True)
    selection = Selection(
        variant="extract", architectures=architectures, packages=packages, hooks=[f"--extract-hook={LIST_ARCHIVES}"]
    )
    _mmdebstrap(tree, selection, distribution, log)
    return extracted_packages(tree / ARCHIVE_LIST)


def mmdebstrap_command(
    tree: Path, selection: Selection, distribution: Distribution, mirror: str | None, apt_options: Sequence[str]
) -> list[str]:
    """Return the command that makes a tree.

    Without `mirror`, mmdebstrap uses the suite's default one.
    """
    return [
        "mmdebstrap",
        "--mode=root",
        "--verbose",  # apt's own lines tell of downloads
        f"--variant={selection.variant}",
        f"--architectures={selection.architectures}",
        # The QEMU check needs the arch-test package; our own registration is checked before.
        "--skip=check/qemu,check/empty",
        f"--include={','.join(selection.packages)}",
        *(f"--aptopt={option}" for option in apt_options),
        *(f"--dpkgopt={option}" for option in DPKG_OPTIONS),
        *([f"--keyring={distribution.keyring}"] if distribution.keyring else []),
        *([] if mirror else [f"--setup-hook={_release_only(distribution.suite)}"]),
        *selection.hooks,
        distribution.suite,
        str(tree),
        *([mirror] if mirror else []),
    ]


def _mmdebstrap(tree: Path, selection: Selection, distribution: Distribution, log: LogSink) -> None:
    mirror, options = distribution.mirror or host_mirror(), (*APT_OPTIONS, *fetch_options())
    try:
        with TemporaryDirectory(prefix="apt-") as folder:
            secret = secret_settings(mirror).write(Path(folder), folder)
            if secret is not None:
                selection = replace(selection, hooks=[f"--setup-hook={_install_secret(secret)}", *selection.hooks])
            bare = mirror and without_login(mirror)
            point = Path(folder, "layer")
            point.mkdir()
            command = mmdebstrap_command(point / tree.name, selection, distribution, bare, options)
            mounted = ["sh", "-ec", BIND_AND_RUN, "bind", str(tree.parent), str(point), *command]
            run(contained(mounted), log=AptProgress(log), env=_clean_environment(), what="mmdebstrap")
        (tree / SECRET_PART).unlink(missing_ok=True)
    except CommandFailed as error:
        raise EnvironmentSetupError(
            f"{distribution.name} {selection.architectures}: mmdebstrap failed:\n{error.output}",
            hint=f"read the log {log.path}; {RETRY_HINT}, or set {MIRROR_VARIABLE} to another mirror",
        ) from error


def _install_secret(file: str) -> str:
    """Return the hook that gives the tree's apt a file with secrets for a while."""
    return f'install -m 600 "{file}" "$1/{SECRET_PART}"'


def _release_only(suite: str) -> str:
    """Return the hook that drops the update archives of mmdebstrap's default mirror.

    The release alone changes less often, and one archive cannot be out of step with two others.
    """
    return f'sed -i "/{suite}-/d" "$1/etc/apt/sources.list"'


def contained(command: Sequence[str]) -> list[str]:
    """Wrap a command so that all its processes and mounts end with it."""
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *command]


def _clean_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return kept | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
