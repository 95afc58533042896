"""Tensors against numpy, gradients, training, files, worker processes, Gloo, torchrun, a trace and a language model.

Each step says on standard output that it begins and how long it took: under emulation the whole takes minutes.

Environment: FACTORY_MODEL is SmolLM2-135M-Instruct as a GGUF file, or empty; FACTORY_RESULT the JSON file to write.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

STARTED = time.monotonic()
print("importing torch ...", flush=True)

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
import torch.multiprocessing as processes  # noqa: E402
from torch import nn  # noqa: E402
from torch.distributed.run import main as torchrun  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402

print(f"importing torch: {time.monotonic() - STARTED:.1f} s", flush=True)

SEED = 7
THREADS = 2
PROMPT = "The capital of France is"
# What llama.cpp's llama-completion answers with --temp 0 and the same weights, made 32-bit floats by llama-quantize.
ANSWER = " Paris.\n\nThe answer is: 2018-01"
# The largest logits after the prompt, by tokens, of the same weights in 64-bit floats with numpy.
LOGITS = {7042: 17.3713, 260: 14.8886, 4528: 13.245, 2250: 13.0095, 1315: 12.9515, 5145: 12.9049}
LOGITS_TOLERANCE = 0.002
# A layer's name in GGUF -> in transformers.
NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
NEW_TOKENS = 16
LARGEST = 8
# Started by fork, child processes need not import torch again, which takes half a minute each under emulation.
START = "fork"
# What torchrun starts: each process adds its number to the other's, and says the sum.
LAUNCHED = """
import sys
from pathlib import Path
import torch
import torch.distributed as dist
dist.init_process_group("gloo")
number = torch.tensor([dist.get_rank() + 1.0])
dist.all_reduce(number)
Path(sys.argv[1], str(dist.get_rank())).write_text(str(number.item()))
dist.destroy_process_group()
"""
# Lengths that no vector divides, and one that several do not hold.
INNER_LENGTHS = (1, 7, 33, 130, 300)
# A bfloat16 has 8 bits, of which rounding the result may cost half the last; the sums before it have 24.
BFLOAT16_TOLERANCE = 2.0**-8
SUM_TOLERANCE = 1e-3


class Squares(Dataset[torch.Tensor]):
    """Numbers that worker processes compute."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor(float(index) ** 2)


def workers() -> str:
    """Tensors come from two worker processes through shared memory."""
    batches = list(DataLoader(Squares(), batch_size=4, num_workers=2, multiprocessing_context=START))
    assert all(batch.is_shared() for batch in batches)
    assert torch.equal(torch.cat(batches), torch.arange(20.0) ** 2)
    return "2 workers"


def add_up(rank: int, port: int) -> None:
    """One of two processes: each knows the sum of both numbers afterwards."""
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    number = torch.tensor([float(rank + 1)])
    dist.all_reduce(number)
    assert number.item() == 3.0, number
    parts = [torch.zeros(1) for _ in range(2)]
    dist.all_gather(parts, torch.tensor([float(rank)]))
    assert [part.item() for part in parts] == [0.0, 1.0], parts
    dist.destroy_process_group()


def together() -> str:
    """Two processes exchange tensors by Gloo over the loopback interface."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    processes.start_processes(add_up, args=(free_port(),), nprocs=2, start_method=START)
    return "Gloo"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def launched() -> str:
    """torchrun's processes meet at its own store, which it opens where it likes or at a given address."""
    # Without network, the machine's name has no address.
    common = ["--nproc-per-node=2", "--local-addr=127.0.0.1", f"--start-method={START}", "--run-path"]
    for options in (["--standalone"], ["--master-addr=127.0.0.1", f"--master-port={free_port()}"]):
        with tempfile.TemporaryDirectory() as folder:
            script, sums = Path(folder, "launched.py"), Path(folder, "sums")
            script.write_text(LAUNCHED)
            sums.mkdir()
            torchrun([*common, *options, str(script), str(sums)])
            assert {path.name: path.read_text() for path in sums.iterdir()} == {"0": "3.0", "1": "3.0"}
    return "torchrun"


