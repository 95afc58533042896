"""Installation of a package in a check's root, without its code and the network at once.

What a check requires beyond the package is resolved and downloaded while only the metadata of the package is there: a
package can leave files that run whenever Python starts, or in place of pip.

A native pip also compiles all modules to byte code: that takes less time than it takes each check under QEMU to compile
those that it imports.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from factory.errors import CheckFailed, CommandFailed
from factory.model.protocols import BUILD, INPUTS, Command, Sandbox
from factory.model.recipe import Recipe
from factory.util.failure_hints import hint_for, is_machines_fault
from factory.util.hang_limits import HangLimits, hang_limits
from factory.util.log import LogSink
from factory.util.untrusted import UntrustedFolder

CONSTRAINTS, REPORT = "constraints.txt", "check-requires.json"
# Wheels of the package and of its requirements, their metadata, and wheels that only the check requires.
OWN, METADATA, OTHERS = "check-own", "check-metadata", "check-others"
# pip prints little while it downloads.
LIMITS = HangLimits(silent=3600)
UNPACK_METADATA = """
import pathlib, sys, zipfile
for path in pathlib.Path(sys.argv[1]).glob("*.whl"):
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.count("/") == 1 and name.endswith(".dist-info/METADATA"):
                archive.extract(name, sys.argv[2])
"""
OFFLINE = ("--no-cache-dir", "--no-index", "--no-deps")
# With SOURCE_DATE_EPOCH, byte code would be checked against hashes of its sources at each start.
TIMESTAMPS = {"SOURCE_DATE_EPOCH": ""}


def install(
    sandbox: Sandbox, recipe: Recipe, index_url: str, ours: Collection[str], log: LogSink, *, compiles: bool = False
) -> None:
    """Install the package from the index at `index_url`, then the check's requirements.

    Required projects in `ours` (normalized names) come from that index, all others from the host's index; these do not
    replace the package by another version. With `compiles`, all modules are compiled to byte code.

    Raises:
        CheckFailed: pip failed.
    """
    required = recipe.check.requires
    from_index = [text for text in required if canonicalize_name(Requirement(text).name) in ours]
    from_host = [text for text in required if text not in from_index]
    index = ["--no-cache-dir", "--index-url", index_url]
    own = f"{recipe.project}=={recipe.version}"
    whole = recipe.check.dependencies
    downloads = [[own, *from_index]] if whole else [["--no-deps", own], from_index]
    install = ["pip", "--isolated", "install", *([] if compiles else ["--no-compile"])]
    with _failures(recipe):
        if whole and not from_host:
            argv = [*install, *index, own, *from_index]
            _run(sandbox, Command(argv, env=TIMESTAMPS, network=True, native_pip=True), log)
            return
        for names in filter(None, downloads):
            download = ["pip", "--isolated", "download", *index, "--dest", f"{BUILD}/{OWN}", *names]
            _run(sandbox, Command(download, network=True, native_pip=True), log)
        others = _download_others(sandbox, recipe, from_host, log) if from_host else []
        # Offline, since the package is in the root after the first of them.
        for folder in (OWN, *([OTHERS] if others else [])):
            files = UntrustedFolder(sandbox.work).names(folder)
            wheels = [f"{BUILD}/{folder}/{name}" for name in files if name.endswith(".whl")]
            _run(sandbox, Command([*install, *OFFLINE, *wheels], env=TIMESTAMPS, native_pip=True), log)


def _download_others(sandbox: Sandbox, recipe: Recipe, required: Sequence[str], log: LogSink) -> Sequence[str]:
    """Download what pip would install for the check beside the package; returns its pins."""
    (sandbox.inputs / CONSTRAINTS).write_text(f"{recipe.project}=={recipe.version}\n")
    _run(sandbox, Command(["python", "-c", UNPACK_METADATA, f"{BUILD}/{OWN}", f"{BUILD}/{METADATA}"]), log)
    # pip takes a distribution with metadata in its path as installed.
    installed = {"PYTHONPATH": f"{BUILD}/{METADATA}"}
    resolve = ["pip", "install", "--dry-run", "--report", f"{BUILD}/{REPORT}"]
    resolve += ["--constraint", f"{INPUTS}/{CONSTRAINTS}", *required]
    _run(sandbox, Command(resolve, env=installed, network=True, native_pip=True), log)
    pins = _pins(recipe, UntrustedFolder(sandbox.work).read_json(REPORT))
    if pins:
        wheels = ["pip", "wheel", "--no-deps", "--wheel-dir", f"{BUILD}/{OTHERS}", *pins]
        _run(sandbox, Command(wheels, network=True, native_pip=True), log)
    return pins


def _pins(recipe: Recipe, report: Any) -> list[str]:
    """Return the requirements with versions that pip's report names."""
    try:
        return [
            f"{item['metadata']['name']} @ {item['download_info']['url']}"
            if item["is_direct"]
            else f"{item['metadata']['name']}=={item['metadata']['version']}"
            for item in report["install"]
        ]
    except (LookupError, TypeError) as error:
        raise CheckFailed(f"{recipe.label}: check.requires: pip wrote no report of versions: {error!r}") from error


@contextmanager
def _failures(recipe: Recipe) -> Iterator[None]:
    try:
        yield
    except CommandFailed as error:
        raise CheckFailed(
            f"{recipe.label}: pip install from the index failed:\n{error.output}",
            hint=hint_for(error.output, network=True),
            machines_fault=is_machines_fault(error.output, network=True),
        ) from error


def _run(sandbox: Sandbox, command: Command, log: LogSink) -> None:
    with hang_limits("pip install", LIMITS, log) as watched:
        sandbox.run(command, log=watched)
