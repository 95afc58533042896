"""Board finder: shows which wheels run on this machine.

It is one file for Python 3.8 or newer, which needs no network. The index's site offers it for download; `factory board`
is the same program.
The kernel reports the CPU's extensions (riscv_hwprobe, or the auxiliary vector). /proc/cpuinfo alone serves for other
machines. V alone does not mean RVV 1.0: before Linux 6.5 it may mean the draft 0.7.1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import NamedTuple
from urllib.parse import urlsplit

# Start of constants from factory/model/, written by `.ci/nox reference`.
# The Pythons of the wheels, and the newest glibc that a wheel may need.
PYTHONS = ("3.13", "3.14")
GLIBC = (2, 39)
# Name, minimal VLEN and extensions of each profile with RVV 1.0, the most demanding first.
VECTOR_PROFILES: Sequence[tuple[str, int, frozenset[str]]] = (
    ("vlen1024", 1024, frozenset({"zvfh"})),
    ("vlen512", 512, frozenset({"zvfh"})),
    ("rva23", 128, frozenset({"zvfhmin", "zfa", "zicond"})),
    ("k1", 256, frozenset({"zvfh"})),
    ("rvv128", 128, frozenset()),
)
# End of constants from factory/model/.

# Documentation/arch/riscv/hwprobe.rst of Linux: keys, and bits of IMA_EXT_0.
HWPROBE, FLUSH_ICACHE = 258, 259
VENDOR, ARCHITECTURE, EXTENSIONS, THEAD_EXTENSIONS = 0, 1, 4, 11
EXTENSION_BITS = {
    "v": 2,
    "zba": 3,
    "zbb": 4,
    "zbs": 5,
    "zfhmin": 28,
    "zvfh": 30,
    "zvfhmin": 31,
    "zfa": 32,
    "zicond": 35,
    "zvfbfmin": 53,
}
XTHEADVECTOR = 1
# hwprobe's vendor or architecture number if the cores differ.
MIXED = -1
AT_HWCAP = 16
BASE = frozenset("imafdc")
THEAD = 0x5B7
# T-Head's cores with this architecture number have no vectors or draft vectors; V of their kernels means the draft.
# Newer cores have another number, even if a device tree gives them the old name, as for the SG2044.
DRAFT_ARCHITECTURE = 0
DRAFT_CORES = re.compile(r"thead,c9(06|10|20)\b")
RVA22 = frozenset({"zba", "zbb", "zbs"})
# VLEN in bits of known cores, for use when the register is not readable.
KNOWN_VLEN = {"spacemit,x60": 256, "spacemit,x100": 256, "thead,c908": 128, "sifive,x280": 512}
# Vendors' kernels may have no `uarch` line, and list few of the extensions: SpacemiT's 6.1 lists neither Zba nor Zvfh.
CORES_BY_MODEL = {"Spacemit(R) X60": "spacemit,x60", "Spacemit(R) X100": "spacemit,x100"}
CORES_BY_NUMBERS = {(0x710, 0x8000000058000001): "spacemit,x60"}
KNOWN_EXTENSIONS = {"spacemit,x60": RVA22 | {"zfhmin", "zvfh", "zvfhmin"}}


class Cpu(NamedTuple):
    """A CPU. `vectors` is `1.0`, `draft` (0.7.1), `unknown` (either) or empty.

    `vlen` is in bits, 0 if unknown. `asked` is the source of the facts: `hwprobe`, `hwcap` or `cpuinfo`.
    """

    name: str
    extensions: frozenset[str]
    vectors: str
    vlen: int
    asked: str


class Machine(NamedTuple):
    """A machine and its Python; `tags` is true if pip knows riscv64, None without pip."""

    architecture: str
    bits: int
    cpu: Cpu
    libc: str
    glibc: tuple[int, int] | None
    python: str
    free_threaded: bool
    pip: str
    tags: bool | None


class Verdict(NamedTuple):
    """The CPU's profile, problems that prevent an installation, and notes."""

    profile: str
    problems: Sequence[str]
    notes: Sequence[str]


def judge(machine: Machine) -> Verdict:
    """Judge a machine."""
    problems = _cpu_problems(machine) or [*_libc_problems(machine), *_python_problems(machine)]
    profile = profile_of(machine.cpu) if machine.architecture == "riscv64" else ""
    return Verdict(profile=profile, problems=problems, notes=_notes(machine))


