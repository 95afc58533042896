"""Values that content keys omit: the first defaults of fields and CPUs of profiles.

They are literals and never change, so keys of stored builds stay valid. When a default in the program changes, recipes
that rely on it get another key, and are built and checked again; recipes that state the old value keep theirs.
A new field gets its default here, once.
"""

from __future__ import annotations

from collections.abc import Mapping

SOURCE: Mapping[str, object] = {"overlay": None, "parts": {}}

# By class and field. Fields whose default is another of these classes are omitted if nothing is left of them.
DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "Recipe": {
        "based_on": "",
        "build_number": 0,
        "shadows_upstream": False,
        "suite": None,
        "distribution": "",
        "file_sha256": "",
    },
    "BuildOptions": {
        "builder": "pep517",
        "config_settings": {},
        "environment": {},
        "requires": (),
        "apt": (),
        "rust": False,
        "toolchains": ("gcc",),
        "memory_per_job": 0,
        "emulated_python": False,
        "processor_time": "",
        "replaced_requires": {},
    },
    "RepackOptions": {"replaced": {}, "excluded": (), "placed": {}},
    "RepairOptions": {"left_out": ()},
    "AuditOptions": {"dispatched": (), "pure": False, "provided": (), "in_wheel": False},
    "CheckOptions": {
        "script": None,
        "model": None,
        "profiles": ("rv64gc", "rvv128", "k1", "rva23", "vlen1024"),
        "requires": (),
        "dependencies": True,
        "expect": {},
        "same_tokens": 0,
        "logits_tolerance": 0.0,
        "build_root": False,
        "needs_source": False,
        "model_profiles": (),
        "time_limit": "4h",
    },
    "PypiSource": SOURCE,
    "DebianSource": {**SOURCE, "packaging": None},
    "DebianPackaging": {"left_out": ()},
    "DebSource": SOURCE,
    "LocalSource": {**SOURCE, "sha256": ""},
    "GitSource": {**SOURCE, "sha256": "", "tag": "", "submodules": False},
    "UrlSource": SOURCE,
}

# QEMU's CPU of each profile. A profile that is not here, or has another CPU, is part of the key.
CPUS: Mapping[str, str] = {
    "rv64gc": "sifive-u54",
    "rva22": "rva22s64",
    "rvv128": "rva22s64,v=true,vlen=128",
    "k1": "rva22s64,v=true,vlen=256,zfh=true,zvfh=true",
    "rva23": "rva23s64",
    "vlen512": "max,vlen=512",
    "vlen1024": "max,vlen=1024",
}
