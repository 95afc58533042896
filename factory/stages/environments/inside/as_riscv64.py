"""Runs a tool in pure Python on the native Python, as if on the riscv64 interpreter that was called.

Usage: python -I -S as_riscv64.py REQUEST ARGUMENT...; sitecustomize.py says what the request holds.
"""

import ast
import os
import runpy
import sys
from types import SimpleNamespace
from typing import Any


def present(request: dict[str, Any]) -> None:
    """Give `sys` and `os` the riscv64 interpreter's values.

    They come before sysconfig is first imported, which then reads that interpreter's own configuration.
    """
    own = [path for path in sys.path if path.startswith(sys.prefix)]
    # The extension modules of the standard library are the native ones; all others stay out of such tools.
    theirs = [path for path in request["sys"].pop("path") if not path.endswith("lib-dynload")]
    sys.path[:] = own + theirs
    for name, value in request["sys"].items():
        setattr(sys, name, value)
    implementation: SimpleNamespace = sys.implementation  # type: ignore[assignment]
    implementation._multiarch = request["triplet"]
    system = os.uname()
    os.uname = lambda: os.uname_result((*system[:4], request["machine"]))


def main(request: dict[str, Any], arguments: list[str]) -> None:
    """Run the module or the script that the request names."""
    present(request)
    if request["module"]:
        sys.argv = [request["module"], *arguments]
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [request["script"], *arguments]
        runpy.run_path(request["script"], run_name="__main__")


if __name__ == "__main__":
    main(ast.literal_eval(sys.argv[1]), sys.argv[2:])
