"""Licence files of bundled libraries, from their Debian packages or wheels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from factory.model.artifacts import LibraryOrigin
from factory.model.record import is_project_name
from factory.sbom.cyclonedx import license_folder
from factory.stages.repair.provenance import recorded_rows
from factory.util.untrusted import UnsafeOutput, UntrustedFolder

DOCUMENTS = "usr/share/doc"
# Licences to which Debian's copyright files refer instead of repeating them.
COMMON = "usr/share/common-licenses"
COMMON_FOLDER = "licenses/debian/common-licenses"
CROSS = "-riscv64-cross"
LINKS = 4
_DEBIAN_NAME = re.compile(r"(?a)[a-z0-9][a-z0-9+.-]+")
_REFERENCE = re.compile(rf"/{COMMON}/([A-Za-z0-9.+-]*[A-Za-z0-9+])")
_LICENSE = re.compile(r"[^/]+\.dist-info/(?:licenses/(.+)|((?:LICEN[CS]E|COPYING|NOTICE)[^/]*))", re.IGNORECASE)


def find_licenses(
    origins: Iterable[LibraryOrigin], trees: Sequence[Path], packages: Sequence[Path], present: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return licence files of libraries' packages, by their paths in .dist-info.

    `trees` are the layers of a root, lowest first; `packages` are site-packages folders; `present` are licence files
    that the wheel has. A package without such a file has none in the result.
    """
    found: dict[str, bytes] = {}
    for origin in sorted(set(origins), key=lambda each: (each.kind, each.name, each.version)):
        texts = _of_debian(origin, trees) if origin.kind == "deb" else _of_wheel(origin, packages)
        found |= {f"{license_folder(origin)[1:]}{name}": content for name, content in texts.items()}
    added = {path: content for path, content in found.items() if path not in present}
    copyrights = [text for path, text in {**present, **added}.items() if path.startswith("licenses/debian/")]
    common = {f"{COMMON_FOLDER}/{name}": text for name, text in _common(copyrights, trees).items()}
    return dict(sorted({**added, **{path: text for path, text in common.items() if path not in present}}.items()))


def _of_debian(origin: LibraryOrigin, trees: Sequence[Path]) -> dict[str, bytes]:
    """Return the copyright file of a Debian package.

    A cross compiler's libraries have that of the compiler, whose layer has no documents.
    """
    if not _DEBIAN_NAME.fullmatch(origin.name):
        return {}
    names = [origin.name]
    if origin.name.endswith(CROSS):
        names += [origin.name.removesuffix(CROSS), f"gcc-{origin.version.partition('.')[0]}-base"]
    text = next((text for name in names if (text := _copyright(name, trees)) is not None), None)
    return {} if text is None else {"copyright": text}


def _copyright(name: str, trees: Sequence[Path]) -> bytes | None:
    """Read a package's copyright file, or another's that it links to."""
    for _ in range(LINKS):
        target: str | None = None
        for tree in reversed(trees):
            folder = tree / DOCUMENTS / name
            if folder.is_symlink():
                target = folder.readlink().name
            elif (file := folder / "copyright").is_symlink():
                target = file.readlink().parent.name
            elif file.is_file():
                return file.read_bytes()
        if not target:
            return None
        name = target
    return None


def _of_wheel(origin: LibraryOrigin, packages: Sequence[Path]) -> dict[str, bytes]:
    """Return the licence files that the RECORD of an installed wheel lists."""
    if not is_project_name(origin.name):
        return {}
    for folder in packages:
        for info in sorted(each.name for each in folder.glob("*.dist-info")):
            if canonicalize_name(info.partition("-")[0]) == origin.name:
                return dict(_recorded(UntrustedFolder(folder), info))
    return {}


def _recorded(installed: UntrustedFolder, info: str) -> Iterator[tuple[str, bytes]]:
    rows = recorded_rows(installed, info)
    try:
        for path in sorted(row[0] for row in rows if row[0].startswith(f"{info}/")):
            if match := _LICENSE.fullmatch(path):
                yield (match[1] or match[2]), installed.read(path)
    except (FileNotFoundError, UnsafeOutput):  # the build can change the files
        return


def _common(copyrights: Iterable[bytes], trees: Sequence[Path]) -> dict[str, bytes]:
    """Return the common licences that copyright files refer to, by name."""
    texts = (text.decode("utf-8", errors="replace") for text in copyrights)
    names = sorted({name for text in texts for name in _REFERENCE.findall(text)})
    files = ((name, _common_file(name, trees)) for name in names)
    return {name: path.read_bytes() for name, path in files if path is not None}


def _common_file(name: str, trees: Sequence[Path]) -> Path | None:
    for tree in reversed(trees):
        folder = tree / COMMON
        path = folder / name
        if path.is_symlink():
            path = folder / PurePosixPath(path.readlink()).name
        if path.is_file() and not path.is_symlink():
            return path
    return None
