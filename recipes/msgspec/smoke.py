"""Encode and decode with msgspec's compiled code and compare with the standard library's json and the formats' bytes.

FACTORY_RESULT names the JSON file to write; FACTORY_PROFILE is the name of the profile that this runs on.
"""

import datetime
import decimal
import enum
import json
import math
import os
import random
import struct
import uuid
from pathlib import Path
from typing import Annotated

import msgspec


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(msgspec.Struct, frozen=True, order=True):
    x: int
    y: float = 0.5


class Circle(msgspec.Struct, tag=True):
    centre: Point
    radius: Annotated[float, msgspec.Meta(gt=0)]


class Polygon(msgspec.Struct, tag=True, rename="camel"):
    corner_points: list[Point]
    colour: Colour = Colour.RED
    made: datetime.datetime | None = None


class Drawing(msgspec.Struct):
    shapes: list[Circle | Polygon]
    owner: uuid.UUID
    price: decimal.Decimal
    names: dict[str, tuple[int, ...]]


DRAWING = Drawing(
    shapes=[
        Circle(Point(1, 2.5), 3.25),
        Polygon([Point(-(2**62)), Point(2**63, -1e300)], Colour.BLUE),
        Polygon([], made=datetime.datetime(2024, 2, 29, 23, 59, 59, 123456, datetime.UTC)),
    ],
    owner=uuid.UUID("12345678-1234-5678-1234-567812345678"),
    price=decimal.Decimal("12.3400"),
    names={"Zwölf": (1, 2), '你"好\n': (), "👋": (-1,)},
)


def main() -> None:
    source = random.Random(20240607)
    checks = (numbers, text, structs, wrong_input, bytes_of_msgpack)
    for check in checks:
        check(source)
    names = ", ".join(check.__name__.replace("_", " ") for check in checks)
    result = {"shown": f"msgspec {msgspec.__version__}: {names}", "facts": {}, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    print(f"[{os.environ.get('FACTORY_PROFILE', 'unknown profile')}] {result['shown']}")


def numbers(source: random.Random) -> None:
    """msgspec prints and reads numbers with code of its own, which must round as Python does."""
    floats = [struct.unpack("<d", source.randbytes(8))[0] for _ in range(2000)]
    floats = [value for value in floats if math.isfinite(value)]
    floats += [0.1, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -0.0, 9007199254740993.0, 1e22, 1e23]
    integers = [source.randrange(-(2**63), 2**64) >> source.randrange(64) for _ in range(500)]
    for module in (msgspec.json, msgspec.msgpack):
        same(module.decode(module.encode(floats)), floats, f"floats through {module.__name__}")
        same(module.decode(module.encode(integers)), integers, f"integers through {module.__name__}")
    same(json.loads(msgspec.json.encode(floats)), floats, "floats that json reads")
    same(msgspec.json.decode(json.dumps(floats)), floats, "floats that json wrote")
    same(msgspec.json.decode(b"123456789012345678901234567890", type=decimal.Decimal), 123456789012345678901234567890)
    same(math.copysign(1, msgspec.json.decode(msgspec.json.encode(-0.0))), -1.0, "the sign of zero")


def text(source: random.Random) -> None:
    letters = 'aZ "\\/\b\f\n\r\t\x00\x1f\x7fé你\u2028👋'
    strings = ["".join(source.choices(letters, k=length)) for length in range(70)]
    same(msgspec.json.decode(msgspec.json.encode(strings)), strings, "text there and back")
    same(json.loads(msgspec.json.encode(strings)), strings, "text that json reads")
    same(msgspec.json.decode(json.dumps(strings)), strings, "escapes that json wrote")
    same(msgspec.json.decode(msgspec.json.encode(bytes(range(256))), type=bytes), bytes(range(256)), "base64")


def structs(_: random.Random) -> None:
    for module in (msgspec.json, msgspec.msgpack):
        same(module.decode(module.encode(DRAWING), type=Drawing), DRAWING, f"structs through {module.__name__}")
    plain = json.loads(msgspec.json.encode(DRAWING))
    same(msgspec.convert(plain, Drawing), DRAWING, "structs from plain values")
    same(msgspec.to_builtins(DRAWING), plain | {"names": DRAWING.names}, "structs to plain values")
    same(plain["shapes"][0], {"type": "Circle", "centre": {"x": 1, "y": 2.5}, "radius": 3.25}, "a tagged struct")
    same(plain["shapes"][2]["made"], "2024-02-29T23:59:59.123456Z", "a time")
    same(sorted([Point(2), Point(1, 9.0), Point(1)]), [Point(1), Point(1, 9.0), Point(2)], "the order of structs")
    same(hash(Point(1)), hash(Point(1, 0.5)), "the hash of structs")


def wrong_input(_: random.Random) -> None:
    wrong = {
        b'{"x": "1"}': "Expected `int`, got `str` - at `$.x`",
        b"{}": "Object missing required field `x`",
        b'{"x": 1': "Input data was truncated",
        b'{"x": 1}}': "JSON is malformed: trailing characters (byte 9)",
    }
    for data, message in wrong.items():
        try:
            msgspec.json.decode(data, type=Point)
        except msgspec.DecodeError as error:
            same(str(error), message, f"the error for {data!r}")
        else:
            raise AssertionError(f"{data!r} was decoded")


def bytes_of_msgpack(_: random.Random) -> None:
    same(
        msgspec.msgpack.encode([1, -33, "é", 1.5, None]),
        b"\x95\x01\xd0\xdf\xa2\xc3\xa9\xcb\x3f\xf8" + bytes(6) + b"\xc0",
    )


def same(found: object, expected: object, what: str = "a value") -> None:
    if found != expected:
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


if __name__ == "__main__":
    main()
