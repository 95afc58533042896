"""Read and write YAML with PyYAML's binding of LibYAML and compare with its implementation in Python."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import yaml
from yaml import _yaml

TEXT = """
%YAML 1.1
---
names: &names [Zwölf, "你好 \\U0001F44B", 'single ''quoted''']
again: *names
numbers: {integer: -12_345, hexadecimal: 0x2A, float: 1.5e-3, infinite: -.inf}
time: 2024-02-29T23:59:59.125Z
? [complex, key]
: !!set {a, b}
folded: >-
  one
  two
literal: |
  three
    four
binary: !!binary aGVsbG8=
--- # a second document
- null
- ~
- yes
"""

assert yaml.__with_libyaml__
read = list(yaml.load_all(TEXT.replace("[complex, key]", "!!python/tuple [complex, key]"), yaml.CUnsafeLoader))
same = list(yaml.load_all(TEXT.replace("[complex, key]", "!!python/tuple [complex, key]"), yaml.UnsafeLoader))
assert read == same, (read, same)
document = read[0]
assert document["numbers"] == {"integer": -12345, "hexadecimal": 42, "float": 0.0015, "infinite": float("-inf")}
assert document["names"] is document["again"]
assert document["names"][1] == "你好 \U0001f44b"
assert document["time"] == datetime.datetime(2024, 2, 29, 23, 59, 59, 125000, datetime.UTC)
assert document["folded"] == "one two"
assert document["literal"] == "three\n  four\n"
assert document["binary"] == b"hello"
assert read[1] == [None, None, True]

data = {
    "list": [1, 2.5, None, True, "true", "two\nlines"],
    "map": {"é": "\U0001f44b", "empty": {}},
    "long": "word " * 50,
}
for options in ({}, {"default_flow_style": True}, {"allow_unicode": True, "width": 40}, {"canonical": True}):
    written = yaml.dump(data, Dumper=yaml.CSafeDumper, **options)
    assert yaml.load(written, yaml.CSafeLoader) == yaml.safe_load(written) == data, written
assert yaml.dump([1, {"a": "b"}], Dumper=yaml.CSafeDumper) == "- 1\n- a: b\n"
try:
    yaml.load("a: [1, 2\nb: 3", yaml.CSafeLoader)
except yaml.YAMLError as error:
    line = error.problem_mark.line
else:
    raise AssertionError("an unfinished list was read")
assert line == 1, line

shown = f"PyYAML {yaml.__version__} with LibYAML {_yaml.get_version_string()}: documents read and written as in Python"
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
