"""K-means in its four forms, against scikit-learn and against every possible partition."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from unalike.errors import DataError
from unalike.pairing import balanced_k_means, clamped_k_means, k_means


def blobs(count: int, width: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def cost(vectors: torch.Tensor, codes, clusters: int, cosine: bool) -> float:
    """Sum of squared distances to the best centres of a partition."""
    points, codes = vectors.double(), torch.as_tensor(codes)
    if cosine:
        points = points / points.norm(dim=1, keepdim=True)
    total = 0.0
    for number in range(clusters):
        part = points[codes == number]
        if len(part):
            centre = part.mean(0)
            if cosine:
                centre = centre / centre.norm()
            total += float(((part - centre) ** 2).sum())
    return total


def cheapest(vectors: torch.Tensor, clusters: int, cosine: bool, allowed) -> float:
    return min(
        cost(vectors, codes, clusters, cosine)
        for codes in product(range(clusters), repeat=len(vectors))
        if allowed(np.bincount(codes, minlength=clusters), codes)
    )


@pytest.mark.parametrize("cosine", [False, True])
def test_k_means_finds_the_best_partition(cosine: bool) -> None:
    vectors = blobs(8, 2)
    codes, centres = k_means(vectors, 3, cosine=cosine, restarts=30, seed=0)
    best = cheapest(vectors, 3, cosine, lambda sizes, _: sizes.min() > 0)
    assert cost(vectors, codes, 3, cosine) == pytest.approx(best, rel=1e-6)
    assert codes.dtype == torch.int64
    if cosine:
        torch.testing.assert_close(centres.norm(dim=1), torch.ones(3))


def test_plain_k_means_is_scikit_learns() -> None:
    vectors = blobs(200)
    codes, centres = k_means(vectors, 6, restarts=2, seed=3)
    model = KMeans(6, n_init=2, random_state=np.random.RandomState(3)).fit(vectors.double().numpy())
    assert codes.tolist() == model.labels_.tolist()
    torch.testing.assert_close(centres, torch.from_numpy(model.cluster_centers_).float())


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("count", [6, 7, 8])
def test_balanced_k_means_finds_the_best_partition_of_equal_sizes(count: int, cosine: bool) -> None:
    vectors = blobs(count, 2, seed=count) + torch.tensor([2.0, 0.0])
    codes, _ = balanced_k_means(vectors, 3, cosine=cosine, restarts=40, seed=0)
    best = cheapest(vectors, 3, cosine, lambda sizes, _: np.ptp(sizes) <= 1)
    assert cost(vectors, codes, 3, cosine) == pytest.approx(best, rel=1e-6)


@settings(max_examples=40)
@given(st.integers(1, 25), st.integers(1, 6), st.booleans(), st.integers(0, 9), st.booleans())
def test_balanced_sizes_differ_by_one_at_most(count: int, clusters: int, cosine: bool, seed: int, same: bool) -> None:
    vectors = torch.ones(count, 2) if same else blobs(count, 2, seed)
    if clusters > count:
        with pytest.raises(DataError, match=f"{clusters} clusters of {count}"):
            balanced_k_means(vectors, clusters, cosine=cosine)
        return
    sizes = balanced_k_means(vectors, clusters, cosine=cosine, seed=seed).codes.bincount(minlength=clusters)
    assert len(sizes) == clusters
    assert int(sizes.max() - sizes.min()) <= 1


@pytest.mark.parametrize("cosine", [False, True])
def test_clamped_k_means_finds_the_best_partition_that_keeps_the_labels(cosine: bool) -> None:
    vectors = blobs(9, 2, seed=4)
    labels = torch.tensor([0, 1, 1, -1, -1, -1, -1, -1, 0])
    codes, _ = clamped_k_means(vectors, labels, 3, cosine=cosine, restarts=40, seed=0)
    known = labels >= 0
    assert torch.equal(codes[known], labels[known])

    def keeps(sizes, codes) -> bool:
        return sizes.min() > 0 and all(
            code == label for code, label in zip(codes, labels.tolist(), strict=True) if label >= 0
        )

    assert cost(vectors, codes, 3, cosine) == pytest.approx(cheapest(vectors, 3, cosine, keeps), rel=1e-6)


def test_clamped_k_means_finds_new_classes_and_leaves_room_for_absent_ones() -> None:
    centres = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]])
    truth = torch.arange(80) % 4
    vectors = centres[truth] + 0.1 * blobs(80, 2)
    labels = torch.where((truth == 2) & (torch.arange(80) < 40), truth, -1)  # only of class 2 some are known
    codes = clamped_k_means(vectors, labels, 4, seed=1).codes
    assert set(codes[truth == 2].tolist()) == {2}
    assert len({(a, b) for a, b in zip(truth.tolist(), codes.tolist(), strict=True)}) == 4
    with pytest.raises(DataError, match="labels"):
        clamped_k_means(vectors, labels, 2)
    with pytest.raises(DataError, match="0 vectors without label for 1 clusters"):
        clamped_k_means(vectors, truth, 5)


def test_an_empty_cluster_takes_the_farthest_vector() -> None:
    vectors = torch.tensor([[1.0, 0.0]] * 5 + [[0.0, 1.0]])
    for function in (k_means, balanced_k_means):
        assert set(function(vectors, 2, cosine=True, seed=0).codes.tolist()) == {0, 1}
    assert k_means(torch.eye(3), 3, cosine=True, seed=0).codes.unique().numel() == 3


@pytest.mark.parametrize("function", [k_means, balanced_k_means])
@pytest.mark.parametrize("cosine", [False, True])
def test_the_seed_decides_and_without_one_torchs_random_state(function, cosine: bool) -> None:
    vectors = blobs(60)
    first, again = (function(vectors, 7, cosine=cosine, restarts=1, seed=5) for _ in range(2))
    assert torch.equal(first.codes, again.codes)
    assert torch.equal(first.centres, again.centres)
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(function(vectors, 7, cosine=cosine, restarts=1).codes)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_what_cannot_be_clustered() -> None:
    for wrong in (torch.ones(3), torch.tensor([[torch.nan, 1.0]])):
        with pytest.raises(DataError, match="matrix of finite numbers"):
            k_means(wrong, 1)
    with pytest.raises(DataError, match="0 clusters"):
        k_means(torch.ones(3, 2), 0)
