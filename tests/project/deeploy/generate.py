"""Write C of a small network with Deeploy, and what numpy computes of it: network.c, inputs.txt and outputs.txt.

The network: x (8 numbers) -> Gemm (16) -> Relu -> Gemm (4) -> Softmax, float32, random weights.
"""

from pathlib import Path

import numpy as np
import onnx_graphsurgeon
from Deeploy.AbstractDataTypes import PointerClass
from Deeploy.CommonExtensions.DataTypes import float32_t
from Deeploy.Targets.Generic.Deployer import GenericDeployer
from Deeploy.Targets.Generic.Platform import GenericOptimizer, GenericPlatform
from onnx import ModelProto, TensorProto, helper, numpy_helper, shape_inference

SHAPES = {"w1": (8, 16), "b1": (1, 16), "w2": (16, 4), "b2": (1, 4)}
CASES = 20
MAIN = """
#include <stdio.h>

int main(void) {
    InitNetwork(0, 1);
    for (;;) {
        for (int i = 0; i < 8; i++)
            if (scanf("%f", &DeeployNetwork_input_0[i]) != 1) return 0;
        RunNetwork(0, 1);
        for (int i = 0; i < 4; i++) printf("%.9g ", DeeployNetwork_output_0[i]);
    }
}
"""


def main() -> None:
    source = np.random.default_rng(20261201)
    weights = {name: source.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    x = source.standard_normal((CASES, 8)).astype(np.float32)
    Path("network.c").write_text(c_program(network(weights)), encoding="utf-8")
    np.savetxt("inputs.txt", x)
    np.savetxt("outputs.txt", expected({name: value.astype(np.float64) for name, value in weights.items()}, x))


def network(weights: dict[str, np.ndarray]) -> ModelProto:
    """Return the network as ONNX; Deeploy wants alpha and beta of a product stated."""
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], name="first", alpha=1.0, beta=1.0),
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["s"], name="second", alpha=1.0, beta=1.0),
        helper.make_node("Softmax", ["s"], ["y"], name="softmax", axis=-1),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", 8), ("y", 4)))
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    return shape_inference.infer_shapes(helper.make_model(helper.make_graph(nodes, "network", [x], [y], constants)))


def c_program(model: ModelProto) -> str:
    """Return C for Deeploy's generic platform, with a main that reads inputs and prints outputs."""
    deployer = GenericDeployer(
        onnx_graphsurgeon.import_onnx(model),
        GenericPlatform(),
        {"input_0": PointerClass(float32_t)},
        GenericOptimizer,
        scheduler=lambda graph: [[node] for node in graph.nodes],
        inputOffsets={"input_0": 0},
        deeployStateDir="state",
    )
    run = deployer.generateFunction()
    parts = [
        deployer.generateIncludeString(),
        deployer.generateBufferInitializationCode(),
        deployer.generateGlobalDefinitionCode(),
        "void RunNetwork(uint32_t core_id, uint32_t numThreads) {",
        deployer.generateInferenceInitializationCode(),
        run,
        "}\nvoid InitNetwork(uint32_t core_id, uint32_t numThreads) {",
        deployer.generateEngineInitializationCode(),
        deployer.generateBufferAllocationCode(),
        "}",
        MAIN,
    ]
    return "\n".join(parts)


def expected(weights: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Return what the network gives for each row of inputs, in float64."""
    scores = np.maximum(x @ weights["w1"] + weights["b1"], 0) @ weights["w2"] + weights["b2"]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


if __name__ == "__main__":
    main()
