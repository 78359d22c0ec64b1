"""What a search gives: the best entry of each row, ties by row, and the same from anything that is opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import unalike
from unalike.runs.opened import Opened
from unalike.runs.search import search


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = np.random.default_rng(0).normal(size=(24, 5)).astype(np.float32)
    out = tmp_path_factory.mktemp("search") / "run"
    return unalike.fit(rows, system="scarf", steps=2, batch_size=8, device="cpu", out=out).folder


def two_pictures_a_row(folder: Path) -> Opened:
    """A run whose rows have two pictures each, some of them missing, and two rows that are alike."""
    run = Opened.load(folder)
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(2, len(run.items), 7)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    vectors[1, ::3] = 0
    vectors[:, 9] = vectors[:, 4] = vectors[:, 20]
    vectors[1, 9] = vectors[1, 4] = 0
    run.__dict__["vectors"] = {"image:a": vectors[0], "image:b": vectors[1]}
    return run


@pytest.mark.parametrize("asked", ["4", "7", "20"])
def test_each_row_counts_with_its_best_picture_and_equals_stand_by_row(folder: Path, asked: str) -> None:
    run = two_pictures_a_row(folder)
    ids, row = run.items.ids, int(asked)
    vector = run.vectors["image:a"][row]
    scores = np.stack([run.vectors[role] @ vector for role in run.vectors])
    scores[~np.stack([run.present(role) for role in run.vectors])] = -np.inf
    scores[:, row] = -np.inf
    best = scores.max(axis=0).round(5)
    wanted = [each for each in np.lexsort((np.arange(len(best)), -best)) if each != row][:10]
    found = search(run, ids[row], k=10)
    assert [hit.row for hit in found] == wanted
    assert [hit.rank for hit in found] == list(range(1, 11))
    assert [hit.role for hit in found] == [("image:a", "image:b")[scores[:, each].argmax()] for each in wanted]
    np.testing.assert_allclose([hit.score for hit in found], best[wanted], atol=2e-5)


def test_more_hits_than_rows_are_all_other_rows(folder: Path) -> None:
    run = two_pictures_a_row(folder)
    assert {hit.row for hit in search(run, run.items.ids[0], k=1000)} == set(range(1, len(run.items)))


def test_a_run_and_what_is_opened_give_the_same(folder: Path) -> None:
    run, opened = unalike.load(folder), Opened.load(folder)
    assert run.search(run.items.ids[3], k=5) == search(opened, opened.items.ids[3], k=5)
    assert isinstance(run, unalike.Run) and not isinstance(opened, unalike.Run)
