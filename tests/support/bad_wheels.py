"""Bad wheels that the audit must catch, one way to fail each."""

from __future__ import annotations

import bz2
import gzip
import lzma
from dataclasses import replace

import zstandard

from factory.model.audit_declaration import DECLARATION, encode_declaration
from factory.model.materials import BILL
from factory.model.recipe import AuditOptions
from tests.support.elf_images import READ_WRITE_EXEC, RET, RV64GCV, VSETVLI, Image, code
from tests.support.plants import (
    CSRR_VLENB,
    DISPATCHED,
    HIDDEN,
    INFO,
    JUMP_OVER_TRAP,
    LIBRARY,
    MANYLINUX,
    NESTED,
    PLAIN,
    R_RISCV_64,
    TRAP,
    VECTOR,
    VECTORS,
    Plant,
    changed,
    sha256_constants,
    tarred,
    text_plant,
    zipped,
)


def beyond_tag(version: str, library: str, glibc: str, of: str = "") -> Plant:
    """Return a plant that needs a library's symbol version beyond its manylinux tag."""
    return Plant(
        what=f"{version} under manylinux_{glibc}{of}",
        kind="symbol-version",
        image=Image(versions=(version,), version_library=library),
        tag=MANYLINUX.format(glibc),
    )


INSTRUCTIONS = (
    Plant(what="vector code", kind="isa", image=VECTOR),
    Plant(what="vector code whose attributes claim the baseline", kind="isa", image=HIDDEN),
    Plant(what="vector code without section headers", kind="isa", image=Image(text=VECTORS, section_headers=False)),
    Plant(
        what="vector code in a section for constants, with a symbol",
        kind="isa",
        image=Image(constants=code(VSETVLI, RET) + bytes(60), symbols={"hidden": (8, 6)}),
    ),
    Plant(
        what="vector code in a section for constants, without a symbol",
        kind="isa",
        image=Image(constants=b"Some text" + bytes(7) + VECTORS + bytes(40)),
    ),
    Plant(
        what="vector code behind the end of .text as its header has it",
        kind="isa",
        image=Image(text=code(RET) + VECTORS, text_size=2),
    ),
    Plant(
        what="vector code behind data at which a sweep loses step, with a symbol",
        kind="isa",
        image=Image(text=code(RET) + TRAP + code(VSETVLI, RET), symbols={"demo_sum": (4, 6)}),
    ),
    Plant(
        what="the same, with an entry in the unwind table only",
        kind="isa",
        image=Image(text=code(RET) + TRAP + code(VSETVLI, RET), unwound=((4, 6),)),
    ),
    Plant(
        what="the same, with nothing but a jump to it",
        kind="isa",
        image=Image(text=code(JUMP_OVER_TRAP) + TRAP + code(VSETVLI, RET)),
    ),
    Plant(
        what="vector code between a return and a table of constants",
        kind="isa",
        image=Image(text=code(RET) + VECTORS + sha256_constants(), symbols={"demo_sum": (0, 2)}),
    ),
    Plant(
        what="vector code behind a table of constants",
        kind="isa",
        image=Image(text=code(RET) + sha256_constants() + VECTORS, symbols={"demo_sum": (0, 2)}),
    ),
    Plant(what="attributes that declare V, without any vector code", kind="isa", image=Image(arch=RV64GCV)),
    text_plant("a read of vlenb without a test (csrr a0,vlenb)", CSRR_VLENB),
    text_plant("address arithmetic of Zba (sh1add)", 0x20A52533),
    text_plant("bit manipulation of Zbb (clz)", 0x60051513),
    text_plant("carry-less multiplication of Zbc (clmul)", 0x0AB51533),
    text_plant("single bits of Zbs (bclri)", 0x48051513),
    text_plant("half precision of Zfh (fadd.h)", 0x04B57553),
    text_plant("conditional zero of Zicond (czero.eqz)", 0x0EB55533),
    text_plant("compare and swap of Zacas (amocas.w)", 0x28B5252F),
    text_plant("compressed instructions of Zcb (c.mul)", 0x9C41),
    text_plant("vector cryptography of Zvk (vaesem.vs)", VSETVLI, 0xA7D12E77),
    text_plant("cache blocks of Zicboz (cbo.zero)", 0x0045200F),
    text_plant("a vendor's instruction (custom-0)", 0x0000000B),
    text_plant("a privileged instruction (sret)", 0x10200073),
    text_plant("a reserved encoding", 0x00007003),
    text_plant("rdcycle", 0xC0002573, kind="counters"),
    text_plant("rdinstret", 0xC0202573, kind="counters"),
    text_plant("hpmcounter3", 0xC0302573, kind="counters"),
    text_plant("hpmcounter31", 0xC1F02573, kind="counters"),
    Plant(
        what="rdcycle in a library that the recipe declares as dispatched",
        kind="counters",
        violation=False,
        image=Image(text=code(0xC0002573, RET)),
        path="demo/kernels_v.so",
        options=DISPATCHED,
    ),
    Plant(what="a declaration that matches nothing", kind="dispatched", image=PLAIN, options=DISPATCHED),
    Plant(
        what="vector code in another folder than the declared one",
        kind="isa",
        image=HIDDEN,
        path="demo/lib/kernels_v.so",
        files={"demo/kernels_v.so": VECTOR.build()},
        options=DISPATCHED,
    ),
)
NESTED_FILES = (
    Plant(what="vector code in a zip archive", kind="isa", files={"demo/plugins.zip": zipped({"x/fast.so": NESTED})}),
    Plant(
        what="vector code in a zip archive in a zip archive",
        kind="isa",
        files={"demo/plugins.zip": zipped({"x.whl": zipped({"fast.so": NESTED})})},
    ),
    Plant(
        what="vector code in an archive behind a script (a zipapp)",
        kind="isa",
        files={"demo/run.pyz": b"#!/usr/bin/env python3\n" + zipped({"fast.so": NESTED})},
    ),
    Plant(what="vector code in a tar archive", kind="isa", files={"demo/plugins.tar": tarred({"fast.so": NESTED})}),
    Plant(
        what="vector code in a compressed tar archive",
        kind="isa",
        files={"demo/plugins.tar.gz": gzip.compress(tarred({"fast.so": NESTED}))},
    ),
    Plant(what="vector code, compressed by xz", kind="isa", files={"demo/fast.so.xz": lzma.compress(NESTED)}),
    Plant(what="vector code, compressed by bzip2", kind="isa", files={"demo/fast.so.bz2": bz2.compress(NESTED)}),
    Plant(
        what="vector code, compressed by zstd",
        kind="isa",
        files={"demo/fast.so.zst": zstandard.ZstdCompressor().compress(NESTED)},
    ),
    Plant(what="vector code behind a script", kind="isa", files={"demo/install.sh": b"#!/bin/sh\n" * 9 + NESTED}),
    Plant(
        what="vector code among the data of another library",
        kind="isa",
        image=replace(PLAIN, strings=b"data" + NESTED),
    ),
    Plant(
        what="GLIBC_2.41 in a zip archive",
        kind="glibc",
        files={"demo/plugins.zip": zipped({"x.so": Image(versions=("GLIBC_2.41",)).build()})},
    ),
)
LOADING = (
    Plant(what="a library for x86-64", kind="machine", image=Image(machine=62)),
    Plant(what="soft-float ABI", kind="abi", image=Image(flags=0x1)),
    Plant(what="single-float ABI", kind="abi", image=Image(flags=0x3)),
    Plant(what="the ABI with 16 registers (RVE)", kind="abi", image=Image(flags=0xD)),
    Plant(what="the memory order of Ztso", kind="abi", image=Image(flags=0x15)),
    Plant(what="an absolute RUNPATH", kind="run-path", image=Image(runpath="/usr/local/lib")),
    Plant(what="an RPATH of the build machine", kind="run-path", image=Image(rpath="/build/lib")),
    Plant(what="an empty entry in RUNPATH (the current folder)", kind="run-path", image=Image(runpath="$ORIGIN:")),
    Plant(
        what="a RUNPATH that leaves the wheel ($ORIGIN/../../..)",
        kind="run-path",
        image=Image(runpath="$ORIGIN/../../.."),
    ),
    Plant(
        what="a RUNPATH that leaves the folder of scripts",
        kind="run-path",
        image=Image(runpath="$ORIGIN/../lib"),
        path="vectors_c-1.0.data/scripts/demo",
    ),
    Plant(what="a path in NEEDED", kind="build-path", image=Image(needed=("/build/libm.so",))),
    Plant(what="a path in SONAME", kind="build-path", image=Image(soname="out/x.so")),
    Plant(what="a needed library that is nowhere", kind="needed", image=Image(needed=("libfoo.so.1",))),
    Plant(what="a library that only a desktop has", kind="needed", image=Image(needed=("libglib-2.0.so.0",))),
    Plant(what="the interpreter's library", kind="needed", image=Image(needed=("libpython3.13.so.1.0",))),
    Plant(
        what="a declared library that another package loads, and nothing needs",
        kind="provided",
        image=PLAIN,
        options=AuditOptions(provided=("libtorch.so",)),
    ),
    Plant(
        what="16-byte atomics without libatomic",
        kind="atomic",
        image=Image(undefined=("__atomic_load_16",), needed=("libc.so.6",)),
    ),
    Plant(
        what="text relocations",
        kind="text-relocations",
        image=Image(text_relocations=True, relocated={0: R_RISCV_64}),
    ),
    Plant(what="an executable stack", kind="executable-stack", image=Image(stack=READ_WRITE_EXEC)),
    Plant(what="no header for the stack", kind="executable-stack", image=Image(stack=None)),
    Plant(what="a glibc above the tag's", kind="glibc", image=Image(versions=("GLIBC_2.40",))),
    Plant(what="private symbols of glibc", kind="glibc", image=Image(versions=("GLIBC_PRIVATE",))),
    Plant(
        what="packed relocations (DT_RELR) under manylinux_2_35",
        kind="glibc",
        image=Image(versions=("GLIBC_ABI_DT_RELR",)),
        tag=MANYLINUX.format("2_35"),
    ),
    beyond_tag("GLIBCXX_3.4.29", "libstdc++.so.6", "2_31", " (rapidfuzz's fuzz_cpp.so)"),
    beyond_tag("CXXABI_1.3.15", "libstdc++.so.6", "2_38"),
    beyond_tag("GCC_14.0.0", "libgcc_s.so.1", "2_38"),
    Plant(what="a truncated library", kind="elf", files={LIBRARY: PLAIN.build()[:200]}),
    Plant(
        what="links that are stored as copies",
        kind="duplicate",
        image=PLAIN,
        files={"demo/libx.so.1": PLAIN.build()},
    ),
    Plant(
        what="a path of the build machine in a string",
        kind="build-path",
        violation=False,
        image=Image(strings=b"/build/src/sum.c\0"),
    ),
)
WHEELS = (
    Plant(
        what="other tags in WHEEL than in the file name",
        kind="tag",
        image=PLAIN,
        tags_inside=(MANYLINUX.format("2_31"),),
    ),
    Plant(what="a tag above the target's", kind="tag", image=PLAIN, tag=MANYLINUX.format("2_41")),
    Plant(what="a tag of musl", kind="tag", image=PLAIN, tag="cp313-cp313-musllinux_1_2_riscv64"),
    Plant(what="a tag of plain linux_riscv64", kind="tag", image=PLAIN, tag="cp313-cp313-linux_riscv64"),
    Plant(what="a library in a wheel for any platform", kind="purity", image=PLAIN, tag="py3-none-any"),
    Plant(what="a library in a wheel that says it is pure", kind="purity", image=PLAIN, pure=True),
    Plant(
        what="a library in the folder for pure code (.data/purelib)",
        kind="purity",
        image=PLAIN,
        path="vectors_c-1.0.data/purelib/demo/_core.so",
    ),
    Plant(
        what="no library, though the source has C code",
        kind="purity",
        files={"demo.py": b"pass\n"},
        tag="py3-none-any",
        compiled_source="src/demo.c",
    ),
    Plant(what="no library in a wheel for riscv64", kind="purity", violation=False, files={"demo.py": b"pass\n"}),
    Plant(what="no RECORD", kind="record", image=PLAIN, record=lambda record: None),
    Plant(
        what="a RECORD that lacks a file",
        kind="record",
        image=PLAIN,
        record=lambda record: "\n".join(line for line in record.splitlines() if LIBRARY not in line),
    ),
    Plant(
        what="a RECORD with a file that is missing",
        kind="record",
        image=PLAIN,
        record=lambda record: f"demo/gone.py,sha256=x,1\n{record}",
    ),
    Plant(what="a RECORD with another hash", kind="record", image=PLAIN, record=changed("sha256=", "sha256=A")),
    Plant(what="a RECORD with another size", kind="record", image=PLAIN, record=changed("\n", "0\n")),
    Plant(what="a RECORD with a weak hash", kind="record", image=PLAIN, record=changed("sha256=", "md5=")),
    Plant(
        what="a RECORD with a file twice",
        kind="record",
        image=PLAIN,
        record=lambda record: f"{record.splitlines()[0]}\n{record}",
    ),
    Plant(
        what="a declaration that the recipe does not have",
        kind="declaration",
        image=PLAIN,
        files={f"{INFO}/{DECLARATION}": encode_declaration(AuditOptions(dispatched=("demo/*",)))},
    ),
    Plant(
        what="a bill of materials that lacks a bundled library",
        kind="bill",
        image=Image(needed=("libown.so.1",), runpath="$ORIGIN/../vectors_c.libs"),
        files={
            "vectors_c.libs/libown.so.1": Image(soname="libown.so.1").build(),
            f"{INFO}/{BILL}": b'{"components": []}',
        },
    ),
    Plant(
        what="a bill of materials that cannot be read",
        kind="bill",
        image=PLAIN,
        files={f"{INFO}/{BILL}": b"[]"},
    ),
)
BAD = (*INSTRUCTIONS, *NESTED_FILES, *LOADING, *WHEELS)
