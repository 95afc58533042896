"""A project as JSON for programs: `index.json` beside its page."""

from __future__ import annotations

from collections.abc import Mapping

from factory.publish.release import Built
from factory.publish.reports import About
from factory.site.project_facts import links_of
from factory.site.projects import Project, VersionFiles
from factory.site.wheel_needs import ANY
from factory.site.wheels import Wheel
from factory.util.jsonio import encode

FORMAT = 2


def project_json(project: Project, since: Mapping[str, str]) -> str:
    """Return a project as JSON; `format` is the version of this form.

    Addresses of files in the index are relative to the JSON file. Requirements, links and modules are those of the
    current version. `since` has the first version with the project's own riscv64 wheels, for each Python for which it
    is known.
    """
    report = project.report
    about = (report.about if report else None) or About()
    content = {
        "format": FORMAT,
        "name": project.name,
        "summary": project.summary,
        "requires": about.requires,
        "links": links_of(about),
        "modules": about.modules,
        "states": project.states,
        "upstream_since": since,
        "versions": [_version(each) for each in project.versions],
        "failures": project.failures,
    }
    return encode(content).decode() + "\n"


def _version(files: VersionFiles) -> Mapping[str, object]:
    return {"version": files.version, "files": [_file(wheel) for wheel in files.wheels]}


def _file(wheel: Wheel) -> Mapping[str, object]:
    release = wheel.release
    built = release.origin if isinstance(release.origin, Built) else None
    return {
        "filename": release.filename,
        "url": wheel.address,
        "provenance": wheel.provenance,
        "sha256": release.sha256,
        "size": release.size,
        "uploaded": release.uploaded,
        "requires_python": release.requires_python,
        "yanked": release.yanked,
        "origin": "mirrored" if built is None else "built",
        "profiles": () if built is None else built.profiles,
        "pythons": () if built is None else built.pythons,
        "license": "" if wheel.report is None else wheel.report.license,
        "record": None if wheel.build is None else wheel.build.record,
        "glibc": None if wheel.glibc in ("", ANY) else wheel.glibc,
        "repacked_from": None if wheel.build is None else wheel.build.repacked_from or None,
        "logs": list(wheel.logs.values()),
        "sbom": wheel.sbom,
        "statements": wheel.statements,
        "licenses": wheel.licenses,
    }
