"""A network checked, its shapes inferred, converted between versions, taken apart, and computed by the reference."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, checker, compose, defs, helper, inliner, numpy_helper, parser, shape_inference, utils
from onnx import version_converter as converter
from onnx.reference import ReferenceEvaluator

TEXT = """
<ir_version: 9, opset_import: ["" : 18]>
network (float[N, 3, 8, 8] image) => (float[N, classes] answer) {
    features = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (image, kernel)
    active = Relu (features)
    pooled = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (active)
    flat = Flatten (pooled)
    scores = Gemm <transB = 1> (flat, weight, bias)
    answer = Softmax (scores)
}
"""
source = np.random.default_rng(20261201)
WEIGHTS = {
    "kernel": source.standard_normal((4, 3, 3, 3), dtype=np.float32),
    "weight": source.standard_normal((5, 64), dtype=np.float32),
    "bias": source.standard_normal(5, dtype=np.float32),
}


def network() -> onnx.ModelProto:
    """Return a small network, parsed from text, with its weights."""
    model = parser.parse_model(TEXT)
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in WEIGHTS.items())
    checker.check_model(model, full_check=True)
    return model


def shape_of(model: onnx.ModelProto, name: str) -> list[int | str]:
    values = [*model.graph.value_info, *model.graph.output]
    (found,) = [value.type.tensor_type.shape.dim for value in values if value.name == name]
    return [each.dim_param or each.dim_value for each in found]


def expected(image: np.ndarray) -> np.ndarray:
    """Compute the network by numpy alone."""
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    active = np.maximum(np.einsum("ncxyij,fcij->nfxy", windows, WEIGHTS["kernel"]), 0)
    pooled = active.reshape(len(image), 4, 4, 2, 4, 2).max(axis=(3, 5))
    scores = pooled.reshape(len(image), -1) @ WEIGHTS["weight"].T + WEIGHTS["bias"]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def check_shapes(model: onnx.ModelProto) -> None:
    inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    assert shape_of(inferred, "features") == ["N", 4, 8, 8], inferred
    assert shape_of(inferred, "pooled") == ["N", 4, 4, 4]
    assert shape_of(inferred, "scores") == ["N", 5]


def check_refusals() -> None:
    """Refuse a graph whose nodes are not sorted, and shapes that contradict each other."""
    unsorted = parser.parse_model(TEXT.replace("(features)", "(pooled)"))
    wrong = network()
    wrong.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.zeros((5, 63), np.float32), "weight"))
    for check, kind in (
        (lambda: checker.check_model(unsorted), checker.ValidationError),
        (lambda: shape_inference.infer_shapes(wrong, strict_mode=True), shape_inference.InferenceError),
        (lambda: parser.parse_model("<ir_version: 9> broken ("), parser.ParseError),
    ):
        try:
            check()
        except kind:
            continue
        raise AssertionError(f"no {kind.__name__}")


def check_versions(model: onnx.ModelProto) -> None:
    """Convert the network up and down."""
    for version in (21, 15):
        other = converter.convert_version(model, version)
        assert other.opset_import[0].version == version
        checker.check_model(other)
    assert defs.has("Attention")
    assert {"X", "W", "B"} == {each.name for each in defs.get_schema("Conv", 11).inputs}


def check_functions(image: np.ndarray) -> None:
    """Inline a local function, and join two networks."""
    text = """<ir_version: 9, opset_import: ["" : 18, "own" : 1]>
    twice (float[N] x) => (float[N] y) { y = own.double (x) }
    <domain: "own", opset_import: ["" : 18]> double (a) => (b) { b = Add (a, a) }"""
    inlined = inliner.inline_local_functions(parser.parse_model(text))
    assert [node.op_type for node in inlined.graph.node] == ["Add"], inlined
    small = helper.make_graph(
        [helper.make_node("Neg", ["in"], ["out"])],
        "negative",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, ["N", 5])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 5])],
    )
    other = helper.make_model(small, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    joined = compose.merge_models(network(), other, io_map=[("answer", "in")])
    (found,) = ReferenceEvaluator(joined).run(None, {"image": image})
    assert np.allclose(found, -expected(image), atol=1e-5)


model = network()
check_shapes(model)
check_refusals()
check_versions(model)
image = source.standard_normal((2, 3, 8, 8), dtype=np.float32)
(answer,) = ReferenceEvaluator(model).run(None, {"image": image})
assert np.allclose(answer, expected(image), atol=1e-5), answer - expected(image)
check_functions(image)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "network.onnx")
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=100)
    for tensor in onnx.load(path).graph.initializer:
        assert np.array_equal(numpy_helper.to_array(tensor), WEIGHTS[tensor.name]), tensor.name
    utils.extract_model(path, Path(folder, "part.onnx"), ["image"], ["pooled"])
    assert len(onnx.load(Path(folder, "part.onnx")).graph.node) == 3
for kind in (TensorProto.BFLOAT16, TensorProto.FLOAT8E4M3FN, TensorProto.INT4):
    tensor = helper.make_tensor("t", kind, [3], [1, -2, 3])
    assert numpy_helper.to_array(tensor).astype(np.float32).tolist() == [1, -2, 3], kind

shown = f"onnx {onnx.__version__}: checker, shapes, versions, inliner; the reference equals numpy on a small network"
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
