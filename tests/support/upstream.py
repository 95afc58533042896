"""Package index that stands in for the host's configured one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from factory.publish.index_files import write_simple
from tests.support.wheelmaker import make_wheel, release_of


@dataclass(frozen=True)
class Upstream:
    """Index that stands in for the host's, and the requests that it got."""

    folder: Path
    asked: list[str]
    url: str

    def add(self, name: str, version: str = "1.0", **options: object) -> Path:
        path = make_wheel(self.folder / "wheels", name, version, **options)  # type: ignore[arg-type]
        files = {release_of(path): path for path in (self.folder / "wheels").glob("*.whl")}
        write_simple(list(files), files.__getitem__, self.folder / "out")
        return path

    def yank(self, name: str, reason: str | None) -> None:
        files = {release_of(path): path for path in (self.folder / "wheels").glob("*.whl")}
        yanked = {replace(each, yanked=reason) if each.project == name else each: path for each, path in files.items()}
        write_simple(list(yanked), yanked.__getitem__, self.folder / "out")

    def hide_metadata(self, name: str) -> None:
        """Remove METADATA from its page, as older indexes do."""
        page = self.folder / "out/simple" / name / "index.v1+json"
        content = json.loads(page.read_text())
        for file in content["files"]:
            del file["core-metadata"]
        page.write_text(json.dumps(content))

    def sign(self, name: str) -> None:
        """Give its files the addresses of a storage that wants a signature; neither METADATA nor sizes are told."""
        page = self.folder / "out/simple" / name / "index.v1+json"
        content = json.loads(page.read_text())
        for file in content["files"]:
            file["url"] += "?sig=SECRET"
            del file["core-metadata"], file["size"]
        page.write_text(json.dumps(content))
