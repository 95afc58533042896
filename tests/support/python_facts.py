"""Facts of a Python that builds ask for, as JSON: python python_facts.py.

Both of a build's Pythons run this file; their answers must be equal.
"""

import ctypes
import ctypes.util
import importlib.machinery
import inspect
import json
import locale
import mmap
import os
import platform
import site
import struct
import subprocess
import sys
import sysconfig

# Objects that differ from process to process.
OF_THE_PROCESS = {"modules", "meta_path", "path_hooks", "path_importer_cache", "stdin", "stdout", "stderr"}
OF_THE_PROCESS |= {"__stdin__", "__stdout__", "__stderr__", "argv", "stdlib_module_names", "__spec__", "__loader__"}
PLATFORM = ("machine", "processor", "architecture", "platform", "libc_ver", "python_compiler", "python_build", "uname")


CHANGING = ("SC_AVPHYS_PAGES",)


def answer(function: object, argument: object) -> str:
    """Return the answer of a call, or its error."""
    try:
        return repr(function(argument))  # type: ignore[operator]
    except (ValueError, TypeError, OSError) as error:
        return repr(error)


def facts() -> dict[str, object]:
    """Return the facts by name."""
    found: dict[str, object] = {
        f"sys.{name}": repr(value)
        for name, value in vars(sys).items()
        if name not in OF_THE_PROCESS and not callable(value)
    }
    found["sys.stdlib_module_names"] = sorted(sys.stdlib_module_names)
    found |= {f"platform.{name}": repr(getattr(platform, name)()) for name in PLATFORM}
    found["sysconfig"] = {name: repr(value) for name, value in sysconfig.get_config_vars().items()}
    found["schemes"] = {name: sysconfig.get_paths(name) for name in sysconfig.get_scheme_names()}
    found["scheme"] = sysconfig.get_default_scheme()
    found["files"] = [sysconfig.get_config_h_filename(), sysconfig.get_makefile_filename(), sysconfig.get_platform()]
    found["suffixes"] = [importlib.machinery.EXTENSION_SUFFIXES, importlib.machinery.all_suffixes()]
    found["module of a path"] = inspect.getmodulename("x.cpython-313-riscv64-linux-gnu.so")
    found["os"] = [repr(os.uname()), os.cpu_count(), mmap.PAGESIZE]
    found["confstr"] = {name: answer(os.confstr, number) for name, number in os.confstr_names.items()}
    found["sysconf"] = {name: answer(os.sysconf, name) for name in os.sysconf_names if name not in CHANGING}
    found["limits"] = [os.confstr("CS_XBS5_LP64_OFF64_CFLAGS"), os.sysconf(os.sysconf_names["SC_CHAR_MAX"])]
    found["errors"] = [answer(os.confstr, "none"), answer(os.sysconf, -9), answer(os.sysconf, [])]
    found["uname"] = subprocess.run(["uname", "-a"], stdout=subprocess.PIPE, check=True, text=True).stdout
    found["sizes"] = [struct.calcsize(f"@{code}") for code in "bBhHiIlLqQnNefdP"]
    found["C types"] = [ctypes.sizeof(each) for each in (ctypes.c_long, ctypes.c_wchar, ctypes.c_longdouble)]
    found["libraries"] = [ctypes.util.find_library(name) for name in ("c", "m", "z", "stdc++")]
    found["C locale"] = [locale.CHAR_MAX, locale.localeconv(), locale.format_string("%d", 123456, grouping=True)]
    found["locale"] = [locale.getpreferredencoding(False), sys.getfilesystemencoding()]
    found["site"] = [site.getsitepackages(), site.getusersitepackages(), site.PREFIXES, site.ENABLE_USER_SITE]
    found["variables"] = dict(os.environ)
    return found


if __name__ == "__main__":
    print(json.dumps(facts(), indent=1, sort_keys=True))