def profile_of(cpu: Cpu) -> str:
    """Return the most demanding profile of a CPU; empty if it lacks parts of rv64gc."""
    if not cpu.extensions >= BASE:
        return ""
    if cpu.vectors == "1.0":
        for name, vlen, needed in VECTOR_PROFILES:
            if (cpu.vlen or 128) >= vlen and cpu.extensions >= needed:
                return name
    return "rva22" if cpu.extensions >= RVA22 else "rv64gc"


def _cpu_problems(machine: Machine) -> list[str]:
    if machine.architecture != "riscv64":
        bits = re.match("riscv([0-9]+)", machine.architecture)
        if bits:
            return [f"{bits[1]}-bit CPU: all wheels are for riscv64"]
        return [f"{machine.architecture or 'unknown machine'}: all wheels are for riscv64"]
    if machine.bits != 64:
        return ["32-bit Python: install a 64-bit Python"]
    missing = BASE - machine.cpu.extensions
    return [f"CPU without {', '.join(sorted(missing))}: all wheels need rv64gc"] if missing else []


def _libc_problems(machine: Machine) -> list[str]:
    if machine.glibc is None:
        return [f"C library {machine.libc or 'not glibc'}: the wheels need glibc, as in Debian and Fedora"]
    return []


def _python_problems(machine: Machine) -> list[str]:
    if machine.free_threaded:
        return ["free-threaded Python: the wheels are for the default build"]
    if machine.tags is False:
        return [f"pip {machine.pip} is too old for riscv64 wheels: run python3 -m pip install --upgrade pip"]
    return []


def _notes(machine: Machine) -> list[str]:
    notes = _limits(machine)
    if not machine.pip and machine.python:
        notes.append("Python without pip: use uv, or run python3 -m ensurepip")
    return [*notes, *_cpu_notes(machine.cpu)]


def _limits(machine: Machine) -> list[str]:
    """List why this system gets only some of the wheels; it always gets pure ones."""
    notes = []
    series = ".".join(machine.python.split(".")[:2])
    if machine.python and series not in PYTHONS:
        built = " and ".join(PYTHONS)
        notes.append(f"most wheels are for Python {built}; Python {series} gets only those for all versions")
    if machine.glibc is not None and machine.glibc < GLIBC:
        have = "_".join(map(str, machine.glibc))
        notes.append(f"wheels with a tag above manylinux_{have} need a newer glibc; pip skips them")
    return notes


def _cpu_notes(cpu: Cpu) -> list[str]:
    if cpu.vectors == "draft":
        return ["draft vectors 0.7.1 (XTheadVector), not RVV 1.0: most wheels run without vectors"]
    if cpu.vectors == "unknown":
        return ["vectors of unknown version (RVV 1.0 or draft 0.7.1) count as none; Linux 6.5 or newer reports it"]
    if cpu.vectors and cpu.asked != "hwprobe":
        return [f"RVV 1.0 by {cpu.asked}; only Linux 6.5 or newer reports it reliably"]
    return []


def read_cpuinfo(text: str) -> Cpu:
    """Read a /proc/cpuinfo; if cores differ, the weakest one counts."""
    cores = _cores(text)
    if not cores:
        return Cpu(name="", extensions=frozenset(), vectors="", vlen=0, asked="cpuinfo")
    extensions = frozenset.intersection(*map(_extensions_of, cores))
    vectors = _weakest({_vectors_of(core) for core in cores})
    first = cores[0]
    return Cpu(
        name=first.get("model name") or first.get("uarch", ""),
        extensions=extensions if vectors == "1.0" else extensions - {"v"},
        vectors=vectors,
        vlen=KNOWN_VLEN.get(_core_name(first), 0) if vectors == "1.0" else 0,
        asked="cpuinfo",
    )


def _cores(text: str) -> list[dict[str, str]]:
    return [fields for fields in map(_fields, re.split(r"\n\s*\n", text.strip())) if "isa" in fields]


def _architecture(text: str) -> str:
    """Return the machine's name by the base of its cores' `isa`; empty if one has none.

    Cores of another width than 64 bits make another machine.
    """
    bases = [re.match("rv([0-9]{1,4})", core["isa"].lower()) for core in _cores(text)]
    names = {f"riscv{base[1]}" if base else "" for base in bases} or {""}
    return min(names - {"riscv64"}, default="riscv64")


