"""The check's model as files: weights, configuration, tokenizer.

vLLM and transformers read them. The quantized weights of the GGUF file are written as floats, so that both compute with
the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

# Names of tensors in GGUF (gguf.TENSOR_NAMES) and of transformers' modules.
TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
LAYER = {
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
# The type of a token that no text becomes, such as <|im_start|>.
CONTROL = 3
SPECIAL = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}

Fields = Mapping[str, Any]


def write_model(gguf: Path, folder: Path, layers: int | None = None) -> None:
    """Write a model of llama's architecture into `folder`, with weights in float32.

    With `layers` it has only so many: what it says is nonsense, and quickly said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reader = GGUFReader(gguf)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    fields["llama.block_count"] = layers or fields["llama.block_count"]
    heads = {"attn_q": fields["llama.attention.head_count"], "attn_k": fields["llama.attention.head_count_kv"]}
    weights = {}
    for tensor in reader.tensors:
        if _layer(tensor.name) >= fields["llama.block_count"]:
            continue
        kind = tensor.name.split(".")[-2]
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        values = _in_order(values, heads[kind]) if kind in heads else values
        weights[_name(tensor.name)] = np.ascontiguousarray(values)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    configuration = _configuration(fields) | {"tie_word_embeddings": "lm_head.weight" not in weights}
    (folder / "config.json").write_text(json.dumps(configuration))
    _write_tokenizer(fields, folder)


def _layer(name: str) -> int:
    """Return the number of a tensor's layer, -1 for one outside."""
    return int(name.split(".")[1]) if name.startswith("blk.") else -1


def _name(name: str) -> str:
    *layer, kind, suffix = name.split(".")
    return f"model.layers.{layer[1]}.{LAYER[kind]}.{suffix}" if layer else f"{TOP[kind]}.{suffix}"


def _in_order(weight: np.ndarray, heads: int) -> np.ndarray:
    """Return the rows in transformers' order.

    GGUF has the two that rotate together side by side.
    """
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _configuration(fields: Fields) -> dict[str, object]:
    hidden, heads = fields["llama.embedding_length"], fields["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "head_dim": hidden // heads,
        "max_position_embeddings": fields["llama.context_length"],
        "rope_parameters": {"rope_type": "default", "rope_theta": fields["llama.rope.freq_base"]},
        "rms_norm_eps": fields["llama.attention.layer_norm_rms_epsilon"],
        "vocab_size": fields["llama.vocab_size"],
        "hidden_act": "silu",
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
        "dtype": "float32",
    }


def _write_tokenizer(fields: Fields, folder: Path) -> None:
    """Write a tokenizer of bytes that takes each digit by itself, as SmolLM2's does."""
    tokens, types = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    merges = [tuple(pair.split(" ")) for pair in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, types, strict=True) if kind == CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in control])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": fields["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        "chat_template": fields["tokenizer.chat_template"],
        **{name: tokens[fields[f"tokenizer.ggml.{key}_token_id"]] for name, key in SPECIAL.items()},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
