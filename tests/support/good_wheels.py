"""Good wheels that look bad, which the audit must not accuse."""

from __future__ import annotations

from factory.model.audit_declaration import DECLARATION, encode_declaration
from factory.model.recipe import AuditOptions
from tests.support.elf_images import RET, Image, code
from tests.support.plants import (
    DISPATCHED,
    INFO,
    MANYLINUX,
    NESTED,
    PLAIN,
    R_RISCV_NONE,
    UNWINDER,
    VECTOR,
    VECTORS,
    Plant,
    sha256_constants,
    text_plant,
    zipped,
)

# A branch and a load. The second half of the branch and the load read as an instruction of Zvk; the fourth word of
# SHA-256's constants reads as a jump there, 132 bytes before them.
BNE, C_LD = 0xD2F716E3, 0x67A2
GOOD = (
    Plant(what="baseline code", image=PLAIN),
    text_plant("rdtime", 0xC0102573, kind=""),
    text_plant("hints: pause, prefetch.r, ntl.p1, lpad", 0x0100000F, 0x0020E013, 0x00200033, 0x00000017, kind=""),
    text_plant("unimp, which is a write to cycle", 0xC0001073, kind=""),
    Plant(
        what="vector code that the recipe declares as dispatched",
        image=VECTOR,
        path="demo/kernels_v.so",
        options=DISPATCHED,
    ),
    Plant(
        what="vector code that the wheel declares, audited without its recipe",
        kind="declaration",
        image=VECTOR,
        path="demo/kernels_v.so",
        files={f"{INFO}/{DECLARATION}": encode_declaration(DISPATCHED)},
        trust=True,
    ),
    Plant(
        what="the unwinder of a static libgcc (vlenb after its own test)", kind="unwinder", image=Image(text=UNWINDER)
    ),
    Plant(
        what="a header for attributes that points at other bytes, after strip or patchelf",
        kind="attributes",
        image=Image(arch=None, attributes_at=0x1000),
    ),
    Plant(
        what="the mark for text relocations without any (Rust's programs)",
        kind="text-relocations",
        image=Image(text_relocations=True, relocated={0: R_RISCV_NONE}),
    ),
    Plant(
        what="a table of constants between functions",
        kind="data",
        image=Image(text=code(RET) + bytes(62) + sha256_constants(), symbols={"demo_sum": (0, 2)}),
    ),
    Plant(
        what="a table of constants with a symbol for data",
        kind="data",
        image=Image(text=code(RET) + bytes(62) + sha256_constants(), objects={"constants": (64, 256)}),
    ),
    Plant(
        what="a table of constants right behind the vector code that reads it, declared as dispatched",
        kind="data",
        image=Image(text=code(RET) + VECTORS + sha256_constants(), symbols={"demo_sum": (0, 2)}),
        path="demo/kernels_v.so",
        options=DISPATCHED,
    ),
    Plant(
        what="a table of constants with words that read as jumps into the middle of an instruction",
        kind="data",
        image=Image(text=code(BNE, C_LD, RET) + bytes(126) + sha256_constants(), symbols={"demo_sum": (0, 8)}),
    ),
    Plant(what="text among the constants of an executable segment", image=Image(constants=b"Some text, " * 400)),
    Plant(
        what="a bundled library by its RUNPATH",
        kind="bill",
        image=Image(needed=("libfoo.so.1", "libc.so.6"), runpath="$ORIGIN/../vectors_c.libs"),
        files={"vectors_c.libs/libfoo.so.1": Image(soname="libfoo.so.1").build()},
    ),
    Plant(
        what="a library that another package loads, declared",
        image=Image(needed=("libtorch.so",)),
        options=AuditOptions(provided=("libtorch.so",)),
    ),
    Plant(what="the dynamic loader as a needed library", image=Image(needed=("ld-linux-riscv64-lp64d.so.1",))),
    Plant(
        what="16-byte atomics with libatomic",
        image=Image(undefined=("__atomic_load_16",), needed=("libatomic.so.1",)),
    ),
    Plant(what="weak symbols of libatomic, without it", image=Image(undefined=("__atomic_load_16",), weak=True)),
    Plant(
        what="versions of a libstdc++ in the wheel above the tag's",
        kind="bill",
        image=Image(
            versions=("GLIBCXX_3.4.33",), version_library="libstdc++-0123.so.6", needed=("libstdc++-0123.so.6",)
        ),
        files={"vectors_c.libs/libstdc++-0123.so.6": Image(soname="libstdc++-0123.so.6").build()},
        tag=MANYLINUX.format("2_31"),
    ),
    Plant(
        what="GLIBCXX_3.4.28 under manylinux_2_31",
        image=Image(versions=("GLIBCXX_3.4.28",), version_library="libstdc++.so.6"),
        tag=MANYLINUX.format("2_31"),
    ),
    Plant(what="a program among the scripts", image=PLAIN, path="vectors_c-1.0.data/scripts/demo"),
    Plant(
        what="vector code in a static archive, which nothing loads",
        image=PLAIN,
        files={"demo/libfast.a": b"!<arch>\n" + NESTED},
    ),
    Plant(
        what="a library for x86-64 in a zip archive of test data",
        kind="nested",
        image=PLAIN,
        files={"demo/x86.zip": zipped({"x.so": Image(machine=62).build()})},
    ),
    Plant(
        what="a damaged archive of test data",
        kind="nested",
        image=PLAIN,
        files={"demo/damaged.zip": zipped({"a": b"text" * 99})[:-60] + bytes(60)},
    ),
    Plant(
        what="a pure wheel of a source with C code, as the recipe wants it",
        files={"demo.py": b"pass\n"},
        tag="py3-none-any",
        pure=True,
        options=AuditOptions(pure=True),
        compiled_source="src/demo.c",
    ),
)
