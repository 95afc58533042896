"""What pages tell of one wheel: how it was built, what is in it, and its checks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import markupsafe

from factory.model.target import PROFILES, PYTHONS
from factory.publish.reports import Contents, Patch
from factory.site import filters
from factory.site.projects import Wheel, log_title, rank_of
from factory.site.templating import Values, filled
from factory.util.paths import short

ENDINGS = {True: "passed", False: "failed"}
ORIGINS = {True: "built here", False: "by its own project; the file is unchanged"}
NO_LICENCE = "not stated in the wheel"
# Of builds without a recorded audit.
NO_CONTENTS = Contents(libraries=0, glibc=None, dispatched=(), system_libraries=())


class CheckLine(NamedTuple):
    """What is the same in many lines of checks: `log` is the number of the one that tells it in full, if there is."""

    profile: str
    stands_for: str
    python: str
    ended: str
    log: int | None


def section_of(number: int, wheel: Wheel, name: str) -> str:
    """What a version's page tells of a wheel, the page's `number`th."""
    release, build, time = wheel.release, wheel.build, wheel.time
    values = {
        "number": str(number),
        "filename": release.filename,
        "link": wheel.address,
        "size": filters.size(release.size),
        "provenance": wheel.provenance or "",
        "sha256": release.sha256,
        "time": time,
        "day": filters.day(time),
        "origin": "repacked here" if wheel.repacked else ORIGINS[wheel.built],
        "requires_python": release.requires_python or "any",
        "yanked": "" if release.yanked is None else release.yanked or "without a reason",
    }
    if build is None:
        values["license"] = "" if wheel.report is None else wheel.report.license or NO_LICENCE
        return filled("wheel.html", "section", Values(texts=values), False, (), ())
    recipe, titles = build.recipe or name, tuple(wheel.logs)
    order, lines = _check_lines(tuple([(each.python, each.profile, each.passed) for each in build.checks]), titles)
    checks = [build.checks[place] for place in order]
    python = checks[0].python if checks else PYTHONS[0]
    values |= {
        "sbom": wheel.sbom or "",
        "stages": filters.stages(build.stages),
        "environment": f"{build.mode}; {filters.tools(build.toolchain)}",
        "requirements": ", ".join(build.requirements) or "none",
        "source": build.source_sha256,
        "record": build.record,
        "rebuild": f"factory build {recipe} --python {python}\n"
        f"factory rebuild {recipe} --record {short(build.record)} --verify",
    }
    lists = {
        "logs": list(wheel.logs.values()),
        "seconds": [filters.duration(check.seconds) for check in checks],
        "shown": [check.shown for check in checks],
    }
    told = Values(texts=values, lists=lists, safe={"facts": facts_of(wheel) or ""})
    return filled("wheel.html", "section", told, True, titles, lines)


@lru_cache(maxsize=1024)
def _check_lines(
    checks: Sequence[tuple[str, str, bool]], logs: Sequence[str]
) -> tuple[Sequence[int], Sequence[CheckLine]]:
    """The order of checks (Python, profile, whether it passed) on a page that has those logs, and their lines."""
    order = sorted(range(len(checks)), key=lambda place: (checks[place][0], rank_of(checks[place][1])))
    return order, tuple([_check_line(*checks[place], logs) for place in order])


def _check_line(python: str, profile: str, passed: bool, logs: Sequence[str]) -> CheckLine:
    title = log_title("check", python)
    return CheckLine(
        profile=profile,
        stands_for=PROFILES[profile].stands_for if profile in PROFILES else "",
        python=python,
        ended=ENDINGS[passed],
        log=logs.index(title) if title in logs else None,
    )


def facts_of(wheel: Wheel) -> markupsafe.Markup | None:
    """What there is to know of a wheel that was built here, None of another."""
    if wheel.build is None or wheel.report is None:
        return None
    build = wheel.build
    return _facts_of(build.repacked_from, build.baseline, build.contents, build.patches, wheel.report.license)


@lru_cache(maxsize=256)
def _facts_of(
    repacked_from: str, baseline: str, contents: Contents | None, patches: Sequence[Patch], license_: str
) -> markupsafe.Markup:
    """The same for the wheels of a version, mostly, and often for those of the next."""
    audited, contents = contents is not None, contents or NO_CONTENTS
    bundled = contents.bundled or ()
    values = Values(
        texts={
            "repacked_from": repacked_from,
            "baseline": baseline,
            "glibc": contents.glibc or "",
            "system_libraries": ", ".join(contents.system_libraries),
            "license": license_ or NO_LICENCE,
        },
        lists={
            "dispatched": [library.path for library in contents.dispatched],
            "extensions": [", ".join(library.extensions) for library in contents.dispatched],
            "bundled": [library.path for library in bundled],
            "from": [filters.from_package(library.package) for library in bundled],
            "sboms": contents.sboms,
            "patches": [patch.name for patch in patches],
            "statuses": [patch.upstream_status for patch in patches],
        },
    )
    return markupsafe.Markup(filled("wheel.html", "facts", values, audited, contents.bundled is not None))
