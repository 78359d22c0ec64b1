"""Second moments that move along with training, and a predictor that is set from them in place of being learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MovingCovariance(nn.Module):
    """Moving average of the uncentred second moment ``E[f f^T]``, in a buffer.

    Args:
        width: length D of the vectors.
        rate: share of each new batch, above 0 and at most 1; the first batch is taken as it is.

    Raises:
        ValueError: the rate is out of range.

    Example:
        >>> import torch
        >>> from unalike.encoders import MovingCovariance
        >>> covariance = MovingCovariance(2, rate=0.5)
        >>> _ = covariance.update(torch.tensor([[1.0, 0.0]]))
        >>> covariance.update(torch.tensor([[0.0, 2.0]]))
        tensor([[0.5000, 0.0000],
                [0.0000, 2.0000]])
    """

    matrix: Tensor
    batches: Tensor

    def __init__(self, width: int, rate: float) -> None:
        super().__init__()
        if not 0 < rate <= 1:
            raise ValueError(f"the rate of a moving average is above 0 and at most 1; given: {rate}")
        self.rate = rate
        self.register_buffer("matrix", torch.zeros(width, width))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, vectors: Tensor) -> Tensor:
        """Take in a batch ``(B, D)``, without gradient; return the average ``(D, D)``."""
        vectors = vectors.detach().to(self.matrix)
        moment = vectors.T @ vectors / len(vectors)
        self.matrix.lerp_(moment, self.rate if int(self.batches) else 1.0)
        self.batches.add_(1)
        return self.matrix


class DirectPredictor(nn.Module):
    """DirectPred: a linear predictor without bias that no gradient moves, set from the spectrum of its inputs.

    With ``F = U diag(s) U^T`` the moving covariance of the student's projections, the predictor is
    ``W = U diag(p) U^T``, ``p_j = max((s_j / max_k s_k)^power + epsilon, floor)``: it has the eigenvectors of F,
    to which a trained linear predictor comes by itself, and the eigenvalues that keep all directions alive.

    Paper: Tian, Chen, Ganguli, Understanding self-supervised Learning Dynamics without Contrastive Pairs, ICML 2021,
    arXiv 2102.06810; normalisation and floor as in the authors' release.

    Args:
        width: length D of the projections.
        rate: share of each new batch in the covariance; 1 - rho = 0.7 in the paper.
        epsilon: added to each root; 0.1 in the paper.
        floor: least eigenvalue of the predictor.
        power: exponent of the eigenvalues; 1/2 in the paper.
        every: batches from one decomposition to the next.

    Raises:
        ValueError: a number is out of range.

    Example:
        >>> import torch
        >>> from unalike.encoders import DirectPredictor
        >>> predictor = DirectPredictor(2, epsilon=0.0)
        >>> predictor.update(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
        >>> predictor(torch.tensor([[1.0, 1.0]]))
        tensor([[1.0000, 0.5000]])
    """

    weight: Tensor

    def __init__(
        self,
        width: int,
        *,
        rate: float = 0.7,
        epsilon: float = 0.1,
        floor: float = 1e-4,
        power: float = 0.5,
        every: int = 1,
    ) -> None:
        super().__init__()
        if epsilon < 0 or floor < 0 or power <= 0 or every < 1:
            raise ValueError(
                "epsilon and floor are not negative, power is above 0, every is at least 1; "
                f"given: {epsilon=}, {floor=}, {power=}, {every=}"
            )
        self.covariance = MovingCovariance(width, rate)
        self.epsilon, self.floor, self.power, self.every = epsilon, floor, power, every
        self.register_buffer("weight", torch.eye(width))

    @torch.no_grad()
    def update(self, vectors: Tensor) -> None:
        """Take in the student's projections ``(B, D)``; every ``every`` batches, from the first on, set the weight."""
        due = int(self.covariance.batches) % self.every == 0
        matrix = self.covariance.update(vectors)
        if due:
            values, directions = torch.linalg.eigh(matrix.double().cpu())
            values = values.clamp(min=0)
            roots = (values / values.max().clamp(min=1e-30)) ** self.power + self.epsilon
            self.weight.copy_(directions @ torch.diag(roots.clamp(min=self.floor)) @ directions.T)

    def forward(self, vectors: Tensor) -> Tensor:
        """Predictions ``(B, D)``, with gradient to the vectors."""
        return vectors @ self.weight.T