def _core_name(core: dict[str, str]) -> str:
    """Return a core's name as device trees have it, empty if it is unknown.

    A `uarch` that is not known here gives way to the model and the numbers: vendors rename cores.
    """
    uarch = core.get("uarch", "")
    if uarch in KNOWN_VLEN or DRAFT_CORES.search(uarch):
        return uarch
    numbers = (_number(core, "mvendorid"), _number(core, "marchid"))
    by_numbers = CORES_BY_NUMBERS.get(numbers, "")  # type: ignore[arg-type]
    return CORES_BY_MODEL.get(core.get("model name", "")) or by_numbers or uarch


def _extensions_of(core: dict[str, str]) -> frozenset[str]:
    """Return the listed extensions, and those that a known core has without a mention."""
    listed = _extensions(core["isa"])
    return listed | KNOWN_EXTENSIONS.get(_core_name(core), frozenset()) if "v" in listed else listed


def _weakest(vectors: set[str]) -> str:
    """Return the vectors that all cores have; a single draft core counts as draft."""
    return next(each for each in ("draft", "", "unknown", "1.0") if each in vectors)


def _fields(paragraph: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in paragraph.splitlines())
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def _extensions(isa: str) -> frozenset[str]:
    """Split `rv64imafdcv_zba`; expand `g`. In old kernels, modes follow `s`."""
    base, *longer = isa.lower().split("_")
    letters = set(re.sub(r"^rv[0-9]*|[sx].*$", "", base))
    if "g" in letters:
        letters |= set("imafd")
    if "b" in letters:
        letters |= RVA22
    return frozenset(letters | set(longer))


def _vectors_of(core: dict[str, str]) -> str:
    """Return a core's vectors by its numbers, or else by its name."""
    if core.get("cpu-vector", "").startswith("0."):
        return "draft"
    if "v" not in _extensions(core["isa"]):
        return "draft" if "xtheadvector" in core["isa"] else ""
    name = _core_name(core)
    named = "draft" if DRAFT_CORES.search(name) else "1.0" if name in KNOWN_VLEN else ""
    return _version(_number(core, "mvendorid"), _number(core, "marchid"), named)


def _version(vendor: int | None, architecture: int | None, otherwise: str) -> str:
    """Return the version of V of a core; `otherwise` if its numbers are unclear.

    Linux reported the numbers before it reported V (6.5), so a V without numbers is from a vendor's kernel. T-Head's
    kernels mean the draft; their newer cores have an architecture number, or a name, that means 1.0. Old firmware
    reports no numbers, which the kernel shows as 0.
    """
    if vendor in (None, MIXED):
        return otherwise or "unknown"
    if vendor != THEAD:
        return otherwise if otherwise and not vendor else "1.0"
    if architecture in (None, MIXED):
        return otherwise or "draft"
    return "draft" if architecture == DRAFT_ARCHITECTURE else "1.0"


def _number(core: dict[str, str], name: str) -> int | None:
    text = core.get(name, "")
    return int(text, 16) if re.fullmatch("0x[0-9a-fA-F]+", text) else None


def read_cpu() -> Cpu:
    """Read this machine's CPU; only a riscv64 kernel is asked."""
    described = read_cpuinfo(_read("/proc/cpuinfo"))
    if platform.machine() != "riscv64":
        return described
    probed = probe()
    if probed is not None:
        return _probed(probed, described)
    capabilities = _hardware_capabilities()
    return described if capabilities is None else _capable(capabilities, described)


def _capable(capabilities: int, described: Cpu) -> Cpu:
    """Combine AT_HWCAP with /proc/cpuinfo, which tells the version of V.

    This serves in containers that refuse hwprobe, and on vendors' kernels that had V before hwprobe existed.
    """
    letters = {chr(ord("a") + bit) for bit in range(26) if capabilities >> bit & 1}
    if described.vectors == "draft":
        return described._replace(asked="hwcap")
    vectors = (described.vectors or "unknown") if "v" in letters else ""
    return _as_asked(described, described.extensions | letters, vectors, "hwcap")


