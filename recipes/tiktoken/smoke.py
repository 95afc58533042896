"""Encode with tiktoken's compiled code and compare with byte pair encoding in plain Python, on a vocabulary of its own.

FACTORY_RESULT names the JSON file to write; FACTORY_PROFILE is the name of the profile that this runs on.
"""

import json
import os
import random
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import tiktoken
from tiktoken._educational import SimpleBytePairEncoding

PATTERN = r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s+(?!\S)|\s+"""
VOCABULARY = 320
SPECIAL = {"<|end|>": VOCABULARY, "<|begin|>": VOCABULARY + 1}
TEXT = "Zwölf Boxkämpfer jagen Viktor über den großen Sylter Deich: 12 - 3 = 9, 你好 👋. The banana bandana's band. "


def main() -> None:
    reference = SimpleBytePairEncoding(pat_str=PATTERN, mergeable_ranks=train(TEXT.encode() * 3))
    compiled = tiktoken.Encoding(
        "smoke", pat_str=PATTERN, mergeable_ranks=reference.mergeable_ranks, special_tokens=SPECIAL
    )
    texts = samples(random.Random(20240607))
    encoded = [compiled.encode_ordinary(text) for text in texts]
    for text, tokens in zip(texts, encoded, strict=True):
        same(tokens, reference.encode(text, visualise=None), f"tokens of {text!r}")
        same(compiled.decode(tokens), text, "the decoded text")
    # Batches release Python's lock and run in threads.
    same(compiled.encode_ordinary_batch(texts, num_threads=4), encoded, "a batch")
    same(compiled.decode_bytes(range(256)), bytes(range(256)), "single bytes")
    special_tokens(compiled)
    merged = sum(len(text.encode()) for text in texts) / sum(map(len, encoded))
    shown = f"tiktoken {version('tiktoken')}: {len(texts)} texts as in plain Python, {merged:.2f} bytes a token"
    result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    print(f"[{os.environ.get('FACTORY_PROFILE', 'unknown profile')}] {shown}")


def train(data: bytes) -> dict[bytes, int]:
    """Merge the most frequent pair again and again, as byte pair encoding does."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    parts = [data[i : i + 1] for i in range(len(data))]
    while len(ranks) < VOCABULARY:
        pairs = [left + right for left, right in pairwise(parts) if not right.startswith(b" ")]
        best = max(sorted(set(pairs) - ranks.keys()), key=pairs.count)
        ranks[best] = len(ranks)
        merged: list[bytes] = []
        for part in parts:
            if merged and merged[-1] + part == best:
                merged[-1] = best
            else:
                merged.append(part)
        parts = merged
    return ranks


def samples(source: random.Random) -> list[str]:
    """Pieces of the text, repeats that make long words, and letters of all kinds in disorder."""
    pieces = [TEXT[source.randrange(len(TEXT)) :][: source.randrange(1, 60)] for _ in range(40)]
    disorder = ["".join(source.choices(TEXT + "\n\t é\u0301\u200d", k=length)) for length in (1, 7, 33, 129, 300)]
    return [TEXT, *pieces, *disorder, "an" * 200, " " * 65, ""]


def special_tokens(compiled: tiktoken.Encoding) -> None:
    text = "<|begin|>band<|end|>"
    tokens = compiled.encode(text, allowed_special="all")
    same(tokens, [SPECIAL["<|begin|>"], *compiled.encode_ordinary("band"), SPECIAL["<|end|>"]], "special tokens")
    same(compiled.decode(tokens), text, "decoded special tokens")
    same(compiled.decode(compiled.encode_ordinary(text)), text, "special tokens as ordinary text")
    try:
        compiled.decode([VOCABULARY + 2])
    except KeyError:
        return
    raise AssertionError("a token beyond the vocabulary was decoded")


def same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


if __name__ == "__main__":
    main()
