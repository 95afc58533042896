"""Render a conversation to tokens and parse it again with the compiled code of oss-harmony and its own vocabulary."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path

from openai_harmony import (
    Conversation,
    HarmonyEncodingName,
    HarmonyError,
    Message,
    Role,
    StreamableParser,
    load_harmony_encoding,
)

encoding = load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)
# Tokens of o200k: known numbers of well-known words, and the format's special tokens.
assert encoding.encode("hello world") == [24912, 2375], encoding.encode("hello world")
special = encoding.encode("<|start|><|message|><|end|><|channel|><|return|>", allowed_special="all")
assert special == [200006, 200008, 200007, 200005, 200002], special
for text in ("", "Zwölf Boxkämpfer: 你好 \U0001f44b\n", " " * 65 + "an" * 200):
    assert encoding.decode_utf8(encoding.encode(text)) == text, text

messages = [
    Message.from_role_and_content(Role.USER, "What is 6 x 7?"),
    Message.from_role_and_content(Role.ASSISTANT, "Six times seven.").with_channel("analysis"),
    Message.from_role_and_content(Role.ASSISTANT, "42 \U0001f44b").with_channel("final"),
]
text = "<|start|>user<|message|>What is 6 x 7?<|end|>"
prompt = encoding.render_conversation_for_completion(Conversation.from_messages(messages[:1]), Role.ASSISTANT)
assert encoding.decode_utf8(prompt) == text + "<|start|>assistant", encoding.decode_utf8(prompt)
answer = encoding.encode(
    "<|channel|>analysis<|message|>Six times seven.<|end|>"
    "<|start|>assistant<|channel|>final<|message|>42 \U0001f44b<|return|>",
    allowed_special="all",
)
parsed = encoding.parse_messages_from_completion_tokens(answer, Role.ASSISTANT)
assert [(each.channel, each.content[0].text) for each in parsed] == [
    ("analysis", "Six times seven."),
    ("final", "42 \U0001f44b"),
], parsed
parser, pieces = StreamableParser(encoding, Role.ASSISTANT), []
for token in answer:
    parser.process(token)
    if parser.current_channel == "final" and parser.last_content_delta:
        pieces.append(parser.last_content_delta)
assert "".join(pieces) == "42 \U0001f44b", pieces
assert [each.to_dict() for each in parser.messages] == [each.to_dict() for each in parsed]
try:
    encoding.parse_messages_from_completion_tokens(encoding.encode("<|start|><|start|>", allowed_special="all"), None)
except HarmonyError:
    pass
else:
    raise AssertionError("a message without a role was parsed")

shown = f"oss-harmony {version('oss-harmony')}: {len(prompt)} tokens of a prompt, {len(answer)} of an answer parsed"
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
