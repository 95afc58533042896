"""Actions that workflows use, emulated by folders."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Options = Mapping[str, str]
Outputs = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A runner's folder with the checkout, and the folders that stand for GitHub's storage.

    `tools` has the environments of nox, which all clones share: to install them takes minutes.
    """

    workspace: Path
    storage: Path
    tools: Path
    repository: Path


def checkout(machine: Machine, _options: Options) -> Outputs:
    """Clone the repository's HEAD."""
    command = ["git", "clone", "--quiet", "--no-hardlinks", str(machine.repository), str(machine.workspace)]
    subprocess.run(command, check=True)
    machine.tools.mkdir(parents=True, exist_ok=True)
    (machine.workspace / ".nox").symlink_to(machine.tools)
    return {}


def restore_cache(machine: Machine, options: Options) -> Outputs:
    """Copy the cache of a key, or the newest one whose key has a prefix."""
    caches = machine.storage / "caches"
    exact = caches / options["key"]
    prefixes = options.get("restore-keys", "").split()
    similar = [path for path in caches.glob("*") if any(path.name.startswith(prefix) for prefix in prefixes)]
    found = exact if exact.is_dir() else max(similar, key=lambda path: path.stat().st_mtime_ns, default=None)
    if found is not None:
        _copy(found, machine.workspace)
    return {"cache-hit": str(found == exact).lower()}


def save_cache(machine: Machine, options: Options) -> Outputs:
    """Keep files under a key; a key is written once."""
    kept = machine.storage / "caches" / options["key"]
    paths = [machine.workspace / path for path in options["path"].split() if (machine.workspace / path).exists()]
    if not kept.exists() and paths:
        _gather(paths, machine.workspace, kept)
    return {}


def upload(machine: Machine, options: Options) -> Outputs:
    """Keep files as an artifact, below their common folder."""
    kept = machine.storage / "artifacts" / options["name"]
    if kept.exists():
        if options.get("overwrite") != "true":
            raise FileExistsError(f"an artifact {options['name']} exists")
        shutil.rmtree(kept)
    paths = [machine.workspace / path for path in options["path"].split() if (machine.workspace / path).exists()]
    if not paths and options.get("if-no-files-found") == "error":
        raise FileNotFoundError(f"no files for the artifact {options['name']}")
    if paths:
        _gather(paths, _common_folder(paths), kept)
    return {}


def download(machine: Machine, options: Options) -> Outputs:
    """Copy an artifact, or each artifact into a folder of its name."""
    target, artifacts = machine.workspace / options.get("path", "."), machine.storage / "artifacts"
    if name := options.get("name"):
        _copy(artifacts / name, target)
        return {}
    for artifact in artifacts.glob(options.get("pattern") or "*"):
        _copy(artifact, target / artifact.name)
    return {}


def upload_pages(machine: Machine, options: Options) -> Outputs:
    """Keep a folder as the site."""
    _copy(machine.workspace / options["path"], machine.storage / "pages")
    return {}


def deploy_pages(machine: Machine, _options: Options) -> Outputs:
    """Return the address of the kept site."""
    return {"page_url": (machine.storage / "pages").as_uri()}


ACTIONS: Mapping[str, Callable[[Machine, Options], Outputs]] = {
    "actions/checkout": checkout,
    "actions/cache/restore": restore_cache,
    "actions/cache/save": save_cache,
    "actions/upload-artifact": upload,
    "actions/download-artifact": download,
    "actions/upload-pages-artifact": upload_pages,
    "actions/deploy-pages": deploy_pages,
}


def _common_folder(paths: Sequence[Path]) -> Path:
    folders = [path if path.is_dir() else path.parent for path in paths]
    return Path(os.path.commonpath(folders))


def _gather(paths: Sequence[Path], base: Path, target: Path) -> None:
    for path in paths:
        _copy(path, target / path.relative_to(base))


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, symlinks=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
