"""Planted wheels: bad ones that the audit must catch, good ones that it must not accuse.

Each is one way in which a wheel fails on some board, or looks as if it did. `docs/security.md` has them as a table.
"""

from __future__ import annotations

import io
import math
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from factory.model.recipe import AuditOptions
from tests.support.elf_images import RET, RV64GCV, VSETVLI, Image, code, wheel

LIBRARY = "demo/_core.cpython-313-riscv64-linux-gnu.so"
MANYLINUX = "cp313-cp313-manylinux_{}_riscv64"
INFO = "vectors_c-1.0.dist-info"
VLE32, VADD, VSE32 = 0x0205E407, 0x02840457, 0x0205E427
# vsetvli, a load, an addition, a store: a function that no board without V can run
VECTORS = code(VSETVLI, VLE32, VADD, VSE32, RET)
# A halfword that a linear sweep reads as the first half of a long instruction.
TRAP = struct.pack("<H", 0x0013)
JUMP_OVER_TRAP = 0xA011
CSRR_VLENB = 0xC2202573
# lui a5,2; addi a5,a5,-990; beq a1,a5,+8; ret: the test of libgcc's unwinder for DWARF's number of vlenb
UNWINDER = code(0x6789, 0xC2278793, 0x00F58363, RET, CSRR_VLENB, RET)
R_RISCV_64, R_RISCV_NONE = 2, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A wheel of these files, and what the audit must say of it.

    `kind` is that of the finding; a good wheel has none or only a note of it. `image` is the wheel's library.
    """

    what: str
    kind: str = ""
    violation: bool = True
    image: Image | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    path: str = LIBRARY
    tag: str = MANYLINUX.format("2_39")
    tags_inside: tuple[str, ...] | None = None
    pure: bool = False
    options: AuditOptions = field(default_factory=AuditOptions)
    trust: bool = False
    compiled_source: str = ""
    record: Callable[[str], str | None] | None = None

    def make(self, folder: Path) -> Path:
        """Write the wheel."""
        files = {**({self.path: self.image.build()} if self.image else {}), **self.files}
        made = wheel(folder, files, tag=self.tag, tags_inside=self.tags_inside, pure=self.pure)
        return made if self.record is None else _with_record(made, self.record)


def _with_record(path: Path, change: Callable[[str], str | None]) -> Path:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    record = change(members.pop(f"{INFO}/RECORD").decode())
    if record is not None:
        members[f"{INFO}/RECORD"] = record.encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: Mapping[str, bytes]) -> bytes:
    """Return a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def sha256_constants() -> bytes:
    """Return the 64 words that SHA-256 adds: a table that assembly files put beside the code."""
    primes = [number for number in range(2, 312) if all(number % other for other in range(2, number))]
    return struct.pack("<64I", *(_cube_root(prime << 96) & 0xFFFFFFFF for prime in primes))


def _cube_root(number: int) -> int:
    root: int = round(math.pow(number, 1 / 3))
    while root**3 > number:
        root -= 1
    while (root + 1) ** 3 <= number:
        root += 1
    return root


def changed(what: str, into: str) -> Callable[[str], str]:
    return lambda record: record.replace(what, into, 1)


PLAIN = Image(symbols={"demo_sum": (0, 2)})
VECTOR = Image(text=VECTORS, arch=RV64GCV, symbols={"demo_sum": (0, len(VECTORS))})
HIDDEN = Image(text=VECTORS)  # its attributes claim the baseline
NESTED = HIDDEN.build()
DISPATCHED = AuditOptions(dispatched=("demo/*_v.so",))


def text_plant(what: str, *instructions: int, kind: str = "isa") -> Plant:
    return Plant(what=what, kind=kind, image=Image(text=code(*instructions, RET)))
