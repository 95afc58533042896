"""A project as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping

from factory.model import PYTHONS
from factory.serial import unstructure
from factory.site.catalogue import Project, VersionFiles, Wheel, state_of

FORMAT = 1


def project_json(project: Project) -> str:
    """Everything that the project's pages tell. `format` counts changes of this form."""
    content = {
        "format": FORMAT,
        "name": project.name,
        "summary": project.summary,
        "states": {python: unstructure(state_of(project, python)) for python in PYTHONS},
        "versions": [_version(each) for each in project.versions],
        "failures": [unstructure(failure) for failure in project.failures],
    }
    return json.dumps(content, sort_keys=True) + "\n"


def _version(files: VersionFiles) -> Mapping[str, object]:
    return {"version": files.version, "files": [_file(wheel) for wheel in files.wheels]}


def _file(wheel: Wheel) -> Mapping[str, object]:
    release = wheel.release
    return {
        "filename": release.filename,
        "sha256": release.sha256,
        "size": release.size,
        "uploaded": release.uploaded,
        "requires_python": release.requires_python,
        "yanked": release.yanked,
        "origin": "built" if wheel.built else "mirrored",
        "license": "" if wheel.report is None else wheel.report.license,
        "build": None if wheel.build is None else unstructure(wheel.build),
    }
