from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import pytest

from factory.errors import StoreError
from factory.util.jsonio import dumps, encode, identify, load, save

T = TypeVar("T")
FIRST_RECORD = """{
 "facts": {
  "answer": 42
 },
 "log": "logs/demo/build.log",
 "names": [
  "a",
  "\\u00fc"
 ],
 "seconds": 1
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record as an older program wrote it (FIRST_RECORD), with a field that came later."""

    names: tuple[str, ...]
    seconds: float
    log: Path
    facts: Mapping[str, object] = field(default_factory=dict)
    later: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Generic[T]):
    """A finished step, as `factory.pipeline.checkpoints` keeps it."""

    value: T
    record: Record


RECORD = Record(names=("a", "ü"), seconds=1.0, log=Path("/cache/logs/demo/build.log"), facts={"answer": 42})


def test_load_older_record_gives_defaults_and_paths_below_root(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(FIRST_RECORD)
    assert load(path, Record, Path("/cache")) == RECORD


def test_save_writes_sorted_ascii_with_relative_paths(tmp_path: Path) -> None:
    save(tmp_path / "record.json", RECORD, Path("/cache"))
    expected = FIRST_RECORD.replace(' "log"', ' "later": null,\n "log"').replace(": 1\n", ": 1.0\n")
    assert (tmp_path / "record.json").read_text() == expected
    assert '"log": "/cache/logs/demo/build.log"' in dumps(RECORD)


@pytest.mark.parametrize(("kind", "value"), [(tuple[Path, ...], (Path("/cache/a"),)), (str, "x"), (object, ["x"])])
def test_load_generic_step_takes_its_kind(kind: type, value: object, tmp_path: Path) -> None:
    path = tmp_path / "step.json"
    save(path, Step(value=value, record=RECORD), Path("/cache"))
    assert load(path, Step[kind], Path("/cache")) == Step(value=value, record=RECORD)  # type: ignore[valid-type]


def test_identify_omits_given_defaults_and_keeps_mapping_order() -> None:
    record = Record(names=(), seconds=0.5, log=Path("/recipes/demo/x"), facts={"b": None, "a": Path("/recipes/y")})
    text = '{"names": [], "seconds": 0.5, "log": "demo/x", "facts": {"b": null, "a": "y"}}'
    assert identify(record, Path("/recipes"), {"Record": {"later": None}}) == text
    changed = {"Record": {"later": "of before", "seconds": 0.5}}
    assert json.loads(identify(record, Path("/recipes"), changed)) == {
        "names": [],
        "log": "demo/x",
        "facts": {"b": None, "a": "y"},
        "later": None,
    }


@pytest.mark.parametrize("text", ["", "[]", '{"names": ["a"]}', FIRST_RECORD.replace("[", "[1,"), '"\\ud800"', "\xff"])
def test_load_damaged_file_names_it_and_the_remedy(text: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match=r"record\.json: file is damaged: ") as caught:
        load(path, Record)
    assert caught.value.hint == f"remove it and run again: rm {path}"


def test_dumps_unknown_type_raises() -> None:
    with pytest.raises(NotImplementedError, match="bytearray_iterator"):
        dumps((iter(bytearray()),))


def test_encode_half_of_surrogate_pair_is_escaped() -> None:
    assert encode({"b": 1, "a": "\ud800"}) == b'{"a": "\\ud800", "b": 1}'
