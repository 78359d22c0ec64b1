"""Measures of sentence encoders in claims, against plain loops."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import spearmanr

from unalike.claims import ratings
from unalike.data import ArrayColumn, Collection, LabelColumn, TextColumn
from unalike.encoders import NgramEncoder

GLOSSES = ["a large cat", "a wild animal", "a small pet", "a vessel", "to make a hole", "a hollow to drink from"]
LEMMAS = ["Tiger, big cat", "tiger, beast", "cat", "cup, mug", "drill", "mug"]
PAIRS = [("tiger", "cat", 7.0), ("Cup", "mug", 9.0), ("drill", "cat", 1.0), ("mug", "tiger", 2.0), ("mug", "yeti", 3.0)]


@pytest.fixture
def sets(monkeypatch):
    first, second, rated = zip(*PAIRS * 4, strict=True)
    pairs = Collection(
        {
            "text": TextColumn(list(first)),
            "text:second": TextColumn(list(second)),
            "array": ArrayColumn(np.array(rated, np.float32)[:, None]),
            "label": LabelColumn.from_values((["one"] * 5 + ["two"] * 5) * 2),
        },
        name="pairs",
        # The second study has one pair less in the test split.
        splits={"validation": np.array([10, 12, 15, 16]), "test": np.array([0, 1, 2, 3, 4, 5, 6, 7, 9])},
    )
    wordnet = Collection({"text": TextColumn(GLOSSES), "text:lemmas": TextColumn(LEMMAS)}, name="wordnet")
    monkeypatch.setattr(ratings, "open_set", {"word-similarity": pairs, "wordnet": wordnet}.__getitem__)
    ratings.rated_words.cache_clear()
    yield pairs
    ratings.rated_words.cache_clear()


def trial_of(rows) -> SimpleNamespace:
    texts = [f"{word} number {n}" for n, word in enumerate(["red", "blue", "small", "large"] * 3)]
    encoder = NgramEncoder(buckets=500, width=8, dropout=0.5).eval()
    return SimpleNamespace(
        rows=np.asarray(rows),
        ground=SimpleNamespace(validation=np.array([0, 1])),
        encoder=encoder,
        seed=3,
        roles=("text", "text:query"),
        texts=lambda role, rows: [f"{texts[row]}{' and more of it' if role == 'text' else ''}" for row in rows],
    )


@pytest.mark.parametrize(
    ("rows", "studies"), [([2, 3], [PAIRS[:4], PAIRS[:3]]), ([0, 1], [PAIRS[0::2][:2], PAIRS[:2]])]
)
def test_the_correlation_with_ratings_by_loops(sets, rows, studies):
    trial = trial_of(rows)
    vectors = trial.encoder.encode(GLOSSES)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    meanings = {
        word: [n for n, lemmas in enumerate(LEMMAS) if word in lemmas.lower().split(", ")]
        for word in ("tiger", "cat", "cup", "mug", "drill")
    }
    expected = []
    for pairs in studies:
        alike = [
            max(vectors[a] @ vectors[b] for a in meanings[one.lower()] for b in meanings[other])
            for one, other, _ in pairs
        ]
        expected.append(spearmanr(np.round(alike, 6), [rating for *_, rating in pairs]).statistic)
    assert ratings.gloss_correlation(trial) == pytest.approx(np.mean(expected))


def test_how_vectors_lie():
    trial = trial_of(np.arange(12))
    vectors = trial.encoder.encode(trial.texts("text:query", range(12))).astype(np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    squared = np.array([((unit[a] - unit[b]) ** 2).sum() for a in range(12) for b in range(a)])
    assert ratings.sentence_uniformity(trial) == pytest.approx(np.log(np.exp(-2 * squared).mean()), abs=1e-4)
    values = np.linalg.svd(vectors, compute_uv=False)
    shares = values / values.sum()
    rank = ratings.sentence_rank(trial)
    assert 1 < rank < 8
    assert rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=0.2)


def test_passes_with_dropout_lie_apart_and_without_they_do_not():
    trial = trial_of(np.arange(12))
    first = ratings.alignment_of_passes(trial)
    assert 0 < first < 2 and first == ratings.alignment_of_passes(trial)
    assert not trial.encoder.training
    still = NgramEncoder(buckets=500, width=8, dropout=0.0).eval()
    trial.encoder = still
    assert ratings.alignment_of_passes(trial) == pytest.approx(0, abs=1e-9)


def test_descriptions_are_asked_for_among_all(sets):
    trial = trial_of(np.arange(12))
    vectors = [trial.encoder.encode(trial.texts(role, range(12))) for role in ("text:query", "text")]
    short, long = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in vectors)
    places = [(row > row[number]).sum() for number, row in enumerate(short @ long.T)]
    assert ratings.description_found(trial) == pytest.approx(np.mean(np.array(places) < 10))