def _probed(values: dict[int, int], described: Cpu) -> Cpu:
    bits = values.get(EXTENSIONS, 0)
    found = {name for name, bit in EXTENSION_BITS.items() if bits >> bit & 1}
    # FD and C have a bit each; hwprobe implies IMA.
    found |= set("ima") | (set("fd") if bits & 1 else set()) | ({"c"} if bits & 2 else set())
    vectors = _probed_vectors(values, described, "v" in found)
    return _as_asked(described, frozenset(found), vectors, "hwprobe")


def _as_asked(described: Cpu, extensions: frozenset[str], vectors: str, asked: str) -> Cpu:
    """Add the kernel's facts; only RVV 1.0 counts as V and has a vlenb to read."""
    if vectors != "1.0":
        return described._replace(extensions=extensions - {"v"}, vectors=vectors, vlen=0, asked=asked)
    return described._replace(extensions=extensions, vectors=vectors, vlen=read_vlen(), asked=asked)


def _probed_vectors(values: dict[int, int], described: Cpu, with_v: bool) -> str:
    """Return the vectors by hwprobe; /proc/cpuinfo has the numbers of each core."""
    otherwise = "" if described.vectors == "unknown" else described.vectors
    version = _version(values.get(VENDOR), values.get(ARCHITECTURE), otherwise)
    if with_v:
        return version
    named = version == described.vectors == "draft"
    return "draft" if named or values.get(THEAD_EXTENSIONS, 0) & XTHEADVECTOR else ""


def probe() -> dict[int, int] | None:
    """Call riscv_hwprobe for all CPUs; None before Linux 6.4 and without ctypes."""
    try:
        import ctypes
    except ImportError:
        return None
    keys = (VENDOR, ARCHITECTURE, EXTENSIONS, THEAD_EXTENSIONS)
    pairs = (ctypes.c_int64 * (2 * len(keys)))()
    for number, key in enumerate(keys):
        pairs[2 * number] = key
    libc = ctypes.CDLL(None)
    if libc.syscall(HWPROBE, ctypes.byref(pairs), ctypes.c_size_t(len(keys)), 0, None, 0) != 0:
        return None
    # The kernel makes unknown keys negative.
    return {key: pairs[2 * number + 1] for number, key in enumerate(keys) if pairs[2 * number] == key}


def _hardware_capabilities() -> int | None:
    try:
        entries = struct.iter_unpack("@NN", Path("/proc/self/auxv").read_bytes())
        return next((value for key, value in entries if key == AT_HWCAP), None)
    except (OSError, struct.error):
        return None


def read_vlen() -> int:
    """Read VLEN in bits from vlenb, 0 if refused; call it only with vectors."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # if the instruction is refused, only the child crashes
        try:
            os.write(writing, struct.pack("=I", _call_vlenb()))
        finally:
            os._exit(0)
    os.close(writing)
    answer = os.read(reading, 4)
    os.close(reading)
    os.waitpid(child, 0)
    return 8 * struct.unpack("=I", answer)[0] if len(answer) == 4 else 0


def _call_vlenb() -> int:
    """Run `csrr a0, vlenb; ret`."""
    import ctypes
    import mmap

    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(struct.pack("<II", 0xC2202573, 0x00008067))
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    ctypes.CDLL(None).syscall(FLUSH_ICACHE, ctypes.c_void_p(address), ctypes.c_void_p(address + 8), 0)
    return int(ctypes.CFUNCTYPE(ctypes.c_uint32)(address)())


def read_machine() -> Machine:
    """Read this machine and this Python."""
    libc, glibc = _read_libc()
    pip, tags = _read_pip()
    return Machine(
        architecture=platform.machine(),
        bits=8 * struct.calcsize("P"),
        cpu=read_cpu(),
        libc=libc,
        glibc=glibc,
        python=platform.python_version(),
        free_threaded="t" in getattr(sys, "abiflags", ""),
        pip=pip,
        tags=tags,
    )


def of_cpuinfo(text: str) -> Machine:
    """Return a machine with this /proc/cpuinfo and an ideal system and Python."""
    return Machine(
        architecture=_architecture(text),
        bits=64,
        cpu=read_cpuinfo(text),
        libc="",
        glibc=GLIBC,
        python="",
        free_threaded=False,
        pip="",
        tags=None,
    )


def _read_libc() -> tuple[str, tuple[int, int] | None]:
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        text = ""
    found = re.match(r"glibc (\d+)\.(\d+)", text)
    if found:
        return text, (int(found[1]), int(found[2]))
    return ("musl" if any(Path("/lib").glob("ld-musl-*")) else ""), None


def _read_pip() -> tuple[str, bool | None]:
    """Return pip's version, and whether it accepts manylinux wheels for riscv64."""
    try:
        import pip
    except ImportError:
        return "", None
    try:
        from pip._vendor.packaging.tags import sys_tags
    except ImportError:  # before pip 20
        return pip.__version__, False
    return pip.__version__, any(re.match(r"manylinux_2_\d+_riscv64", tag.platform) for tag in sys_tags())


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def describe(machine: Machine, verdict: Verdict, index_url: str) -> str:
    """Format the verdict as text."""
    cpu = machine.cpu
    rows = [
        ("CPU", re.sub("[^ -~]", "?", cpu.name) or machine.architecture or "unknown"),
        ("profile", verdict.profile or "none"),
        ("vectors", _describe_vectors(cpu)),
        ("C library", machine.libc or "not examined"),
        ("Python", machine.python or "not examined"),
        ("pip", machine.pip or "not examined"),
    ]
    lines = [f"{name:10} {value}" for name, value in rows]
    lines += [f"note: {note}" for note in verdict.notes]
    lines += [f"problem: {problem}" for problem in verdict.problems]
    if not verdict.problems:
        lines += [_describe_wheels(machine), f"    pip install {_pip_options(index_url)} NAME"]
    return "\n".join(lines)


