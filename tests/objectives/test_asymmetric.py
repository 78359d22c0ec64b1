"""SimSiam, BYOL and DINO against plain loops and lightly."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, few, norm, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import Centering, byol, dino, simsiam


def simsiam_loops(predictions: Tensor, targets: Tensor) -> Tensor:
    targets = targets.detach()
    cosines = [p @ z / (norm(p) * norm(z)) for p, z in zip(predictions, targets, strict=True)]
    return -sum(cosines) / len(cosines)


def byol_loops(predictions: Tensor, targets: Tensor) -> Tensor:
    targets = targets.detach()
    return sum(norm(p / norm(p) - z / norm(z)) ** 2 for p, z in zip(predictions, targets, strict=True)) / len(targets)


@few
@given(seeds, batches, st.integers(2, 5))
def test_simsiam_and_byol_equal_loops(seed: int, size: int, width: int) -> None:
    predictions, targets = vectors(seed, 2, size, width, unit=False)
    agree(simsiam, simsiam_loops, predictions, targets)
    agree(byol, byol_loops, predictions, targets)


def test_targets_get_no_gradient() -> None:
    predictions, targets = (vectors(seed, 4, 3, unit=False).requires_grad_() for seed in (1, 2))
    for objective in (simsiam, byol):
        gradient = torch.autograd.grad(objective(predictions, targets), [predictions, targets], allow_unused=True)
        assert gradient[0].abs().sum() > 0 and gradient[1] is None


def softmax(row: Tensor) -> list[Tensor]:
    weights = [value.exp() for value in row]
    return [weight / sum(weights) for weight in weights]


@few
@given(seeds, batches, widths, st.integers(1, 3), st.integers(0, 2))
def test_dino_equals_loops(seed: int, size: int, width: int, full: int, small: int) -> None:
    if full + small < 2:
        small = 1
    crops = vectors(seed, full + small, size, width, unit=False)
    teachers, center = vectors(seed + 1, full, size, width, unit=False), vectors(seed + 2, width)

    def loops(students: Tensor) -> Tensor:
        terms = []
        for t in range(full):
            for s in range(full + small):
                if s == t:
                    continue
                for i in range(size):
                    target, log = softmax((teachers[t, i] - center) / 0.5), softmax(students[s, i] / 0.2)
                    terms.append(-sum(p * q.log() for p, q in zip(target, log, strict=True)))
        return sum(terms) / len(terms)

    def ours(students: Tensor) -> Tensor:
        dtype = students.dtype
        return dino(
            list(students),
            list(teachers.to(dtype)),
            center=center.to(dtype),
            student_temperature=0.2,
            teacher_temperature=0.5,
        )

    agree(ours, loops, crops)


def test_dino_is_smallest_where_the_student_equals_the_teacher() -> None:
    scores = vectors(4, 6, 5, unit=False).requires_grad_()
    loss = dino([scores, scores], [scores, scores], center=torch.zeros(5), student_temperature=1, teacher_temperature=1)
    (gradient,) = torch.autograd.grad(loss, scores)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))


def test_dino_and_its_center_equal_lightly() -> None:
    lightly = pytest.importorskip("lightly.loss")
    teachers, students = vectors(7, 2, 8, 16, unit=False), vectors(8, 4, 8, 16, unit=False)
    theirs = lightly.DINOLoss(output_dim=16, warmup_teacher_temp=0.04, teacher_temp=0.04, warmup_teacher_temp_epochs=1)
    centering = Centering(16).double()
    for _ in range(2):
        expected = theirs(list(teachers.float()), list(students.float()), epoch=0)
        found = dino(list(students), list(teachers), center=centering.center)
        torch.testing.assert_close(found.float(), expected, rtol=1e-5, atol=1e-6)
        centering.update(list(teachers))
    torch.testing.assert_close(centering.center.float(), theirs.center.flatten(), rtol=1e-5, atol=1e-6)


def test_centering_is_a_running_mean_that_a_checkpoint_carries() -> None:
    centering = Centering(2, momentum=0.5)
    for _ in range(3):
        centering.update([torch.tensor([[1.0, 4.0], [3.0, 0.0]]), torch.tensor([[2.0, 2.0], [2.0, 2.0]])])
    expected = torch.full((2,), 2 * (1 - math.pow(0.5, 3)))
    torch.testing.assert_close(centering.center, expected)
    assert list(centering.state_dict()) == ["center"]


def test_what_dino_refuses() -> None:
    scores = torch.zeros(3, 2)
    with pytest.raises(DataError, match="1 view"):
        dino([scores], [scores], center=torch.zeros(2))
    with pytest.raises(DataError, match="1 view"):
        dino([scores, scores], [], center=torch.zeros(2))
    with pytest.raises(DataError, match="3 teacher crops and 2 student crops"):
        dino([scores, scores], [scores] * 3, center=torch.zeros(2))
    with pytest.raises(SettingsError, match="teacher_temperature=0"):
        dino([scores, scores], [scores], center=torch.zeros(2), teacher_temperature=0)
