"""Libraries and symbol versions of platform tags, from auditwheel's policies (PEP 600)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from auditwheel.architecture import Architecture
from auditwheel.libc import Libc
from auditwheel.policy import WheelPolicies

Version = tuple[int, ...]
LOADER = "ld-linux-"  # the dynamic loader is on every system
# The policies take every Linux for a desktop; images of boards and servers have none of these.
DESKTOP = frozenset(
    [
        *("libGL.so.1", "libICE.so.6", "libSM.so.6", "libX11.so.6", "libXext.so.6", "libXrender.so.1"),
        *("libglib-2.0.so.0", "libgobject-2.0.so.0", "libgthread-2.0.so.0"),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Libraries and symbol versions, by family ("GLIBCXX"), of all systems of a platform tag."""

    tag: str
    libraries: frozenset[str]
    versions: dict[str, frozenset[str]]

    def has_library(self, soname: str) -> bool:
        """Return whether a system has the library."""
        return soname in self.libraries or soname.startswith(LOADER)

    def lacks_version(self, version: str) -> bool:
        """Return whether a version of a known family ("GLIBCXX_3.4.32") is beyond the tag."""
        family, _, number = version.partition("_")
        return family in self.versions and number not in self.versions[family]


@cache
def promise_of(glibc: Version) -> Promise:
    """Return the promise of the highest policy up to this glibc."""
    policies = [(_glibc_of(each.name), each) for each in WheelPolicies(libc=Libc.GLIBC, arch=Architecture.riscv64)]
    known = sorted((number, each.name) for number, each in policies if number)
    _, name = max((item for item in known if item[0] <= glibc), default=known[0])
    policy = next(each for _, each in policies if each.name == name)
    return Promise(tag=name, libraries=policy.whitelist, versions=dict(policy.symbol_versions))


def _glibc_of(name: str) -> Version:
    """Return the glibc of "manylinux_2_39_riscv64"; empty for "linux_riscv64"."""
    parts: Sequence[str] = name.split("_")
    return (int(parts[1]), int(parts[2])) if parts[0] == "manylinux" else ()
