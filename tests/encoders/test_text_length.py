"""How much of a text is read follows from the texts, what is cut is told, and views see the whole of a document."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import unalike
from unalike import views
from unalike.data import TextColumn
from unalike.encoders import NgramEncoder, TextTransformer, build_encoder, embed_texts, restore_encoder
from unalike.errors import SettingsError
from unalike.views import Tokens

WORDS = [f"w{number}" for number in range(50)]
TINY = {"vocabulary": 400, "width": 16, "depth": 1, "heads": 2}


def texts(count: int, words: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, words)) for _ in range(count)]


@pytest.mark.parametrize(("words", "length"), [(5, 64), (1000, 256), (100, None)], ids=["short", "long", "between"])
def test_as_many_tokens_are_read_as_the_texts_have(words: int, length: int | None) -> None:
    column = TextColumn(texts(30, words))
    encoder = build_encoder("transformer", column, **TINY)
    counts = [len(one.ids) for one in encoder._tokenizer.encode_batch(texts(30, words))]
    assert encoder.length == (length or -(-max(counts) // 8) * 8)
    assert 64 <= encoder.length <= 256 and encoder.document == 4096
    again = restore_encoder(json.loads(json.dumps(encoder.config())), encoder.assets())
    assert (again.length, again.document) == (encoder.length, 4096)


def test_one_long_text_among_many_changes_nothing() -> None:
    assert build_encoder("transformer", TextColumn([*texts(200, 5), *texts(1, 900)]), **TINY).length == 64


@pytest.mark.parametrize("setting", ["max_tokens", "length"])
def test_a_length_that_is_given_is_kept_and_nothing_more(setting: str) -> None:
    encoder = build_encoder("transformer", TextColumn(texts(20, 90)), **TINY, **{setting: 20})
    assert (encoder.length, encoder.document) == (20, 20)
    prepared = encoder.prepare(TextColumn([*texts(3, 90), "w1", None]))
    assert prepared.notes == ("3 of 4 texts have more than 20 tokens and are cut",)
    assert np.diff(prepared.offsets).max() == 20
    # Runs of earlier versions said nothing of documents.
    old = {name: value for name, value in encoder.config().items() if name != "document"}
    assert restore_encoder(old, encoder.assets()).document == 20


def test_exactly_as_many_are_not_cut() -> None:
    column = TextColumn(["w1 w2 w3"] * 4)
    count = int(build_encoder("transformer", column, **TINY).prepare(column).counts[0])
    encoder = build_encoder("transformer", column, **TINY, max_tokens=count)
    assert encoder.prepare(column).notes == ()
    (note,) = encoder.prepare(TextColumn(["w1 w2 w3 w4"])).notes
    assert note == f"1 of 1 texts has more than {count} tokens and is cut"


def test_ngrams_tell_what_they_cut() -> None:
    encoder = NgramEncoder(buckets=64, width=8, characters=10)
    assert encoder.prepare(TextColumn(["x" * 11, "x" * 10, None])).notes == (
        "1 of 2 texts has more than 10 characters and is cut",
    )


def long_encoder() -> TextTransformer:
    return build_encoder("transformer", TextColumn(texts(20, 90)), **TINY, length=16, document=200).eval()


def test_of_a_kept_document_its_beginning_is_read() -> None:
    encoder, column = long_encoder(), TextColumn([*texts(5, 90, seed=1), "w1 w2"])
    whole = encoder.prepare(column)
    assert np.diff(whole.offsets).max() == 90 and whole.counts.tolist() == [16] * 5 + [2]
    assert whole.notes == ("5 of 6 texts have more than 16 tokens and are cut",)
    begins = TextColumn([" ".join(text.split()[:16]) for text in column])
    expected = encoder.encode(list(begins))
    with pytest.warns(UserWarning, match="5 of 6 texts"):
        np.testing.assert_allclose(encoder.encode(list(column)), expected, atol=1e-6)
    np.testing.assert_allclose(embed_texts(encoder, list(column)), expected, atol=1e-6)
    with torch.no_grad():
        np.testing.assert_allclose(encoder(whole.take(range(6))).vector, expected, atol=1e-6)


def test_pieces_come_from_all_over_a_document() -> None:
    encoder = long_encoder()
    numbers = Tokens(torch.arange(1, 101).repeat(400, 1), torch.ones(400, 100).bool())
    piece = views.TextViews(crop=(0.05, 0.15))(numbers, torch.Generator().manual_seed(0))
    starts = piece.ids[:, 0]
    assert starts.min() < 10 and starts.max() > 80
    seen = encoder.window(numbers, torch.Generator().manual_seed(0))
    assert seen.ids.shape == (400, 16) and bool(seen.mask.all())
    assert seen.ids[:, 0].min() == 1 and seen.ids[:, 0].max() == 85
    assert bool((seen.ids.diff(dim=1) == 1).all())


def test_a_window_leaves_short_texts_and_the_generator_alone() -> None:
    encoder, generator = long_encoder(), torch.Generator().manual_seed(0)
    short = Tokens(torch.ones(3, 16, dtype=torch.int64), torch.ones(3, 16).bool())
    before = generator.get_state()
    assert encoder.window(short, generator) is short and torch.equal(generator.get_state(), before)
    ids = torch.zeros(2, 40, dtype=torch.int64)
    ids[0, :5], ids[1] = torch.arange(1, 6), 7
    seen = encoder.window(Tokens(ids, ids > 0), generator)
    assert seen.ids[0, :5].tolist() == [1, 2, 3, 4, 5] and seen.mask.sum(1).tolist() == [5, 16]


def test_fewer_kept_than_read_is_refused() -> None:
    with pytest.raises(SettingsError, match="no fewer are kept than read"):
        TextTransformer.from_texts(["a"], **TINY, length=9, document=8)


@pytest.mark.parametrize("system", ["bert", "contriever", "simcse"])
def test_systems_learn_from_documents_longer_than_what_is_read(system: str, tmp_path) -> None:
    run = unalike.fit(
        texts(24, 400), system=system, encoder={"text": "transformer"}, steps=2, batch_size=8, out=tmp_path / "run"
    )
    assert run.record["encoders"]["text"]["length"] == 256
    assert any("24 of 24 texts have more than 256 tokens" in note for note in run.record["notes"])
    assert np.isfinite(run.embed(texts(3, 400)).vectors).all()
