"""Indexes of expressions and schemas, walked and compared with Python's re."""

from __future__ import annotations

import json
import os
import random
import re
import string
from pathlib import Path

from outlines_core import Guide, Index, Vocabulary
from outlines_core.json_schema import build_regex_from_schema

END = 0
TEXTS = [
    *string.ascii_letters,
    *string.digits,
    *'-+.,:{}[]" \n',
    "12",
    "345",
    "ab",
    "abc",
    "true",
    "false",
    "null",
    '"name"',
    '":',
    "é",
    "你好",
]
VOCABULARY = Vocabulary(END, {text: [number] for number, text in enumerate(TEXTS, 1)})
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"enum": ["abc", "xyz"]},
        "age": {"type": "integer", "minimum": 0},
        "ok": {"type": "boolean"},
    },
    "required": ["name", "age", "ok"],
    "additionalProperties": False,
}
EXPRESSIONS = (
    r"[0-9]{1,5}(\.[0-9]+)?",
    r"(ab|abc)*x[yz]{2,3}",
    r"-?(0|[1-9][0-9]*)",
    r"(é|你好){1,3}",
    r"\[(true|false|null)(,(true|false|null)){0,2}\]",
)


def walk(index: Index, source: random.Random, length: int) -> str:
    """Follow allowed tokens at random to a text's end, in index and guide."""
    guide, text, state = Guide(index), "", index.get_initial_state()
    for step in range(1000):
        allowed = sorted(guide.get_tokens())
        assert allowed == sorted(index.get_allowed_tokens(state)), (text, allowed)
        assert (END in allowed) == index.is_final_state(state), text
        if END in allowed and (step >= length or allowed == [END]):
            return text
        token = source.choice([each for each in allowed if each != END])
        state = index.get_next_state(state, token)
        guide.advance(token, return_tokens=False)
        assert guide.get_state() == state
        text += TEXTS[token - 1]
    raise AssertionError(f"no end: {text}")


def brute_force(expression: str, index: Index) -> None:
    """Allow exactly the tokens that begin a match, in the first state."""
    allowed = {TEXTS[token - 1] for token in index.get_allowed_tokens(index.get_initial_state()) if token != END}
    expected = {
        text for text in TEXTS if any(re.fullmatch(expression, text + rest) for rest in ("", *map(str, range(10))))
    }
    assert allowed == expected, (allowed, expected)


source = random.Random(20261130)
walked = 0
for expression in EXPRESSIONS:
    index = Index(expression, VOCABULARY)
    for _ in range(30):
        text = walk(index, source, source.randrange(1, 12))
        assert re.fullmatch(expression, text), (expression, text)
        walked += 1
    again = Index.from_binary(index.__reduce__()[1][0])
    assert again == index
    assert again.get_transitions() == index.get_transitions()

brute_force("[0-9]{2}", Index("[0-9]{2}", VOCABULARY))
objects = Index(build_regex_from_schema(json.dumps(SCHEMA)), VOCABULARY)
for _ in range(20):
    found = json.loads(walk(objects, source, 30))
    assert found.keys() == {"name", "age", "ok"}, found
    assert found["name"] in ("abc", "xyz"), found
    assert isinstance(found["ok"], bool), found
    assert isinstance(found["age"], int), found
    walked += 1

guide = Guide(Index(r"[0-9]{3}", VOCABULARY))
one = TEXTS.index("1") + 1

guide.advance(one)
assert guide.accepts_tokens([TEXTS.index("12") + 1])
assert not guide.accepts_tokens([TEXTS.index("345") + 1])
guide.rollback_state(1)
assert guide.accepts_tokens([TEXTS.index("345") + 1])
try:
    guide.advance(TEXTS.index("x") + 1)
except ValueError:
    pass
else:
    raise AssertionError("a token that does not fit was taken")

shown = f"outlines-core: {walked} texts of {len(EXPRESSIONS)} expressions and a schema, each as Python's re says"
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
