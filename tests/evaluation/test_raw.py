"""Vectors without a model: of any column, by what its entries are or by what it says of them itself."""

from __future__ import annotations

import numpy as np

from unalike import evaluation
from unalike.data import ArrayColumn, TextColumn
from unalike.encoders import build_encoder


class Whispers:
    """Prepared entries that describe themselves: by twice their number and what is missing."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        raise AssertionError("a column that describes itself is not asked for its entries")

    def raw(self, rows: np.ndarray) -> np.ndarray:
        return np.stack([2 * np.asarray(rows), np.full(len(rows), np.nan)], axis=1)


def test_numbers_are_standardised_by_the_rows_that_are_learnt_from() -> None:
    rows = np.random.default_rng(0).normal(3, 2, size=(20, 4)).astype(np.float32)
    column = ArrayColumn(rows)
    prepared, train = build_encoder("mlp", [column]).prepare(column), np.arange(5, 17)
    whole = evaluation.raw(column, prepared, fit_on=train)
    np.testing.assert_array_equal(whole, evaluation.standard_vectors(prepared.take(np.arange(20)), fit_on=rows[train]))
    np.testing.assert_array_equal(evaluation.raw(column, prepared, train, fit_on=train), whole[train])
    assert not np.allclose(evaluation.raw(column, prepared), whole)


def test_texts_are_weighed_by_the_rows_that_are_learnt_from() -> None:
    texts = ["red bicycle", "a red car", "stormy sea", "calm sea", "red sea"]
    column = TextColumn(texts)
    prepared, rows = build_encoder("ngram", [column]).prepare(column), np.array([4, 1])
    wanted = evaluation.text_vectors([texts[4], texts[1]], fit_on=texts[:3])
    np.testing.assert_array_equal(evaluation.raw(column, prepared, rows, fit_on=np.arange(3)), wanted)
    np.testing.assert_array_equal(evaluation.raw(column, prepared), evaluation.text_vectors(texts))


def test_a_column_that_describes_itself_is_taken_at_its_word() -> None:
    found = evaluation.described(Whispers(), np.array([3, 0]))  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, np.array([[6, 0], [0, 0]], np.float32))
    assert found.dtype == np.float32