def _describe_wheels(machine: Machine) -> str:
    if not machine.python:  # a machine of which only /proc/cpuinfo is known
        glibc, pythons = ".".join(map(str, GLIBC)), " or ".join(PYTHONS)
        return f"Wheels run on this CPU, with glibc {glibc} (many with less) and Python {pythons}. Install with:"
    which = "Some wheels" if _limits(machine) else "Wheels"
    return f"{which} of the index run here. Install with:"


def _pip_options(index_url: str) -> str:
    """Return pip's options for an index.

    pip ignores an index of another host over http unless it is told to trust it.
    """
    parts = urlsplit(index_url)
    host = parts.hostname or ""
    if parts.scheme != "http" or re.fullmatch(r"localhost|127\.[0-9.]+|::1", host):
        return f"--index-url {quote(index_url)}"
    return f"--index-url {quote(index_url)} --trusted-host {quote(host)}"


def _describe_vectors(cpu: Cpu) -> str:
    if cpu.vectors != "1.0":
        return {"draft": "draft 0.7.1", "unknown": "RVV 1.0 or draft 0.7.1"}.get(cpu.vectors, "none")
    half = "Zvfh" if "zvfh" in cpu.extensions else "Zvfhmin" if "zvfhmin" in cpu.extensions else "no half precision"
    return f"RVV 1.0, VLEN {cpu.vlen or 'unknown'}, {half}"


def as_json(machine: Machine, verdict: Verdict) -> str:
    """Format the verdict as JSON."""
    cpu = {**machine.cpu._asdict(), "extensions": sorted(machine.cpu.extensions)}
    return json.dumps({**machine._asdict(), "cpu": cpu, **verdict._asdict()}, indent=2, sort_keys=True)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--cpuinfo",
        type=_read_sample,
        metavar="FILE",
        help="judge a machine by its /proc/cpuinfo; - reads standard input",
    )
    parser.add_argument(
        "--index-url", type=_address, default="URL/simple/", metavar="URL", help="index address for the pip command"
    )
    parser.add_argument("--json", action="store_true", help="print all facts as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the verdict; return 1 if there are problems."""
    machine = read_machine() if args.cpuinfo is None else of_cpuinfo(args.cpuinfo)
    verdict = judge(machine)
    print(as_json(machine, verdict) if args.json else describe(machine, verdict, args.index_url))
    return 1 if verdict.problems else 0


def _address(text: str) -> str:
    try:
        urlsplit(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: not an address: {error}") from error
    return text


def _read_sample(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: cannot be read: {error.strerror}") from error


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Show which riscv64 wheels run on this machine.")
    configure(options)
    sys.exit(run(options.parse_args()))
