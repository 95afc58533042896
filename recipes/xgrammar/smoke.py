"""Compile grammars with xgrammar and let them decide on texts and tokens, as a server does.

FACTORY_RESULT names the JSON file to write.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path

import xgrammar

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}
RIGHT = ('{"name": "Ada", "age": 36, "tags": ["a", "b"]}', '{"name": "\\u00fc", "age": 0, "tags": ["b"]}')
WRONG = (
    '{"name": "Ada", "age": 151, "tags": ["a"]}',
    '{"name": "Ada", "age": 36, "tags": []}',
    '{"name": "Ada", "age": "36", "tags": ["a"]}',
    '{"age": 36, "tags": ["a"]}',
)
EBNF = 'root ::= sum\nsum ::= number ("+" number)*\nnumber ::= [1-9] [0-9]{0,2}\n'
# One token for each byte and some longer ones, then the token that ends a text.
VOCABULARY = [*(bytes([byte]) for byte in range(256)), b'{"name": "', b'"age": ', b"tags", b"\xc3\xbc", b"</s>"]
END = len(VOCABULARY) - 1


def main() -> None:
    compiler = xgrammar.GrammarCompiler(
        xgrammar.TokenizerInfo(VOCABULARY, stop_token_ids=[END]), max_threads=2, cache_enabled=True
    )
    schema = compiler.compile_json_schema(json.dumps(SCHEMA))
    texts(schema, RIGHT, WRONG)
    texts(compiler.compile_grammar(EBNF), ("1", "12+345+6"), ("0", "1+", "1234", "1++2"))
    texts(compiler.compile_regex("(ab|c)*d?"), ("", "ababc", "cd"), ("a", "dd"))
    assert compiler.compile_json_schema(json.dumps(SCHEMA)).memory_size_bytes == schema.memory_size_bytes
    permitted = tokens(schema)
    shown = f"xgrammar {version('xgrammar')}: 3 grammars decide on 16 texts, {permitted} tokens were permitted in turn"
    result = {"shown": shown, "facts": {"permitted": permitted}, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    print(shown)


def texts(grammar: xgrammar.CompiledGrammar, right: tuple[str, ...], wrong: tuple[str, ...]) -> None:
    """A grammar takes each right text to its end, and no wrong one."""
    for text in (*right, *wrong):
        matcher = xgrammar.GrammarMatcher(grammar)
        taken = matcher.accept_string(text) and matcher.accept_token(END) and matcher.is_terminated()
        assert taken == (text in right), text


def tokens(grammar: xgrammar.CompiledGrammar) -> int:
    """Of the tokens at each step of a text the mask has exactly those that the grammar takes; returns their number."""
    matcher, mask, permitted = xgrammar.GrammarMatcher(grammar), xgrammar.allocate_token_bitmask(1, len(VOCABULARY)), 0
    for byte in RIGHT[0].encode():
        matcher.fill_next_token_bitmask(mask)
        words = [int(word) & 0xFFFFFFFF for word in mask[0]]
        allowed = {token for token in range(len(VOCABULARY)) if words[token // 32] >> token % 32 & 1}
        for token in range(len(VOCABULARY)):
            taken = matcher.accept_token(token)
            assert taken == (token in allowed), (byte, token)
            if taken:
                matcher.rollback(1)
        permitted += len(allowed)
        assert matcher.accept_token(byte)
    return permitted


if __name__ == "__main__":
    main()
