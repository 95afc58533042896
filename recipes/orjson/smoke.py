"""Encode and decode with orjson's compiled code and compare with the standard library's json."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import os
import random
import struct
import uuid
from pathlib import Path

import orjson


@dataclasses.dataclass
class Point:
    x: int
    y: float


class Colour(enum.Enum):
    RED = "red"


source = random.Random(20240607)
floats = [struct.unpack("<d", source.randbytes(8))[0] for _ in range(3000)]
floats = [each for each in floats if math.isfinite(each)]
# Strings of all lengths around the width of vectors, with what must be escaped at each place.
texts = [
    "a" * before + each + "b" * (40 - before) for before in range(41) for each in ('"', "\\", "\n", "é", "\U0001f44b")
]
data = {
    "floats": floats,
    "texts": texts,
    "integers": [0, -1, 2**63 - 1, -(2**63), 2**64 - 1],
    "deep": [[[{"a": [None]}]]],
}

encoded = orjson.dumps(data)
assert json.loads(encoded) == data
assert orjson.dumps(texts) == json.dumps(texts, separators=(",", ":"), ensure_ascii=False).encode()
assert orjson.loads(json.dumps(data)) == data == orjson.loads(encoded)
assert orjson.loads(json.dumps(data, indent=3)) == data

moment = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456, datetime.UTC)
given = {"p": Point(1, 2.5), "c": Colour.RED, "t": moment, "u": uuid.UUID(int=12), 5: (1, float("nan"))}
options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z
assert orjson.dumps(given, option=options) == (
    b'{"5":[1,null],"c":"red","p":{"x":1,"y":2.5},"t":"2024-02-29T23:59:59.123456Z",'
    b'"u":"00000000-0000-0000-0000-00000000000c"}'
)
assert orjson.dumps({"b": [1], "a": {}}, option=orjson.OPT_INDENT_2) == b'{\n  "b": [\n    1\n  ],\n  "a": {}\n}'
assert orjson.dumps({1, 2}, default=sorted) == b"[1,2]"
assert orjson.dumps([orjson.Fragment(b'{"raw":1}')]) == b'[{"raw":1}]'
wrong = [b'{"a": 1', b"[1,]", b'"\xff"', b"01", b"nul", b'"\\ud800"', b"", b"[" * 2000]
for each in wrong:
    try:
        orjson.loads(each)
    except orjson.JSONDecodeError:
        continue
    raise AssertionError(f"{each[:20]!r} was decoded")

shown = (
    f"orjson {orjson.__version__}: {len(floats)} numbers and {len(texts)} strings as in json, {len(wrong)} errors found"
)
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
