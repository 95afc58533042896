"""Environment variables and paths of commands in roots."""

from __future__ import annotations

from factory.model.distribution import Distribution
from factory.stages.environments.debian.clang import clang_variables

# Two seconds after 1980-01-01, the epoch of zip files: wheels cannot hold an earlier time.
SOURCE_DATE_EPOCH = "315532802"
# A build's virtual environment. In PATH it comes after the native tools and before the root's own programs.
BUILD_VENV = "/build/venv"
BUILD_VENV_PATH = f"{BUILD_VENV}/bin"
BASE_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
NATIVE_PATH = "/opt/native/ccache:/opt/native/bin"
UV_PATH = "/opt/uv/bin"
CHECK_VENV = "/opt/venv"
COMMON = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH,
    "UV_CACHE_DIR": "/packages/uv",
    "PIP_CACHE_DIR": "/packages/pip",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}


def compiler_variables(toolchain: str, distribution: Distribution) -> dict[str, str]:
    """Return the variables that select a toolchain; build systems default to GCC."""
    return clang_variables(distribution) if toolchain == "clang" else {}


def debian_variables(toolchain: str, distribution: Distribution) -> dict[str, str]:
    """Return the variables for builds with the distribution's riscv64 compilers."""
    compilers = compiler_variables(toolchain, distribution)
    return {**COMMON, **compilers, "VIRTUAL_ENV": BUILD_VENV, "PATH": f"{UV_PATH}:{BUILD_VENV_PATH}:{BASE_PATH}"}
