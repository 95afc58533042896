"""Dependencies of named wheels.

Other wheels built here are published where they are needed, and only there.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from factory.publish.publisher import Publication, Terms
from tests.support.publications import publish_to, stored
from tests.support.upstream import Upstream
from tests.support.wheelmaker import RISCV, make_wheel


def names(publication: Publication) -> list[str]:
    return [release.project for release in publication.releases]


def test_wheel_needed_through_another_project_is_published(tmp_path: Path, upstream: Upstream) -> None:
    """As uvloop, which uvicorn[standard] requires, of which only we have a riscv64 wheel."""
    upstream.add("server", requires=["loop; extra == 'standard'"], extras=["standard"])
    engine = stored(make_wheel(tmp_path / "store", "engine", requires=["server[standard]"]))
    offered = [
        stored(make_wheel(tmp_path / "store", "loop", tag=RISCV, requires=["maths"])),
        stored(make_wheel(tmp_path / "store", "maths", tag=RISCV)),
        stored(make_wheel(tmp_path / "store", "unneeded")),
    ]
    publication = publish_to(tmp_path, engine, offered=offered)
    assert names(publication) == ["engine", "loop", "maths", "server"]
    assert (publication.refused, publication.notes) == ((), ())
    assert publish_to(tmp_path, engine, offered=offered).added == ()


def test_only_the_needed_version_is_published(tmp_path: Path, upstream: Upstream) -> None:
    engine = stored(make_wheel(tmp_path / "store", "engine", requires=["maths<2"]))
    offered = [stored(make_wheel(tmp_path / "store", "maths", version)) for version in ("1.0", "2.0")]
    publication = publish_to(tmp_path, engine, offered=offered)
    assert [(each.project, each.version) for each in publication.releases] == [("engine", "1.0"), ("maths", "1.0")]


def test_wheel_built_since_is_published_with_its_dependent(tmp_path: Path, upstream: Upstream) -> None:
    engine = stored(make_wheel(tmp_path / "store", "engine", requires=["maths"]))
    publish_to(tmp_path, engine, offered=[stored(make_wheel(tmp_path / "store", "maths"))])
    rebuilt = stored(make_wheel(tmp_path / "store", "maths", build="1", code="ANSWER = 43\n"))
    publication = publish_to(tmp_path, engine, offered=[rebuilt])
    assert [release.filename for release in publication.added] == [rebuilt.path.name]


def test_needed_wheel_that_shadows_is_refused_with_its_dependent(tmp_path: Path, upstream: Upstream) -> None:
    upstream.add("maths", tag="cp313-cp313-win_amd64")
    engine = stored(make_wheel(tmp_path / "store", "engine", requires=["maths"]))
    innocent = stored(make_wheel(tmp_path / "store", "innocent"))
    offered = [stored(make_wheel(tmp_path / "store", "maths"))]
    publication = publish_to(tmp_path, engine, innocent, offered=offered)
    assert names(publication) == ["innocent"]
    assert [each.message.partition(":")[0] for each in publication.refused] == ["maths", "engine==1.0"]
    permitted = publish_to(tmp_path, engine, offered=offered, terms=Terms(may_shadow=frozenset({"maths"})))
    assert names(permitted) == ["engine", "innocent", "maths"]


def test_offered_wheels_that_are_not_needed_are_not_judged(tmp_path: Path, upstream: Upstream) -> None:
    upstream.add("taken")
    engine = stored(make_wheel(tmp_path / "store", "engine"))
    unchecked = dataclasses.replace(stored(make_wheel(tmp_path / "store", "unchecked")), profiles=())
    damaged = dataclasses.replace(stored(make_wheel(tmp_path / "store", "damaged")), sha256="0" * 64)
    taken = stored(make_wheel(tmp_path / "store", "taken"))
    publication = publish_to(tmp_path, engine, offered=[unchecked, damaged, taken])
    assert (names(publication), publication.refused) == (["engine"], ())
