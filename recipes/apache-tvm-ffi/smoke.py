"""Pass values, functions, containers and errors through tvm-ffi's C interface and back.

FACTORY_RESULT names the JSON file to write.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path

import tvm_ffi

NUMBERS = [0, -1, 2**62, -(2**63), 2**63 - 1]
FLOATS = [0.0, -1.5, 1e300, float("inf")]
TEXTS = ["", "7 bytes", "longer than what fits into a value itself", "ü€\U00010151"]


def main() -> None:
    for check in (calls, containers, errors, types):
        check()
    shown = f"tvm-ffi {version('apache-tvm-ffi')}: calls, containers, errors and types there and back"
    result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    print(shown)


def calls() -> None:
    """Each value reaches a function of Python's by way of C and comes back."""

    @tvm_ffi.register_global_func("factory.second")
    def second(_first: object, value: object) -> object:
        return value

    function = tvm_ffi.get_global_func("factory.second")
    for value in (*NUMBERS, *FLOATS, *TEXTS, True, False, None, b"\0bytes"):
        returned = function(value, value)
        assert returned == value, (value, returned)
    # A function as an argument, called from C.
    apply = tvm_ffi.convert(lambda function, *values: function(*values))
    assert apply(lambda *values: sum(values), 1, 2, 3, 4.5) == 10.5


def containers() -> None:
    """Arrays and maps of C++ hold what was put into them."""
    nested = tvm_ffi.convert([1, [2.5, "three"], {"four": 5, "six": [7]}])
    assert isinstance(nested, tvm_ffi.Array)
    assert len(nested) == 3
    assert nested[1][1] == "three"
    assert dict(nested[2].items())["four"] == 5
    assert list(nested[2]["six"]) == [7]
    many = tvm_ffi.convert({f"key {number}": number for number in range(1000)})
    assert isinstance(many, tvm_ffi.Map)
    assert sum(many.values()) == 499500
    assert many["key 777"] == 777


def errors() -> None:
    """An exception crosses C and keeps its type and message."""

    def fail(text: str) -> None:
        raise ValueError(text)

    message = ""
    try:
        tvm_ffi.convert(fail)("as expected")
    except ValueError as error:
        message = str(error)
    assert "as expected" in message


def types() -> None:
    """Types of elements and devices are parsed and named by C."""
    for name, bits, lanes in (("float32", 32, 1), ("bfloat16", 16, 1), ("int8x4", 8, 4), ("float8_e4m3fn", 8, 1)):
        kind = tvm_ffi.dtype(name)
        assert (str(kind), kind.bits, kind.lanes) == (name, bits, lanes), name
    device = tvm_ffi.device("cpu:0")
    assert (device.type, device.index) == ("cpu", 0)


if __name__ == "__main__":
    main()