def tensors() -> str:
    """Products, a decomposition, a Fourier transform, and functions on lengths that no vector divides."""
    random = np.random.default_rng(SEED)
    for length in (1, 7, 33, 130):
        a, b = (random.standard_normal((length, length)).astype(np.float32) for _ in range(2))
        x, y = torch.from_numpy(a), torch.from_numpy(b)
        np.testing.assert_allclose((x @ y).numpy(), a @ b, rtol=2e-4, atol=2e-4)
        np.testing.assert_allclose(torch.exp(x).numpy(), np.exp(a), rtol=1e-5)
        powers = np.exp(a - a.max(1, keepdims=True))
        np.testing.assert_allclose(torch.softmax(x, 1).numpy(), powers / powers.sum(1, keepdims=True), rtol=1e-5)
        np.testing.assert_allclose(x.sum(0).numpy(), a.sum(0), rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal((x > y).numpy(), a > b)
        np.testing.assert_array_equal(torch.sort(x, dim=1).values.numpy(), np.sort(a, axis=1))
    solvable = random.standard_normal((40, 40)) + 40 * np.eye(40)
    right = random.standard_normal(40)
    solved = torch.linalg.solve(torch.from_numpy(solvable), torch.from_numpy(right)).numpy()
    np.testing.assert_allclose(solved, np.linalg.solve(solvable, right), rtol=1e-10)
    signal = random.standard_normal(100)
    np.testing.assert_allclose(torch.fft.fft(torch.from_numpy(signal)).numpy(), np.fft.fft(signal), rtol=1e-9)
    half = torch.from_numpy(a).to(torch.bfloat16)
    np.testing.assert_allclose((half @ half).float().numpy(), a @ a, rtol=0.1, atol=0.5)
    return "tensors"


def special_values() -> str:
    """NaN and infinities come through as with numpy, in whole vectors and in the rest."""
    kinds = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.5, 3e38, 1e-30]
    a = np.resize(np.float32(kinds), 33)
    x, y = torch.from_numpy(a), torch.from_numpy(a[::-1].copy())
    pairs = (
        (x.abs(), np.abs(a)),
        (x.clamp(-1, 1), np.clip(a, -1, 1)),
        (x.exp(), np.exp(a)),
        (x.floor(), np.floor(a)),
        (x.round(), np.round(a)),
        (x.sqrt(), np.sqrt(a)),
        (x.tanh(), np.tanh(a)),
        (x.max(), a.max()),
        (x.sum(), a.sum()),
        (x * y, a * a[::-1]),
        (x < y, a < a[::-1]),
        (torch.maximum(x, y), np.maximum(a, a[::-1])),
        (torch.minimum(x, y), np.minimum(a, a[::-1])),
        (torch.relu(x), np.maximum(a, 0)),
        (torch.isnan(x.to(torch.bfloat16)), np.isnan(a)),
    )
    for found, expected in pairs:
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    return "NaN and infinity"


def half_products() -> str:
    """Products of bfloat16 that are dot products of rows, as a language model's with its weights are."""
    random = np.random.default_rng(SEED)
    for length in INNER_LENGTHS:
        inputs, weights = (
            torch.from_numpy(random.standard_normal((rows, length), dtype=np.float32)).to(torch.bfloat16)
            for rows in (5, 3)
        )
        for rows, columns in ((inputs, inputs), (inputs, weights), (inputs[0], weights)):
            exact = rows.double().numpy() @ columns.double().numpy().T
            for found in (rows @ columns.T, nn.functional.linear(rows, columns)):
                np.testing.assert_allclose(found.float().numpy(), exact, BFLOAT16_TOLERANCE, SUM_TOLERANCE)
    return "bfloat16"


def gradients() -> str:
    """Autograd against finite differences, through a product, a non-linearity, a reduction and a convolution."""
    torch.manual_seed(SEED)
    weight = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    value = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w, v: torch.tanh(v @ w).pow(2).sum(), (weight, value))
    convolution = nn.Conv2d(2, 3, 3, padding=1).double()
    image = torch.randn(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(convolution, (image,))
    return "gradients"


def training() -> str:
    """A small network learns; it comes back from a file as it was."""
    torch.manual_seed(SEED)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.LayerNorm(32), nn.Linear(32, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    inputs = torch.randn(64, 8)
    wanted = inputs.sum(1, keepdim=True)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), wanted)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10, losses
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.pt")
        torch.save(model.state_dict(), path)
        again = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.LayerNorm(32), nn.Linear(32, 1))
        again.load_state_dict(torch.load(path, weights_only=True))
    assert torch.equal(again(inputs), model(inputs))
    return f"loss {losses[0]:.2f} to {losses[-1]:.3f}"


