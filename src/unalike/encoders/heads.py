"""What stands on an encoder while it learns: projectors, predictors, prototypes, a learned scale."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from .seeding import seeded


def projector(
    width: int,
    hidden: int,
    out: int,
    *,
    layers: int = 2,
    batch_norm: bool = True,
    last_batch_norm: bool = False,
    seed: int | None = None,
) -> nn.Sequential:
    """The head whose output a loss compares, thrown away afterwards (Chen et al. 2020, arXiv:2002.05709).

    Args:
        width: length of the encoder's vectors.
        hidden: length between the layers.
        out: length of what the loss compares.
        layers: number of linear layers; 1 is a linear map without ``hidden``.
        batch_norm: normalise each hidden layer over the batch before its ReLU.
        last_batch_norm: normalise the output too, without scale and shift, as SimSiam does.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        ValueError: there are no layers.

    Example:
        >>> import torch
        >>> from unalike.encoders import projector
        >>> projector(256, 512, 128)(torch.randn(8, 256)).shape
        torch.Size([8, 128])
    """
    if layers < 1:
        raise ValueError(f"a projector has at least one layer; given: layers={layers}")
    lengths = [width, *[hidden] * (layers - 1), out]
    modules: list[nn.Module] = []
    with seeded(seed):
        for i, (a, b) in enumerate(pairwise(lengths)):
            last = i == layers - 1
            normed = last_batch_norm if last else batch_norm
            modules.append(nn.Linear(a, b, bias=not normed))  # the norm's shift, or its absence, replaces the bias
            if normed:
                modules.append(nn.BatchNorm1d(b, affine=not last))
            if not last:
                modules.append(nn.ReLU(inplace=True))
    return nn.Sequential(*modules)


def predictor(width: int, hidden: int, *, batch_norm: bool = True, seed: int | None = None) -> nn.Sequential:
    """The head that guesses the other view's projection (Grill et al. 2020, arXiv:2006.07733).

    Args:
        width: length of the projection, in and out.
        hidden: length of the hidden layer.
        batch_norm: normalise the hidden layer over the batch.
        seed: of the initial weights; None draws from torch's current random state.

    Example:
        >>> import torch
        >>> from unalike.encoders import predictor
        >>> predictor(128, 64)(torch.randn(8, 128)).shape
        torch.Size([8, 128])
    """
    return projector(width, hidden, width, batch_norm=batch_norm, seed=seed)


def symmetric_linear(width: int, *, seed: int | None = None) -> nn.Linear:
    """A linear map of a space to itself whose matrix is symmetric and stays so (Tian et al. 2021, arXiv:2102.06810).

    Args:
        width: of the space.
        seed: of the initial weights; None draws from torch's current random state.

    Example:
        >>> import torch
        >>> from unalike.encoders import symmetric_linear
        >>> matrix = symmetric_linear(4, seed=0).weight
        >>> torch.equal(matrix, matrix.T)
        True
    """
    made = linear(width, width, seed=seed)
    nn.utils.parametrize.register_parametrization(made, "weight", _Symmetric())
    return made


class _Symmetric(nn.Module):
    """Reads a matrix by its upper triangle."""

    def forward(self, matrix: Tensor) -> Tensor:
        return matrix.triu() + matrix.triu(1).T


def linear(width: int, out: int, *, bias: bool = False, seed: int | None = None) -> nn.Linear:
    """A linear map into a shared space, as each tower of CLIP ends (Radford et al. 2021, arXiv:2103.00020).

    Args:
        width: length of the encoder's vectors.
        out: length of the shared space.
        bias: add a learned constant.
        seed: of the initial weights; None draws from torch's current random state.

    Example:
        >>> from unalike.encoders import linear
        >>> linear(256, 128).weight.shape
        torch.Size([128, 256])
    """
    with seeded(seed):
        return nn.Linear(width, out, bias=bias)


def unit(vectors: Tensor) -> Tensor:
    """Vectors ``(..., D)`` at length one, as losses over cosines want them; a zero vector stays zero.

    Example:
        >>> import torch
        >>> from unalike.encoders import unit
        >>> unit(torch.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """
    return nn.functional.normalize(vectors, dim=-1)


class LogitScale(nn.Module):
    """A learned inverse temperature, kept in logarithms and below a bound (arXiv:2103.00020, section 2.5).

    Args:
        init: value at the start; 1 / 0.07 in CLIP, 10 in SigLIP.
        maximum: largest value; 100 in CLIP.

    Example:
        >>> from unalike.encoders import LogitScale
        >>> round(LogitScale(init=10.0)().item(), 4)
        10.0
    """

    def __init__(self, init: float = 1 / 0.07, maximum: float = 100.0) -> None:
        super().__init__()
        if not 0 < init <= maximum:
            raise ValueError(f"a scale starts above 0 and not above its maximum {maximum}; given: {init}")
        self.maximum = maximum
        self.log = nn.Parameter(torch.tensor(math.log(init)))

    def forward(self) -> Tensor:
        # The stored value is moved back, not the result clamped: a clamp has no gradient beyond its bound, and a
        # scale that once overshot could never come down again.
        with torch.no_grad():
            self.log.clamp_(max=math.log(self.maximum))
        return self.log.exp()


class LogitBias(nn.Module):
    """A learned constant that is added to every score, as in SigLIP (arXiv:2303.15343).

    Args:
        init: value at the start; -10 makes most pairs count as negatives, which they are.

    Example:
        >>> from unalike.encoders import LogitBias
        >>> LogitBias()().item()
        -10.0
    """

    def __init__(self, init: float = -10.0) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(init))

    def forward(self) -> Tensor:
        return self.bias


class Prototypes(nn.Module):
    """Unit vectors that stand for clusters or classes; the head gives each input's cosine to every one.

    Learned by gradient (SwAV, arXiv:2006.09882), or moved by `average` and `set` alone (PCL, arXiv:2005.04966).

    Args:
        count: number of prototypes.
        width: length of the vectors.
        learned: whether gradient moves them.
        seed: of the initial prototypes; None draws from torch's current random state.

    Raises:
        ValueError: there are no prototypes, or they have no length.

    Example:
        >>> import torch
        >>> from unalike.encoders import Prototypes
        >>> scores = Prototypes(30, 16)(torch.randn(8, 16))
        >>> scores.shape, bool(scores.abs().max() <= 1 + 1e-6)
        (torch.Size([8, 30]), True)
    """

    weight: Tensor

    def __init__(self, count: int, width: int, *, learned: bool = True, seed: int | None = None) -> None:
        super().__init__()
        if count < 1 or width < 1:
            raise ValueError(f"{count} prototypes of length {width}; both must be at least 1")
        with seeded(seed):
            first = unit(torch.randn(count, width))
        if learned:
            self.weight = nn.Parameter(first)
        else:
            self.register_buffer("weight", first)

    def unit(self) -> Tensor:
        """The prototypes ``(count, width)``, of length one."""
        return unit(self.weight)

    def forward(self, vectors: Tensor) -> Tensor:
        """Cosines ``(B, count)`` of vectors ``(B, width)``."""
        return unit(vectors) @ self.unit().T

    @torch.no_grad()
    def normalize(self) -> None:
        """Bring the stored prototypes back to unit length, after an optimiser's step."""
        self.weight.copy_(self.unit())

    @torch.no_grad()
    def set(self, vectors: Tensor) -> None:
        """Replace all prototypes by ``(count, width)`` vectors, such as the centres of clusters."""
        if vectors.shape != self.weight.shape:
            raise ValueError(f"{tuple(vectors.shape)} for prototypes of shape {tuple(self.weight.shape)}")
        self.weight.copy_(unit(vectors.detach()))

    @torch.no_grad()
    def average(self, vectors: Tensor, codes: Tensor, *, rate: float) -> None:
        """Move each prototype towards the mean of the vectors assigned to it; those without any stay.

        Args:
            vectors: ``(B, width)``.
            codes: the prototype of each vector, int64 ``(B,)``, -1 for none.
            rate: share of the mean, above 0 and at most 1.
        """
        if not 0 < rate <= 1:
            raise ValueError(f"the rate of a moving average is above 0 and at most 1; given: {rate}")
        known = codes >= 0
        vectors, codes = vectors.detach()[known].to(self.weight), codes[known]
        sums = torch.zeros_like(self.weight).index_add_(0, codes, vectors)
        counts = torch.bincount(codes, minlength=sums.shape[0]).to(sums)[:, None]
        moved = unit(torch.lerp(self.unit(), sums / counts.clamp(min=1), rate))
        self.weight.copy_(torch.where(counts > 0, moved, self.weight))
