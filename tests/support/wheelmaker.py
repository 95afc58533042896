"""Small wheels, written by hand so that tests can also make invalid ones."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from factory.publish.release import Built, Release
from factory.publish.wheel_metadata import describe_wheel
from factory.util.atomic_files import sha256_of

RISCV = "cp313-cp313-manylinux_2_38_riscv64"
BUILT = Built(record="key", profiles=("rv64gc", "k1"))


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    build: str = "",
    requires: Sequence[str] = (),
    extras: Sequence[str] = (),
    requires_python: str | None = None,
    code: str = "ANSWER = 42\n",
    more: Mapping[str, str] | None = None,
) -> Path:
    """Make a wheel with one module; `more` are files of its .dist-info."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    lines += [f"Provides-Extra: {extra}" for extra in extras]
    lines += [] if requires_python is None else [f"Requires-Python: {requires_python}"]
    info = f"{name}-{version}.dist-info"
    members = {
        f"{name}.py": code,
        f"{info}/METADATA": "\n".join(lines) + "\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        **{f"{info}/{path}": text for path, text in (more or {}).items()},
    }
    members[f"{info}/RECORD"] = "".join(_record_line(*item) for item in members.items()) + f"{info}/RECORD,,\n"
    parts = [name, version, *([build] if build else []), tag]
    return write_zip(folder / f"{'-'.join(parts)}.whl", members)


def write_zip(path: Path, members: Mapping[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return path


def add_provenance(wheel: Path, *sha256s: str) -> Path:
    """Provenance beside a wheel, with an attestation of each of these sha256, or else of the wheel's own."""
    attestations = []
    for sha256 in sha256s or (sha256_of(wheel),):
        subject = {"name": wheel.name, "digest": {"sha256": sha256}}
        statement = {"_type": "https://in-toto.io/Statement/v1", "subject": [subject]}
        encoded = base64.b64encode(json.dumps(statement).encode()).decode()
        attestations.append({"version": 1, "envelope": {"statement": encoded, "signature": "AAAA"}})
    bundles = [{"publisher": {"kind": "test"}, "attestations": attestations}]
    path = wheel.with_name(f"{wheel.name}.provenance")
    path.write_text(json.dumps({"version": 1, "attestation_bundles": bundles}))
    return path


def release_of(path: Path) -> Release:
    return describe_wheel(path, BUILT)


def tree_of(root: Path) -> dict[str, str]:
    """Every file below `root` and its hash."""
    return {str(path.relative_to(root)): sha256_of(path) for path in sorted(root.rglob("*")) if path.is_file()}


def _record_line(name: str, text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(text.encode())}\n"
