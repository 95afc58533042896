"""Optional libraries, which extras of the distribution install."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from factory.errors import PrerequisiteMissing


def require_libraries(subject: str, names: Iterable[str], *, hint: str) -> None:
    """Require that modules can be imported; `hint` is how to install them.

    Raises:
        PrerequisiteMissing: one is not installed.
    """
    for name in names:
        try:
            import_module(name)
        except ImportError as error:
            missing = (error.name or name).partition(".")[0]
            raise PrerequisiteMissing(f"{subject}: {missing} is not installed", hint=hint) from error


def install_hint(extra: str) -> str:
    """Return the hint that installs an extra: the factory is on no package index."""
    return f"install the factory with its extra, in its folder: pip install '.[{extra}]'"
