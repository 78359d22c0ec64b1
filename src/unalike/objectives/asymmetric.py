"""Objectives without negatives that rest on asymmetry: a predictor, a stopped gradient, a teacher."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, log_softmax, softmax

from unalike.errors import DataError
from unalike.objectives.checks import positive, same_shape, several_views
from unalike.objectives.precision import full_precision


@full_precision
def simsiam(predictions: Tensor, targets: Tensor) -> Tensor:
    """SimSiam: minus the mean cosine between one view's prediction and the other view's projection.

    ``-mean_i cos(p_i, stopgrad(z_i))``. The paper averages both directions:
    ``(simsiam(p1, z2) + simsiam(p2, z1)) / 2``.

    Paper: Chen, He, "Exploring Simple Siamese Representation Learning", CVPR 2021, equations 1 to 4.

    Args:
        predictions: the predictor's output for one view ``(B, D)``, any length.
        targets: the projector's output for the other view ``(B, D)``, any length; gets no gradient.

    Data: two views of each sample; no labels, no negatives.
    Cost: O(B D) time and memory.

    Raises:
        DataError: the shapes differ.

    Example:
        >>> import torch
        >>> from unalike.objectives import simsiam
        >>> round(float(simsiam(torch.tensor([[3.0, 0.0]]), torch.tensor([[2.0, 0.0]]))), 4)
        -1.0
    """
    same_shape(predictions=predictions, targets=targets)
    return -cosine_similarity(predictions, targets.detach(), dim=1).mean()


@full_precision
def byol(predictions: Tensor, targets: Tensor) -> Tensor:
    """BYOL: the squared distance between the student's normalised prediction and the teacher's normalised projection.

    ``mean_i ||p_i/|p_i| - stopgrad(z_i/|z_i|)||^2 = 2 - 2 mean_i cos(p_i, z_i)``. The paper sums both directions:
    ``byol(p1, z2) + byol(p2, z1)``.

    Paper: Grill et al., "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", NeurIPS 2020,
    equation 2.

    Args:
        predictions: the student predictor's output for one view ``(B, D)``, any length.
        targets: the teacher projector's output for the other view ``(B, D)``, any length; gets no gradient.

    Data: two views of each sample; no labels, no negatives.
    Cost: O(B D) time and memory.

    Raises:
        DataError: the shapes differ.

    Example:
        >>> import torch
        >>> from unalike.objectives import byol
        >>> round(float(byol(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 2.0]]))), 4)
        2.0
    """
    same_shape(predictions=predictions, targets=targets)
    return 2 - 2 * cosine_similarity(predictions, targets.detach(), dim=1).mean()


@full_precision
def dino(
    students: Sequence[Tensor],
    teachers: Sequence[Tensor],
    *,
    center: Tensor,
    student_temperature: float = 0.1,
    teacher_temperature: float = 0.04,
) -> Tensor:
    """DINO: every student crop predicts the teacher's centred, sharpened distribution of every other full crop.

    ``mean_{t, s != t} mean_i -sum_k softmax((teacher_t - center)/T_t)_k log softmax(student_s/T_s)_k``.

    Paper: Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021, algorithm 1. The paper
    warms the teacher's temperature up from 0.04 to 0.07 in some runs. `Centering` keeps the center.

    Args:
        students: scores of each crop from the student ``(B, K)``, the full crops first, in the teacher's order.
        teachers: scores of the full crops from the teacher ``(B, K)``; get no gradient.
        center: running mean of the teacher's scores ``(K,)``.
        student_temperature: divides the student's scores.
        teacher_temperature: divides the teacher's centred scores.

    Data: two or more crops of each sample, at least one of them seen by the teacher; no labels, no negatives.
    Cost: O(crops B K) time and memory.

    Raises:
        DataError: shapes differ, or there is no student crop beside the teacher's.
        SettingsError: a temperature is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import dino
        >>> crops = [torch.eye(2), torch.eye(2)]
        >>> round(float(dino(crops, crops, center=torch.zeros(2), teacher_temperature=0.1)), 4)
        0.0005
    """
    several_views(students)
    several_views([*students[:1], *teachers])
    if len(teachers) > len(students):
        raise DataError(
            f"got {len(teachers)} teacher crops and {len(students)} student crops; expected no more "
            "teacher crops than student crops, the shared ones first and in the same order"
        )
    positive(student_temperature=student_temperature, teacher_temperature=teacher_temperature)
    targets = [softmax((scores.detach() - center) / teacher_temperature, dim=1) for scores in teachers]
    logs = [log_softmax(scores / student_temperature, dim=1) for scores in students]
    terms = [
        -(target * log).sum(dim=1).mean()
        for crop, target in enumerate(targets)
        for other, log in enumerate(logs)
        if other != crop
    ]
    return torch.stack(terms).mean()


class Centering(nn.Module):
    """The running mean of a teacher's scores, which DINO subtracts so that no dimension wins always.

    Paper: Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021, equation 4.
    Call `update` after the loss of a step. In a run of several processes the mean is over all of them.

    Args:
        width: number K of scores a row.
        momentum: share of the old center that an update keeps.

    Example:
        >>> import torch
        >>> from unalike.objectives import Centering
        >>> centering = Centering(2, momentum=0.9)
        >>> centering.update([torch.tensor([[1.0, 0.0], [3.0, 0.0]])])
        >>> centering.center
        tensor([0.2000, 0.0000])
    """

    center: Tensor

    def __init__(self, width: int, *, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("center", torch.zeros(width))

    @torch.no_grad()
    def update(self, teachers: Sequence[Tensor]) -> None:
        """Move the center towards the mean of a step's teacher scores, each ``(B, K)``."""
        mean = torch.cat([scores.to(self.center.dtype) for scores in teachers]).mean(dim=0)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(mean)
            mean /= torch.distributed.get_world_size()
        self.center.lerp_(mean, 1 - self.momentum)
