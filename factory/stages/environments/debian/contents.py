"""Debian's Contents index: the packages that have a file which builds ask for."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from factory.errors import EnvironmentSetupError
from factory.model.distribution import Distribution
from factory.stages.environments.debian.packages import RETRY_HINT
from factory.util.log import LogSink
from factory.util.quantities import quantity
from factory.util.scratch import discard

# Counts up when the layer's file changes.
STEPS = 1
LISTS = "var/lib/apt/lists"
FILE = "contents.txt"
MAX_LINE_BYTES = 4096
# The indexes of riscv64 and of packages for all architectures, configured as apt-file does. A mirror's indexes may be
# newer than its Release file, which apt then refuses; they only propose names of packages, whose files apt verifies.
FETCH = r"""
set -eu
target=Acquire::IndexTargets::deb::Contents-deb
if apt-get update \
    -o "$target::MetaKey=\$(COMPONENT)/Contents-\$(ARCHITECTURE)" \
    -o "$target::ShortDescription=Contents-\$(ARCHITECTURE)" \
    -o "$target::Description=\$(RELEASE)/\$(COMPONENT) \$(ARCHITECTURE) Contents" \
    -o "$target::KeepCompressed=true" -o "$target::KeepCompressedAs=gz"
then exit; fi
echo '# not the indexes that the Release file lists: takes them as they are'
apt-get update
apt-get indextargets --format '$(BASE_URI)$(COMPONENT)' 'Created-By: Packages' | sort -u |
while read -r folder; do
    for architecture in "$(dpkg --print-architecture)" all; do
        name=$(echo "$folder" | tr / _)_Contents-$architecture.gz
        /usr/lib/apt/apt-helper download-file "$folder/Contents-$architecture.gz" "/LISTS/$name"
    done
done
""".replace("LISTS", LISTS)
# Headers, libraries to link, pkg-config's and CMake's files, programs.
_KEPT = re.compile(
    rb"usr/(?:include/|s?bin/[^/\s]+\s|(?:lib|share)/(?:\S+/)?(?:[^/\s]+\.pc|[^/\s]*[Cc]onfig\.cmake)\s"
    rb"|lib/(?:[^/\s]+/){0,2}lib[^/\s]+\.(?:so|a)\s)"
)
# Paths of the files by which a build finds what it asks for, by its kind; the first that a package has wins.
_PATHS: Mapping[str, tuple[str, ...]] = {
    "header": (r"usr/include/(?:TRIPLET/)?NAME", r"usr/include/(?:TRIPLET/)?[^/\s]+/NAME"),
    "library": (r"usr/lib/(?:TRIPLET/)?libNAME\.(?:so|a)", r"usr/lib/TRIPLET/[^/\s]+/libNAME\.so"),
    "pkg-config": (r"usr/(?:lib/TRIPLET|lib|share)/pkgconfig/NAME\.pc",),
    "cmake": (
        r"usr/(?:lib|share)/(?:\S+/)?(?i:NAME-?config)\.cmake",
        r"usr/(?:lib/TRIPLET|lib|share)/pkgconfig/(?i:(?:lib)?NAME)\.pc",
        r"usr/lib/TRIPLET/(?i:libNAME)\.so",
    ),
    "program": (r"usr/s?bin/NAME",),
}


@dataclass(frozen=True)
class Contents:
    """The part of a distribution's Contents indexes that builds ask for."""

    file: Path
    triplet: str

    @cached_property
    def _text(self) -> str:
        return self.file.read_text(encoding="utf-8")

    def package_of(self, kind: str, name: str, preferred: str | None = None) -> str | None:
        """Return the package with a `header`, `library`, `program`, `pkg-config` or `cmake` file.

        Of several packages it is the preferred one, else that with the shortest name, and of versions the newest; None
        stands for none.
        """
        for path in _PATHS[kind]:
            pattern = path.replace("TRIPLET", self.triplet).replace("NAME", re.escape(name))
            found = re.findall(rf"^{pattern}\t(\S+)$", self._text, re.MULTILINE)
            packages: set[str] = {package for each in found for package in each.split(",")}
            if packages:
                return min(packages, key=lambda package: (package != preferred, *_rank(package)))
        return None


def _rank(package: str) -> tuple[int, tuple[int, ...], str]:
    """Return the place of a package's name among others: llvm-22-dev before llvm-9-dev."""
    numbers = re.findall(r"\d+", package)
    return len(re.sub(r"\d+", "", package)), tuple(-int(number) for number in numbers), package


def reduce_lists(tree: Path, distribution: Distribution, log: LogSink) -> None:
    """Write the part of the fetched indexes that builds ask for; remove all else.

    Raises:
        EnvironmentSetupError: there is no index, or it is damaged.
    """
    indexes = sorted((tree / LISTS).glob("*Contents-*.gz"))
    try:
        lines = sorted({line for index in indexes for line in _kept_lines(index)})
    except (OSError, EOFError, zlib.error) as error:
        raise _unusable(distribution, str(error)) from error
    if not lines:
        raise _unusable(distribution, "the mirror has none")
    for folder in tree.iterdir():
        discard(folder)
    (tree / FILE).write_bytes(b"\n".join(lines) + b"\n")
    log.write(f"# {quantity(len(lines), 'file')} of {quantity(len(indexes), 'index', 'indexes')}\n")


def _kept_lines(index: Path) -> Iterator[bytes]:
    """Yield `path<tab>packages` of files that builds ask for."""
    with gzip.open(index) as file:
        while line := file.readline(MAX_LINE_BYTES):
            if _KEPT.match(line):
                path, _, places = line.rpartition(b" ")
                names = [place.rpartition(b"/")[2] for place in places.strip().split(b",") if b"debug/" not in place]
                if names:
                    yield path.rstrip() + b"\t" + b",".join(names)


def _unusable(distribution: Distribution, cause: str) -> EnvironmentSetupError:
    return EnvironmentSetupError(f"{distribution.name}: no index of its files: {cause}", hint=RETRY_HINT)
