"""Debian's parts of an environment: the riscv64 root and the tree of native x86-64 tools, both made by mmdebstrap."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote

import uv

from factory.errors import CommandFailed, EnvironmentSetupError, PrerequisiteMissing
from factory.host.apt import MIRROR_VARIABLE, host_mirror
from factory.host.native_programs import program_command
from factory.model.artifacts import PackagePin
from factory.model.target import PYTHONS
from factory.util.log import LogSink
from factory.util.process import run
from factory.util.scratch import discard

SUITE = "trixie"
# The suite's own Python; factory.stages.environments.debian.pythons has the others.
PYTHON = "3.13"
GCC = "14"
TRIPLET = "riscv64-linux-gnu"
# They count up when the steps below change what a layer holds without changing the lists.
STEPS = 1
NATIVE_STEPS = 3

BASE_PACKAGES = ("python3", "python3-venv")
# /bin/sh. Build tools start one for every command: 1.6 ms as a native program, 27 ms under QEMU.
SHELL = "dash"
BUILD_PACKAGES = ("python3-dev", "libc6-dev", f"libstdc++-{GCC}-dev", "pkgconf")
# g++ and gfortran are the suite's default compilers, version GCC, under their plain names.
EMULATED_PACKAGES = ("g++", "gfortran", "ninja-build", "make")
NATIVE_PACKAGES = (
    f"g++-{GCC}-{TRIPLET}",
    f"gfortran-{GCC}-{TRIPLET}",
    "ninja-build",
    "make",
    "ccache",
    "patchelf",
    "qemu-user",
    f"libpython{PYTHON}-stdlib",
    f"python{PYTHON}-minimal",
    SHELL,
)
TOOLCHAIN = {
    *NATIVE_PACKAGES,
    *EMULATED_PACKAGES,
    f"binutils-{TRIPLET}",
    "binutils",
    "libc6",
    *(f"python{python}" for python in PYTHONS),
}
# Of the native packages' programs, those that builds call; the rest (other QEMUs, lto-dump, perl) only takes room.
NATIVE_PROGRAMS = ("ninja", "make", "ccache", "patchelf", "qemu-riscv64", f"python{PYTHON}", f"{TRIPLET}-*", SHELL)
NATIVE_UNUSED = (
    f"usr/bin/{TRIPLET}-lto-dump-{GCC}",
    "usr/share",
    "usr/include",
)
# What of the native packages has no part in compiling: the shell and what it depends on.
NO_COMPILER = (SHELL, "debianutils")
# What no tree of native tools needs.
NEVER_USED = ("usr/sbin", "var", "dev", "etc", "tmp")
COMPILERS = {"gcc": "gcc", "cc": "gcc", "g++": "g++", "c++": "g++", "gfortran": "gfortran", "cpp": "cpp"}
BINUTILS = ("ar", "as", "ld", "ld.bfd", "nm", "objcopy", "objdump", "ranlib", "readelf", "size", "strings", "strip")
GCC_TOOLS = ("gcc-ar", "gcc-nm", "gcc-ranlib", "gcov")

APT_OPTIONS = ('APT::Install-Recommends "false"', 'Acquire::Languages "none"', 'Acquire::Retries "5"')
LATER_TRY = "a mirror caught in the middle of an update needs a later try"
# Roots need no documentation, which is many small files; licences stay.
DPKG_OPTIONS = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/doc/*/copyright",
    "force-unsafe-io",
)
# Debian byte-compiles Python files while it installs them, which takes minutes under QEMU. The programs that do it
# are diverted here, and compile_python() does all of it natively in seconds. Packages installed by later layers find
# py3compile still diverted.
DIVERT = f"""
set -e
chroot "$1" dpkg-divert --local --rename --add /usr/bin/py3compile
ln -s true "$1/usr/bin/py3compile"
chroot "$1" dpkg-divert --local --no-rename --add /usr/lib/python{PYTHON}/py_compile.py
mkdir -p "$1/usr/lib/python{PYTHON}"
: > "$1/usr/lib/python{PYTHON}/py_compile.py"
"""
UNDIVERT = f"""
set -e
rm "$1/usr/lib/python{PYTHON}/py_compile.py"
chroot "$1" dpkg-divert --local --rename --remove /usr/lib/python{PYTHON}/py_compile.py
"""
NATIVE_PURE = "/opt/native/bin/python-pure"
ARCHIVE_LIST = "archives.list"
LIST_ARCHIVES = f'cd "$1/var/cache/apt/archives" && ls *.deb > "$1/{ARCHIVE_LIST}"'
# The default mirrors of mmdebstrap come with the suite's updates; the release alone changes less often and is never
# caught between two states of three archives.
RELEASE_ONLY = f'sed -i "/{SUITE}-/d" "$1/etc/apt/sources.list"'


def make_base(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
    """Make the riscv64 root in `tree`: Debian's minimal system with Python and its venv module.

    QEMU must be registered: the packages' own scripts run in the root.
    """
    hooks = [f"--essential-hook={DIVERT}", f"--customize-hook={UNDIVERT}"]
    _mmdebstrap(tree, "riscv64", "minbase", BASE_PACKAGES, hooks, log)
    return dpkg_packages(tree)


def make_native(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
    """Make the layer of native tools: x86-64 programs in /opt/native that target the riscv64 root they lie in."""
    native = tree / "opt/native"
    packages = extract(native, "amd64", NATIVE_PACKAGES, log)
    trim(native, NATIVE_UNUSED, NATIVE_PROGRAMS)
    _link_programs(native)
    _let_x86_programs_run(tree)
    return packages


def extract(tree: Path, architectures: str, packages: Sequence[str], log: LogSink) -> tuple[PackagePin, ...]:
    """Unpack packages and what they need to `tree`, and install nothing; returns all of them."""
    tree.parent.mkdir(parents=True)
    _mmdebstrap(tree, architectures, "extract", packages, [f"--extract-hook={LIST_ARCHIVES}"], log)
    return extracted_packages(tree / ARCHIVE_LIST)


def trim(native: Path, unused: Sequence[str], programs: Sequence[str]) -> None:
    """Remove `unused`, NEVER_USED and all of usr/bin but `programs` (patterns) from a tree of native tools."""
    for name in (*unused, *NEVER_USED):
        path = native / name
        discard(path) if path.is_dir() else path.unlink(missing_ok=True)
    kept = {path for pattern in programs for path in (native / "usr/bin").glob(pattern)}
    for program in set((native / "usr/bin").iterdir()) - kept:
        program.unlink()


def python_pure(python: str) -> str:
    """The script NATIVE_PURE for builds with this Python (`3.13`).

    Code generators in pure Python, such as Cython, run on the native Python of the same version: more than ten times
    faster than under QEMU (measured on numpy's sources), with the same output. -S keeps its own site-packages out.
    """
    return f"""#!/bin/sh
for PYTHONPATH in "$VIRTUAL_ENV"/lib/python3.*/site-packages; do :; done
export PYTHONHOME=/opt/native/usr PYTHONPATH
exec /opt/native/usr/bin/python{python} -S "$@"
"""


def make_native_uv(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
    """Make the layer of uv as a native tool, the very program that this Python has."""
    programs = tree / "opt/native/bin"
    programs.mkdir(parents=True)
    shutil.copy(uv.find_uv_bin(), programs / "uv")
    return (PackagePin(name="uv", version=metadata.version("uv"), architecture="amd64"),)


def make_uv(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
    """Make the layer of riscv64 uv, of the version that is native elsewhere, in /opt/uv."""
    version = metadata.version("uv")
    # Every tag that the suite's glibc, 2.41, satisfies: pip takes them literally.
    platforms = [f"--platform=manylinux_2_{minor}_riscv64" for minor in range(41, 16, -1)]
    target = ["--target", str(tree / "opt/uv"), "--only-binary=:all:", *platforms]
    run([sys.executable, "-m", "pip", "install", "--no-deps", *target, f"uv=={version}"], log=log, what="pip")
    return (PackagePin(name="uv", version=version, architecture="riscv64"),)


def compile_python(home: Path, tree: Path, log: LogSink) -> None:
    """Byte-compile a layer's Python files with the Python below `home`, a program for this machine of the same version.

    The files are the same, whatever machine it is.
    """
    folders = [
        str(folder)
        for name in (f"usr/lib/python{PYTHON}", "usr/lib/python3", "opt")
        if (folder := tree / name).is_dir()
    ]
    if not folders:
        return
    command = program_command([home], f"python{PYTHON}")
    environment = {"PYTHONHOME": str(home / "usr"), "PATH": os.defpath}
    arguments = ["-S", "-m", "compileall", "-q", "-s", str(tree), "-p", "/", *folders]
    run([*command, *arguments], log=log, env=environment, what="byte-compiling Python files")


def dpkg_packages(tree: Path) -> tuple[PackagePin, ...]:
    """The packages that the dpkg database of a root, or of a layer of one, lists as installed, in order of their names.

    A layer that installed nothing, since all was there below it, has no database.
    """
    database = tree / "var/lib/dpkg/status"
    status = database.read_text(encoding="utf-8") if database.is_file() else ""
    pins = []
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status") == "install ok installed":
            pins.append(
                PackagePin(name=fields["Package"], version=fields["Version"], architecture=fields["Architecture"])
            )
    return tuple(sorted(pins, key=lambda pin: (pin.name, pin.architecture)))


def host_apt_options() -> tuple[str, ...]:
    """The host's apt options about fetching (proxies, certificates, validity): mirrors need the same from a root."""
    try:
        listed = run(["apt-config", "dump", "--format", '%F "%v"%n', "Acquire"])
    except (CommandFailed, PrerequisiteMissing):
        return ()
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::AllowInsecureRepositories")
    return tuple(line for line in listed.splitlines() if line.startswith(wanted) and not line.endswith('""'))


def _mmdebstrap(
    tree: Path, architecture: str, variant: str, packages: Sequence[str], hooks: Sequence[str], log: LogSink
) -> None:
    mirror = host_mirror()
    apt = (*APT_OPTIONS, *host_apt_options())
    command = [
        "mmdebstrap",
        "--mode=root",
        f"--variant={variant}",
        f"--architectures={architecture}",
        # The check wants the arch-test package; our own registration is checked before we come here.
        "--skip=check/qemu,check/empty",
        f"--include={','.join(packages)}",
        *(f"--aptopt={option}" for option in apt),
        *(f"--dpkgopt={option}" for option in DPKG_OPTIONS),
        *([] if mirror else [f"--setup-hook={RELEASE_ONLY}"]),
        *hooks,
        SUITE,
        str(tree),
        *([mirror] if mirror else []),
    ]
    try:
        run(contained(command), log=log, env=_clean_environment(), what="mmdebstrap")
    except CommandFailed as error:
        raise EnvironmentSetupError(
            f"mmdebstrap could not make the {architecture} tree:\n{error.output}",
            hint=f"the whole log is {log.path}; {LATER_TRY}, another one is set by {MIRROR_VARIABLE}",
        ) from error


def contained(command: Sequence[str]) -> list[str]:
    """A command that ends with everything it started and mounted, however it ends."""
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *command]


