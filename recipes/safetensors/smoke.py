"""Write tensors with safetensors' compiled code, read them with it and by the format's definition, and damage them.

FACTORY_RESULT names the JSON file to write; FACTORY_PROFILE is the name of the profile that this runs on.
"""

import array
import json
import os
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from reprlib import repr as shortened

import safetensors
from safetensors import SafetensorError, TensorSpec

METADATA = {"format": "smoke", "title": "Zwölf 你好 👋"}
TENSORS = {
    "weights": ("float32", (3, 17), array.array("f", (index / 8 - 3 for index in range(51)))),
    "counts": ("int64", (2, 2, 5), array.array("q", (index * -(3**30) for index in range(20)))),
    "bytes": ("uint8", (257,), array.array("B", (index % 256 for index in range(257)))),
    "nothing": ("float64", (0, 4), array.array("d")),
    "scalar": ("float64", (), array.array("d", [2.5])),
}
CODES = {"float32": "F32", "int64": "I64", "uint8": "U8", "float64": "F64"}


def main() -> None:
    specs = {name: spec(*tensor) for name, tensor in TENSORS.items()}
    data = safetensors.serialize(specs, METADATA)
    as_the_format_says(data)
    as_read_again(data)
    written = to_a_file(specs)
    as_the_format_says(written)
    as_read_again(written)
    refused = damaged(data)
    shown = f"safetensors {safetensors.__version__}: {len(TENSORS)} tensors there and back, {refused} damages refused"
    result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    print(f"[{os.environ.get('FACTORY_PROFILE', 'unknown profile')}] {shown}")


def spec(dtype: str, shape: tuple[int, ...], values: array.array) -> TensorSpec:
    address, length = values.buffer_info()
    return TensorSpec(dtype=dtype, shape=shape, data_ptr=address, data_len=length * values.itemsize)


def as_the_format_says(data: bytes) -> None:
    """Eight bytes of header length, the header as JSON, then the tensors at the header's offsets."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    body = data[8 + length :]
    same(header.pop("__metadata__"), METADATA, "metadata")
    same(header.keys(), TENSORS.keys(), "names")
    for name, (dtype, shape, values) in TENSORS.items():
        entry = header[name]
        begin, end = entry["data_offsets"]
        same((entry["dtype"], tuple(entry["shape"])), (CODES[dtype], shape), f"description of {name}")
        same(body[begin:end], values.tobytes(), f"bytes of {name}")


def as_read_again(data: bytes) -> None:
    read = dict(safetensors.deserialize(data))
    same(read.keys(), TENSORS.keys(), "names read again")
    for name, (dtype, shape, values) in TENSORS.items():
        found = read[name]
        same((found["dtype"], tuple(found["shape"])), (CODES[dtype], shape), f"{name} read again")
        same(bytes(found["data"]), values.tobytes(), f"values of {name} read again")


def to_a_file(specs: dict[str, TensorSpec]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tensors.safetensors"
        safetensors.serialize_file(specs, file, METADATA)
        return file.read_bytes()


def damaged(data: bytes) -> int:
    """Each damage must be an error of safetensors' own: the reader checks before it believes an offset."""
    (length,) = struct.unpack_from("<Q", data)
    header = data[8 : 8 + length]
    damages: dict[str, Callable[[], bytes]] = {
        "cut off": lambda: data[:-1],
        "too long": lambda: data + b"\0",
        "no header": lambda: data[:7],
        "a header beyond the end": lambda: struct.pack("<Q", len(data)) + data[8:],
        "a huge header": lambda: struct.pack("<Q", 2**63) + data[8:],
        "no JSON": lambda: data[:8] + b"?" + data[9:],
        "another type": lambda: data[:8] + header.replace(b'"F32"', b'"X32"') + data[8 + length :],
        "another shape": lambda: data[:8] + header.replace(b"[3,17]", b"[3,18]") + data[8 + length :],
    }
    for name, make in damages.items():
        made = make()
        if made == data:
            raise AssertionError(f"{name}: nothing was damaged")
        try:
            safetensors.deserialize(made)
        except SafetensorError:
            continue
        raise AssertionError(f"{name}: read without an error")
    return len(damages)


def same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise AssertionError(f"{what}: found {shortened(found)}, expected {shortened(expected)}")


if __name__ == "__main__":
    main()
