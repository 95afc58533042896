"""Train models of each kind with sentencepiece's compiled code, encode, decode and sample with them."""

from __future__ import annotations

import io
import json
import os
import random
from pathlib import Path

import sentencepiece
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

SIZES = {"unigram": 300, "bpe": 300, "char": 60, "word": 40}
source = random.Random(20240607)
words = ["".join(source.choices("aeioulmnrst", k=source.randrange(2, 9))) for _ in range(60)]
words += ["Zwölf", "Boxkämpfer", "jagen", "Viktor", "你好"]
sentences = [" ".join(source.choices(words, k=12)) for _ in range(400)]
texts = [*sentences[:40], "Viktor 你好 Zwölf", "lun" * 50, ""]


def trained(kind: str) -> SentencePieceProcessor:
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        model_type=kind,
        vocab_size=SIZES[kind],
        hard_vocab_limit=False,
        byte_fallback=kind in ("unigram", "bpe"),
        user_defined_symbols=["<sep>"],
        num_threads=2,
        minloglevel=2,
    )
    return SentencePieceProcessor(model_proto=model.getvalue())


counts = {}
for kind in SIZES:
    processor = trained(kind)
    encoded = processor.encode(texts)
    assert processor.encode(texts, num_threads=4) == encoded, kind
    pieces = [[processor.id_to_piece(each) for each in tokens] for tokens in encoded]
    assert processor.encode(texts, out_type=str) == pieces or kind == "word", kind
    counts[kind] = sum(map(len, encoded))
    if kind != "word":
        assert processor.decode(encoded[:41]) == texts[:41], kind
        assert processor.piece_to_id("<sep>") in processor.encode("jagen<sep>Viktor"), kind
    if kind in ("unigram", "bpe"):
        unknown = "\U0001f44b"
        assert processor.decode(processor.encode(unknown)) == unknown
        assert "<0xF0>" in processor.encode(unknown, out_type=str)
        # NFKC, by the tables that come with the package: fullwidth letters and an ideographic space
        assert processor.decode(processor.encode("\uff36\uff49\uff4btor\u3000jagen")) == "Viktor jagen"
assert counts["word"] < counts["bpe"] < counts["char"], counts
assert counts["word"] < counts["unigram"] < counts["char"], counts

unigram = trained("unigram")
samples = {tuple(unigram.encode(sentences[0], enable_sampling=True, alpha=0.1, nbest_size=-1)) for _ in range(20)}
assert len(samples) > 1
assert {unigram.decode(list(each)) for each in samples} == {sentences[0]}
best = unigram.nbest_encode_as_pieces(sentences[0], 5)
assert best[0] == unigram.encode(sentences[0], out_type=str)
try:
    SentencePieceProcessor(model_proto=b"no model")
except RuntimeError:
    pass
else:
    raise AssertionError("a broken model was read")

tokens = ", ".join(f"{kind} {count}" for kind, count in counts.items())
shown = f"sentencepiece {sentencepiece.__version__}: models trained, texts there and back, tokens: {tokens}"
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
