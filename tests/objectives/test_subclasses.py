"""SBCL against plain loops, and the two losses that it becomes at its ends."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from loops import agree, batches, classes, few, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import nt_xent, sbcl, sbcl_temperatures, sup_con


def parts_of(labels: Tensor, seed: int) -> Tensor:
    """Two subclasses a class, some samples with none."""
    halves = torch.randint(-1, 2, labels.shape, generator=torch.Generator().manual_seed(seed + 2))
    return torch.where((labels < 0) | (halves < 0), -1, 2 * labels + halves)


@few
@given(seeds, batches, widths)
def test_sbcl_equals_loops(seed: int, size: int, width: int) -> None:
    labels = classes(seed, size)
    parts = parts_of(labels, seed)
    heat = 0.2 + torch.rand(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def loops(first: Tensor, second: Tensor) -> Tensor:
        z = torch.cat([first, second])
        total = torch.zeros((), dtype=torch.float64)
        for i in range(2 * size):
            a = i % size
            fine, coarse, below = [], [], []
            for j in range(2 * size):
                if j == i:
                    continue
                b = j % size
                together = a == b or (int(parts[a]) == int(parts[b]) and int(parts[a]) >= 0)
                if together:
                    fine.append(j)
                if a == b or (int(labels[a]) == int(labels[b]) and int(labels[a]) >= 0 and not together):
                    coarse.append(j)
                if a == b or not together:
                    below.append(j)
            everything = sum((z[i] @ z[j] / 0.3).exp() for j in range(2 * size) if j != i)
            total = total + everything.log() - sum(z[i] @ z[j] / 0.3 for j in fine) / len(fine)
            others = sum((z[i] @ z[j] / heat[a]).exp() for j in below)
            total = total + 0.25 * (others.log() - sum(z[i] @ z[j] / heat[a] for j in coarse) / len(coarse))
        return total / (2 * size)

    def ours(first: Tensor, second: Tensor) -> Tensor:
        return sbcl(first, second, labels, parts, temperature=0.3, class_temperatures=heat)

    agree(ours, loops, *vectors(seed, 2, size, width), single=1e-3)


def test_one_subclass_a_class_is_supcon_and_a_contrast_of_looks_with_other_classes() -> None:
    first, second = vectors(3, 2, 6, 4)
    labels, heat = torch.tensor([0, 0, 1, 1, 2, 2]), torch.full((6,), 0.5, dtype=torch.float64)
    looks = torch.cat([first, second])
    alone = sbcl(first, second, labels, labels, temperature=0.3, class_temperatures=heat, weight=0.0)
    torch.testing.assert_close(alone, sup_con(looks, labels.repeat(2), temperature=0.3))
    whole = sbcl(first, second, labels, labels, temperature=0.3, class_temperatures=heat, weight=1.0)
    scores = looks @ looks.T / 0.5
    place = torch.arange(12)
    twin = (place[:, None] + 6) % 12 == place
    kept = (labels.repeat(2)[:, None] != labels.repeat(2)) | twin
    rows = scores.masked_fill(~kept, -torch.inf).logsumexp(dim=1) - scores[twin]
    torch.testing.assert_close(whole - alone, rows.mean())


def test_a_subclass_for_each_sample_is_nt_xent_and_supcon() -> None:
    first, second = vectors(5, 2, 5, 3)
    labels, heat = torch.tensor([0, 0, 1, 1, 1]), torch.full((5,), 0.4, dtype=torch.float64)
    found = sbcl(first, second, labels, torch.arange(5), temperature=0.3, class_temperatures=heat, weight=0.5)
    classes_loss = sup_con(torch.cat([first, second]), labels.repeat(2), temperature=0.4)
    torch.testing.assert_close(found, nt_xent(first, second, temperature=0.3) + 0.5 * classes_loss)


def test_temperatures_follow_the_scatter_of_classes_that_have_parts() -> None:
    rows = vectors(7, 30, 4)
    labels = torch.tensor([0] * 12 + [1] * 10 + [2] * 6 + [-1] * 2)
    rows[12:22] = torch.nn.functional.normalize(rows[12:22] + 3 * rows[12], dim=1)  # a tight class
    parts = torch.tensor([0] * 6 + [1] * 6 + [2] * 5 + [3] * 5 + [4] * 6 + [-1] * 2)
    spread = []
    for number in range(3):
        own = rows[labels == number]
        centre = sum(own) / len(own)
        spread.append(sum((row - centre).norm() for row in own) / len(own) / math.log(len(own) + 10))
    low, high = (torch.stack(spread).quantile(q) for q in (0.1, 0.9))
    clipped = [min(max(value, low), high) for value in spread]
    wanted = [0.2 * value / (sum(clipped) / 3) for value in clipped]
    found = sbcl_temperatures(rows, labels, parts, classes=3, temperature=0.2)
    torch.testing.assert_close(found[:2].double(), torch.stack(wanted[:2]), rtol=1e-5, atol=1e-6)
    assert found[0] > found[1]
    assert float(found[2]) == pytest.approx(0.2)  # one subclass: as it is


def test_what_is_refused() -> None:
    rows, labels, heat = torch.eye(3), torch.zeros(3, dtype=torch.int64), torch.full((3,), 0.1)
    with pytest.raises(DataError, match="subclasses"):
        sbcl(rows, rows, labels, labels[:2], temperature=0.1, class_temperatures=heat)
    with pytest.raises(SettingsError, match="temperature"):
        sbcl(rows, rows, labels, labels, temperature=0.0, class_temperatures=heat)
