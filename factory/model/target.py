"""Targets, toolchains, ISA profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from factory.model.distribution import DEFAULT_DISTRIBUTION

# The Python versions that wheels are built for, the default first.
PYTHONS = DEFAULT_DISTRIBUTION.pythons

# The toolchains for C and C++, the default first.
TOOLCHAINS = ("gcc", "clang")

# Meaning of records, ledger entries and content keys that name no Python or toolchain. They were written when there was
# only this one. It is fixed: it does not follow the defaults above.
FIRST_PYTHON = "3.13"
FIRST_TOOLCHAIN = "gcc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The platform that wheels are built for."""

    triplet: str = "riscv64-linux-gnu"
    abi: str = "lp64d"
    glibc_floor: tuple[int, int] = (2, 39)
    baseline: str = "rv64gc"
    python: str = FIRST_PYTHON  # of records that name none

    @property
    def platform_ceiling(self) -> str:
        """The highest platform tag a wheel may carry."""
        return f"manylinux_{self.glibc_floor[0]}_{self.glibc_floor[1]}_riscv64"


DEFAULT_TARGET = Target(python=PYTHONS[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A named CPU that wheels are checked on; `qemu_cpu` is the value of QEMU_CPU.

    `vlen` is the least length of vector registers in bits, 0 without RVV 1.0. `needs` are extensions besides V by which
    the board finder recognizes a profile with vectors, named as in its EXTENSION_BITS.
    """

    name: str
    qemu_cpu: str
    stands_for: str
    vlen: int = 0
    needs: tuple[str, ...] = ()


# From the plainest to the most demanding. QEMU 11.1 supports VLEN up to 1024.
# Measured with qemu-user 11.1 by riscv_hwprobe in the guest. Plain `rv64,v=false` still has Zba, Zbb and Zbs and
# does not test the baseline; sifive-u54 does.
PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(name="rv64gc", qemu_cpu="sifive-u54", stands_for="SiFive U54, U74 and P550: rv64gc, the baseline"),
        Profile(name="rva22", qemu_cpu="rva22s64", stands_for="RVA22 cores without vectors: Zba, Zbb and Zbs"),
        Profile(
            name="rvv128",
            qemu_cpu="rva22s64,v=true,vlen=128",
            stands_for="first cores with RVV 1.0: VLEN 128, no Zvfh",
            vlen=128,
        ),
        Profile(
            name="k1",
            qemu_cpu="rva22s64,v=true,vlen=256,zfh=true,zvfh=true",
            stands_for="SpacemiT K1 and M1, Ky X1: VLEN 256, Zvfh",
            vlen=256,
            needs=("zvfh",),
        ),
        Profile(
            name="rva23",
            qemu_cpu="rva23s64",
            stands_for="RVA23 cores: V and Zvfhmin, no Zvfh",
            vlen=128,
            needs=("zvfhmin", "zfa", "zicond"),
        ),
        Profile(
            name="vlen512",
            qemu_cpu="max,vlen=512",
            stands_for="VLEN 512, with every extension of QEMU",
            vlen=512,
            needs=("zvfh",),
        ),
        Profile(
            name="vlen1024",
            qemu_cpu="max,vlen=1024",
            stands_for="SpacemiT K3's A100 cores: VLEN 1024",
            vlen=1024,
            needs=("zvfh",),
        ),
    )
}


# Profiles with vendors' extensions that only our own QEMU has. They are for commands that name them: neither globs of
# recipes nor pages have them. QEMU allows another vendor only for `rv64`; its properties leave it `k1`'s extensions.
OWN_PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="k1-ime",
            qemu_cpu="rv64,rva22s64=true,v=true,vlen=256,zfh=true,zvfh=true,"
            "h=false,zawrs=false,zbc=false,zfa=false,zihintntl=false,sstc=false,svadu=false,svvptc=false,"
            "mvendorid=0x710,marchid=0x8000000058000001,xsmtvdot=true",
            stands_for="cores 0 to 3 of SpacemiT K1: k1 with the integer matrix instructions (XSMTVDot)",
            vlen=256,
        ),
    )
}
ALL_PROFILES: Mapping[str, Profile] = {**PROFILES, **OWN_PROFILES}


DEFAULT_PROFILES = ("rv64gc", "rvv128", "k1", "rva23", "vlen1024")


BASELINE_CPU = PROFILES["rv64gc"].qemu_cpu

# Extensions that the distribution's QEMU lacks, as properties of QEMU's CPUs.
OWN_EXTENSIONS = frozenset({"xsmtvdot=true"})


def needs_own_qemu(cpu: str) -> bool:
    """Report if a value of QEMU_CPU has an extension that only our own QEMU has."""
    return not OWN_EXTENSIONS.isdisjoint(cpu.split(","))


# The usual mode on other machines.
HYBRID_MODE = "hybrid"
# The mode on a riscv64 machine. Checks run on its own CPU, which is the profile of the same name.
NATIVE_MODE = NATIVE_PROFILE = "native"
