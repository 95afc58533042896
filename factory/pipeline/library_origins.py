"""Where the libraries that a repair put into a wheel are from: a wheel that the build required, or a Debian package."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from factory.elf import bundled
from factory.errors import StoreError
from factory.model.artifacts import PackagePin
from factory.model.record import BuildRecord
from factory.publish.reports import Package
from factory.store.store import Store

# After the name that Debian gives a library's package: since times have 64 bits, and for those that compilers bring.
ENDINGS = ("", "t64", "-riscv64-cross")


def is_bundled(path: str) -> bool:
    """Whether the repair put that file of a wheel there."""
    return PurePosixPath(path).parts[0].endswith(bundled.FOLDER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """What the store knows of where libraries are from; `records` are all of its records."""

    store: Store
    records: Sequence[BuildRecord]

    def package_of(self, path: str, record: BuildRecord) -> Package | None:
        """The package that a bundled library of the wheel of `record` is from; None where that can't be known.

        A file out of another wheel is known by its hash, or by its name where the repair has changed what it needs. One
        out of the build's root is known by its name alone: Debian calls a library's package after the library.

        Raises:
            StoreError: a wheel that the build required is damaged.
        """
        copied = bundled.FILE.fullmatch(PurePosixPath(path).name)
        if copied is None:
            return None
        stem, begin, ending = copied.groups()
        for known in (begin, ""):
            for other in self._required(record):
                member = _find(self.store.wheel_path(other), f"{stem}{ending}", known)
                if member is not None:
                    package = Package(kind="pypi", name=other.name, version=other.version)
                    return self.package_of(member, other) if is_bundled(member) else package
        return _debian_package(stem, ending, record)

    def _required(self, record: BuildRecord) -> Iterator[BuildRecord]:
        """The records of the wheels that the build required and that the store has."""
        required = {(canonicalize_name(pin.name), pin.version) for pin in record.requirements}
        return (other for other in self.records if (other.name, other.version) in required and not other.wheel_of)


def _find(wheel: Path, name: str, begin: str) -> str | None:
    """The path in a wheel of the file with that name, if its sha256 begins so.

    Raises:
        StoreError: the wheel is damaged.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = (member for member in archive.namelist() if PurePosixPath(member).name == name)
            return next((each for each in members if _begins(archive, each, begin)), None)
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(f"{wheel} is damaged: {error}", hint="remove it and build its package again") from error


def _begins(archive: zipfile.ZipFile, member: str, begin: str) -> bool:
    return begin == "" or hashlib.sha256(archive.read(member)).hexdigest().startswith(begin)


def _debian_package(stem: str, ending: str, record: BuildRecord) -> Package | None:
    """Of the packages that the wheel was made of, or else of the root's, the one that is named after the library."""
    if record.repacked:
        pins = {each.name: PackagePin(name=each.name, version=each.version) for each in record.repacked}
    else:
        pins = {pin.name: pin for pin in record.environment if pin.architecture in ("riscv64", "all")}
    found = next((pins[name] for name in _debian_names(stem, ending) if name in pins), None)
    if found is None:
        return None
    return Package(kind="deb", name=found.name, version=found.version, architecture=found.architecture or "riscv64")


def _debian_names(stem: str, ending: str) -> Iterator[str]:
    """What Debian may call the package of a library (Policy 8.1): `libgfortran` and `.so.5.0.0` make `libgfortran5`."""
    numbers = ending.removeprefix(".so").lstrip(".").split(".")
    joint = "-" if stem[-1].isdigit() else ""
    for count in range(len(numbers), 0, -1):
        version = ".".join(numbers[:count])
        name = f"{stem}{joint if version else ''}{version}".lower().replace("_", "-")
        yield from (f"{name}{more}" for more in ENDINGS)
