"""Hashed n-grams against a plain double loop."""

from __future__ import annotations

import time

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unalike.data import TextColumn
from unalike.encoders import NgramEncoder
from unalike.encoders.ngrams import ngrams
from unalike.encoders.text import normalise
from unalike.views import Tokens

BUCKETS = 2**31 - 2  # so many that two n-grams of these tests never share one


def by_loops(text: str, longest: int) -> list[str]:
    """The n-grams and words of one text, in order of their beginning; words are told apart by a mark."""
    padded = f" {text} "
    found = []
    for i in range(len(padded)):
        for n in range(1, longest + 1):
            gram = padded[i : i + n]
            if len(gram) == n and gram.strip() and " " not in gram[1:-1] and (n > 1 or gram != " "):
                found.append(gram)
        if padded[i] != " " and padded[i - 1] == " ":
            found.append("word:" + padded[i:].split(" ")[0])
    return found


texts = st.lists(st.text("ab é語🙂", max_size=12).map(normalise), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(texts=texts, longest=st.integers(1, 6))
def test_equal_to_loops(texts, longest):
    values, counts = ngrams(texts, longest=longest, buckets=BUCKETS)
    expected = [by_loops(text, longest) for text in texts]
    assert counts.tolist() == [len(grams) for grams in expected]
    flat = [gram for grams in expected for gram in grams]
    assert len(values) == len(flat)
    numbers: dict[str, int] = {}
    for value, gram in zip(values.tolist(), flat, strict=True):  # the same n-gram, the same number
        assert numbers.setdefault(gram, value) == value
    assert len(set(numbers.values())) == len(numbers)  # other n-grams, other numbers
    assert all(1 <= value <= BUCKETS for value in numbers.values())


def test_a_text_has_the_same_tokens_in_any_company():
    encoder = NgramEncoder(buckets=1000, width=8)
    alone, _ = encoder.tokenise(["red bicycle"])
    values, counts = encoder.tokenise(["", "a cat", "red bicycle", "x"])
    start = counts[:2].sum()
    assert np.array_equal(values[start : start + counts[2]], alone)


def test_tokens_stay_the_same_from_version_to_version():
    values, _ = ngrams(["red"], longest=2, buckets=32768)  # saved tables are read by these numbers
    assert values.tolist() == [16596, 1179, 15871, 2785, 26612, 10409, 792, 12806]


def test_hashes_fill_the_buckets_evenly():
    numbers, _ = ngrams([f"{i}" for i in range(40_000)], longest=4, buckets=BUCKETS)
    distinct = np.unique(numbers)
    frequency = np.bincount(distinct % 500, minlength=500)
    chi2 = ((frequency - frequency.mean()) ** 2 / frequency.mean()).sum()
    assert len(distinct) > 20_000
    assert abs(chi2 - 499) < 5 * np.sqrt(2 * 499)


def test_capitals_forms_and_spaces_are_folded():
    encoder = NgramEncoder(buckets=10_000, width=8)
    assert np.array_equal(encoder.tokenise(["Red  Bicycle"])[0], encoder.tokenise([" ｒｅｄ bicycle\n"])[0])
    exact = NgramEncoder(buckets=10_000, width=8, lowercase=False)
    assert not np.array_equal(exact.tokenise(["Red"])[0], exact.tokenise(["red"])[0])


def test_long_texts_are_cut():
    encoder = NgramEncoder(buckets=1000, width=8, characters=10)
    assert np.array_equal(encoder.tokenise(["x" * 10_000])[0], encoder.tokenise(["x" * 10])[0])


def test_vector_is_the_weighted_mean_through_the_mlp():
    encoder = NgramEncoder(buckets=50, table=6, hidden=7, width=5, tokens=True).eval()
    encoder.importance.weight.data.normal_(generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[3, 9, 9, 0], [7, 0, 0, 0]])
    encoded = encoder(Tokens(ids, ids > 0))
    for row, length in enumerate([3, 1]):
        chosen = ids[row, :length]
        weights = torch.exp(encoder.importance.weight[chosen, 0])
        pooled = (encoder.table.weight[chosen] * weights[:, None]).sum(0) / weights.sum()
        torch.testing.assert_close(encoded.vector[row], encoder.mlp(pooled))
        torch.testing.assert_close(encoded.tokens[row, :length], encoder.mlp(encoder.table.weight[chosen]))


def test_two_hundred_thousand_texts_pack_within_reason():
    words = np.array(
        [
            "grinning",
            "face",
            "with",
            "big",
            "eyes",
            "cat",
            "bicycle",
            "red",
            "heart",
            "hand",
            "flag",
            "of",
            "the",
            "sun",
            "moon",
        ]
    )
    rng = np.random.default_rng(0)
    column = TextColumn([" ".join(rng.choice(words, 6)) for _ in range(20_000)])
    start = time.process_time()
    packed = NgramEncoder(buckets=2**15, width=8).prepare(column)
    assert len(packed) == 20_000
    assert time.process_time() - start < 10  # a tenth of 200,000 texts; 0.3 s on the machine where this was written
