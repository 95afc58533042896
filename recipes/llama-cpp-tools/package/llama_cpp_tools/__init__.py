"""llama.cpp's command line programs; `BIN` is the folder that they and their libraries lie in.

The commands on PATH are entry points that become the programs. A program in the environment's own `bin` could not find
its libraries: the way from there depends on the Python and on the installer.
"""

import os
import sys
from typing import NoReturn

BIN = f"{__path__[0]}/bin"


def bench() -> NoReturn:
    """Become llama-bench."""
    _become("llama-bench")


def cli() -> NoReturn:
    """Become llama-cli."""
    _become("llama-cli")


def completion() -> NoReturn:
    """Become llama-completion."""
    _become("llama-completion")


def quantize() -> NoReturn:
    """Become llama-quantize."""
    _become("llama-quantize")


def server() -> NoReturn:
    """Become llama-server."""
    _become("llama-server")


def _become(program: str) -> NoReturn:
    os.execv(f"{BIN}/{program}", sys.argv)
