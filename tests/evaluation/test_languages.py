"""Ranks over languages against plain counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unalike.errors import DataError
from unalike.evaluation import chance_rank_variance, language_ranks, rank_variance

few = settings(max_examples=25, deadline=None, derandomize=True)


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    rows = rng.normal(size=shape)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@few
@given(seed=st.integers(0, 2**31 - 1), rows=st.integers(2, 12), languages=st.integers(2, 4))
def test_ranks_are_those_of_counting_what_is_nearer(seed: int, rows: int, languages: int) -> None:
    rng = np.random.default_rng(seed)
    pictures = unit(rng, rows, 5)
    names = [f"l{k}" for k in range(languages)]
    item = {name: rng.integers(0, rows, rows) for name in names}
    worded = {name: unit(rng, rows, 5)[item[name]] for name in names}
    has = {name: rng.random(rows) < 0.8 for name in names}
    for name in names:
        has[name][rng.integers(rows)] = True
    found = language_ranks(pictures, worded, present=has, items=item)
    for k, name in enumerate(names):
        listed = sorted({int(item[name][i]) for i in range(rows) if has[name][i]})
        wording = {c: worded[name][next(i for i in range(rows) if has[name][i] and item[name][i] == c)] for c in listed}
        for i in range(rows):
            if not has[name][i]:
                assert found.texts[i, k] == found.pictures[i, k] == 0
                continue
            own = pictures[i] @ wording[int(item[name][i])]
            assert found.texts[i, k] == 1 + sum(pictures[i] @ vector > own + 1e-6 for vector in wording.values())
            bearing = [j for j in range(rows) if has[name][j] and item[name][j] == item[name][i]]
            best = max(pictures[j] @ worded[name][i] for j in bearing)
            assert found.pictures[i, k] == 1 + sum(pictures[j] @ worded[name][i] > best + 1e-6 for j in range(rows))
        assert found.recall(1)[0][k] == np.mean(found.texts[has[name], k] == 1)
    complete = [i for i in range(rows) if all(has[name][i] for name in names)]
    loops = []
    for i in complete:
        middle = sum(found.texts[i]) / languages
        loops.append(sum((rank - middle) ** 2 for rank in found.texts[i]) / languages)
    assert rank_variance(found.texts).tolist() == pytest.approx(loops)


def test_ranks_are_not_cut_off() -> None:
    space = np.eye(40)
    far = np.roll(np.eye(40) + 0.1 * np.arange(40), 1, axis=0)
    ranks = language_ranks(space, {"en": space, "de": far - 2 * np.eye(40)})
    assert ranks.texts[:, 1].max() == 40
    assert rank_variance(ranks.texts).max() == (39 / 2) ** 2


def test_chance_is_what_random_ranks_come_to() -> None:
    rng = np.random.default_rng(0)
    sizes = np.array([5, 11, 30])
    random = np.stack([rng.integers(1, size + 1, 200_000) for size in sizes], axis=1)
    assert rank_variance(random).mean() == pytest.approx(chance_rank_variance(sizes), rel=0.01)


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match="1 language"):
        language_ranks(np.eye(2), {"en": np.eye(2)})
    with pytest.raises(DataError, match="no row has a text in 'de'"):
        language_ranks(np.eye(2), {"en": np.eye(2), "de": np.eye(2)}, present={"de": np.zeros(2, bool)})
    with pytest.raises(DataError, match=r"shape \(3,\)"):
        rank_variance(np.ones(3))