def _clean_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return kept | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def extracted_packages(archives: Path) -> tuple[PackagePin, ...]:
    """What was extracted and not installed: without dpkg's database, the archives' names tell.

    The file `archives` lists them, each as name_version_architecture.deb.
    """
    names = archives.read_text(encoding="utf-8").split()
    triples = (unquote(name.removesuffix(".deb")).split("_") for name in names)
    return tuple(PackagePin(name=name, version=version, architecture=arch) for name, version, arch in sorted(triples))


def _link_programs(native: Path) -> None:
    """Plain names first in PATH: /opt/native/ccache wraps the compilers, /opt/native/bin has everything itself."""
    binaries, wrapped = native / "bin", native / "ccache"
    binaries.mkdir()
    wrapped.mkdir()
    for name, program in COMPILERS.items():
        for alias in (name, f"{TRIPLET}-{name}", f"{name}-{GCC}", f"{TRIPLET}-{name}-{GCC}"):
            (binaries / alias).symlink_to(f"../usr/bin/{TRIPLET}-{program}-{GCC}")
            (wrapped / alias).symlink_to("../usr/bin/ccache")
    for name in (*BINUTILS, *GCC_TOOLS):
        suffix = f"-{GCC}" if name in GCC_TOOLS else ""
        for alias in (name, f"{TRIPLET}-{name}"):
            (binaries / alias).symlink_to(f"../usr/bin/{TRIPLET}-{name}{suffix}")
    for name in ("ninja", "make", "ccache", "patchelf"):
        (binaries / name).symlink_to(f"../usr/bin/{name}")
    (binaries / "python-pure").write_text(python_pure(PYTHON))
    (binaries / "python-pure").chmod(0o755)


def _let_x86_programs_run(tree: Path) -> None:
    """Link what has a fixed place: the x86-64 loader for the kernel, its scripts for the linker, and /bin/sh."""
    libraries = tree / "usr/lib"
    libraries.mkdir(parents=True)
    (libraries / "x86_64-linux-gnu").symlink_to("/opt/native/usr/lib/x86_64-linux-gnu")
    (tree / "usr" / TRIPLET).symlink_to(f"/opt/native/usr/{TRIPLET}")
    (tree / "usr/lib64").mkdir()
    (tree / "usr/lib64/ld-linux-x86-64.so.2").symlink_to("/opt/native/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    (tree / "lib64").symlink_to("usr/lib64")
    (tree / "usr/bin").mkdir()
    (tree / "usr/bin/sh").symlink_to(f"/opt/native/usr/bin/{SHELL}")