def traced() -> str:
    """TorchScript runs what it compiled as the original did."""

    def shifted(x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) + 1.0

    script = torch.jit.trace(shifted, torch.randn(3))
    given = torch.tensor([-1.0, 0.0, 2.0])
    assert torch.equal(script(given), shifted(given))
    return "traced"


def converted(given: Path) -> Path:
    """Convert the Llama model of a GGUF file to a folder as transformers wants it; the file's own folder is read-only.

    transformers reads configuration and tokenizer; to read the weights too, it wants a package that nobody has built.
    """
    from gguf import GGUFReader, dequantize
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoTokenizer

    folder = Path(tempfile.mkdtemp())
    AutoTokenizer.from_pretrained(given.parent, gguf_file=given.name).save_pretrained(folder)
    config = AutoConfig.from_pretrained(given.parent, gguf_file=given.name)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    weights = {}
    for tensor in GGUFReader(given).tensors:
        name = tensor.name.removesuffix(".weight").split(".")
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if name[-1] in heads:
            # llama.cpp turns pairs of neighbours, transformers those of the two halves.
            pairs = values.reshape(heads[name[-1]], -1, 2, values.shape[1])
            values = pairs.swapaxes(1, 2).reshape(values.shape)
        block = ["model.layers", name[1]] if name[0] == "blk" else []
        weights[".".join((*block, NAMES[name[-1]], "weight"))] = torch.from_numpy(values.copy())
    config.tie_word_embeddings = "lm_head.weight" not in weights
    config.save_pretrained(folder)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def language_model(given: Path) -> dict[str, object]:
    """Generate greedily with transformers; returns the tokens, and the largest logits of each step."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = converted(given)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    asked = tokenizer(PROMPT, return_tensors="pt")
    generated = model.generate(
        **asked, max_new_tokens=NEW_TOKENS, do_sample=False, return_dict_in_generate=True, output_logits=True
    )
    tokens = generated.sequences[0, asked["input_ids"].shape[1] :].tolist()
    answer = tokenizer.decode(tokens)
    assert answer == ANSWER, answer
    first = generated.logits[0][0]
    distance = max(abs(first[token].item() - logit) for token, logit in LOGITS.items())
    assert distance < LOGITS_TOLERANCE, distance
    print(f"{PROMPT}{answer!r}, logits within {distance:.6f}", flush=True)
    largest = [step[0].topk(LARGEST) for step in generated.logits]
    logits = [list(zip(top.indices.tolist(), top.values.tolist(), strict=True)) for top in largest]
    return {"tokens": tokens, "logits": logits}


def configuration() -> str:
    """The build's own description, and OpenMP's threads, as many as were asked for."""
    print(torch.__config__.show(), flush=True)
    assert "ATen parallel backend: OpenMP" in torch.__config__.parallel_info(), torch.__config__.parallel_info()
    assert torch.get_num_threads() == THREADS, torch.get_num_threads()
    return f"{THREADS} threads"


# Those that fork come first: OpenMP's and autograd's threads would be missing in a child.
CHECKS: tuple[Callable[[], str], ...] = (
    workers,
    together,
    launched,
    tensors,
    special_values,
    half_products,
    gradients,
    training,
    traced,
    configuration,
)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Announce a step, and say how long it took."""
    started = time.monotonic()
    print(f"{name} ...", flush=True)
    yield
    print(f"{name}: {time.monotonic() - started:.1f} s", flush=True)


def run(check: Callable[[], str]) -> str:
    with step(check.__name__):
        return check()


def main() -> None:
    torch.set_num_threads(THREADS)
    found = [run(check) for check in CHECKS]
    facts = {
        "version": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "openmp": torch.backends.openmp.is_available(),
        "lapack": torch._C.has_lapack,
        "gloo": dist.is_gloo_available(),
        "threads": torch.get_num_threads(),
    }
    said: dict[str, object] = {"tokens": [], "logits": []}
    if model := os.environ.get("FACTORY_MODEL"):
        with step("language model"):
            said = language_model(Path(model))
        found.append("SmolLM2 by transformers")
    result = {"shown": f"{torch.__version__}: {', '.join(found)}", "facts": facts, **said}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
