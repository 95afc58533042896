"""Encode and decode with cbor2's compiled code and compare with the examples of RFC 8949."""

from __future__ import annotations

import datetime
import decimal
import fractions
import json
import math
import os
import uuid
from importlib.metadata import version
from pathlib import Path

import cbor2
from cbor2 import _cbor2

EXAMPLES = {
    "00": 0,
    "1bffffffffffffffff": 2**64 - 1,
    "c249010000000000000000": 2**64,
    "3903e7": -1000,
    "fb3ff199999999999a": 1.1,
    "fbc010666666666666": -4.1,
    "f4": False,
    "f6": None,
    "4401020304": bytes([1, 2, 3, 4]),
    "62c3bc": "ü",
    "64f0908591": "\U00010151",
    "83010203": [1, 2, 3],
    "98190102030405060708090a0b0c0d0e0f101112131415161718181819": list(range(1, 26)),
    "a26161016162820203": {"a": 1, "b": [2, 3]},
}
ONLY_READ = {
    "f93e00": 1.5,
    "fa47c35000": 100000.0,
    "f90001": 5.960464477539063e-8,
    "9f018202039f0405ffff": [1, [2, 3], [4, 5]],
    "bf61610161629f0203ffff": {"a": 1, "b": [2, 3]},
    "7f657374726561646d696e67ff": "streaming",
    "c11a514b67b0": datetime.datetime(2013, 3, 21, 20, 4, tzinfo=datetime.UTC),
}
VALUES = [
    datetime.datetime(2024, 2, 29, 23, 59, 59, 123456, datetime.UTC),
    decimal.Decimal("-12.3400"),
    fractions.Fraction(22, 7),
    uuid.UUID("12345678-1234-5678-1234-567812345678"),
    frozenset({1, "a", b"b"}),
    [-(2**200), {"x" * 300: [1.5, None, True]}, bytes(range(256)) * 10],
]

assert cbor2.dumps is _cbor2.dumps, "the compiled code is not used"
for code, value in EXAMPLES.items():
    assert cbor2.dumps(value).hex() == code, (value, cbor2.dumps(value).hex())
for code, value in {**EXAMPLES, **ONLY_READ}.items():
    assert cbor2.loads(bytes.fromhex(code)) == value, (code, cbor2.loads(bytes.fromhex(code)))
assert math.isnan(cbor2.loads(bytes.fromhex("f97e00")))
assert cbor2.dumps(1.5, canonical=True).hex() == "f93e00"
assert cbor2.dumps({"b": 1, "a": 2}, canonical=True).hex() == "a2616102616201"
for value in VALUES:
    assert cbor2.loads(cbor2.dumps(value)) == value, value
whole = cbor2.dumps(VALUES[-1])
for length in (0, 1, 30, len(whole) - 1):
    try:
        cbor2.loads(whole[:length])
    except cbor2.CBORDecodeError:
        continue
    raise AssertionError(f"{length} of {len(whole)} bytes were decoded")

examples = len(EXAMPLES) + len(ONLY_READ)
shown = f"cbor2 {version('cbor2')}: {examples} examples of RFC 8949, {len(VALUES)} values there and back"
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
