"""The shape of a space: spread, dimensions in use, classes and hubs."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch

from unalike.errors import DataError, SettingsError
from unalike.evaluation.inputs import ROWS_AT_ONCE, Labels, check_lengths, label_codes, matrix, pairs_of, sample_rows
from unalike.search import top_k
from unalike.search.blocks import Vectors, block, check_matrix


def alignment(first: Vectors, second: Vectors, *, power: float = 2.0) -> float:
    """Mean distance of positive pairs on the sphere, to a power; 0 where each pair is one point.

    Wang and Isola, *Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere* (2020).

    Args:
        first: ``(N, D)``.
        second: ``(N, D)``, row i being a positive of row i.
        power: of the distance.

    Returns:
        With the power 2, from 0 to 4; pairs of unrelated directions have 2.

    Raises:
        DataError: shapes differ, or numbers are not finite.
        SettingsError: a power that is not above zero.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import alignment
        >>> round(alignment(np.eye(2), np.array([[0.0, 1], [0, 1]])), 3)
        1.0
    """
    if not power > 0:
        raise SettingsError(f"got power={power}; expected a number above 0")
    one, other = pairs_of(first, second)
    # The difference itself, not 2 - 2 cos: that would lose the digits of pairs that nearly meet.
    return float((one - other).norm(dim=1).double().pow(power).mean())


def uniformity(
    vectors: Vectors, *, scale: float = 2.0, sample: int = 10_000, rng: np.random.Generator | None = None
) -> float:
    """Log of the mean Gaussian potential of all pairs; 0 where all vectors are one, lower the more even the spread.

    Wang and Isola (2020), as `alignment`. `even_uniformity` says what vectors spread evenly over the sphere have.

    Args:
        vectors: ``(N, D)``, two rows or more.
        scale: ``t`` of the potential ``exp(-t |x - y|^2)``.
        sample: rows to compare with each other, where there are more; exact otherwise.
        rng: draws them; without it always the same ones.

    Raises:
        DataError: fewer than two rows, or numbers that are not finite.
        SettingsError: a scale that is not above zero, or a sample below two.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import uniformity
        >>> round(uniformity(np.array([[1.0, 0], [-1, 0]])), 3)
        -8.0
    """
    if not scale > 0 or sample < 2:
        raise SettingsError(f"got scale={scale}, sample={sample}; expected a scale above 0 and 2 rows or more")
    unit = matrix(vectors, "vectors", unit=True)
    unit = unit[torch.from_numpy(sample_rows(len(unit), sample, rng))]
    count = len(unit)
    if count < 2:
        raise DataError("got one vector; expected two or more to compare with each other")
    squares = (unit * unit).sum(dim=1)
    total = 0.0
    for start in range(0, count, ROWS_AT_ONCE):
        rows = unit[start : start + ROWS_AT_ONCE]
        # Each pair once: what is left of the diagonal block was counted by the strips before.
        strip = rows @ unit[start:].t()
        strip.mul_(2).sub_(squares[start:]).sub_(squares[start : start + len(rows), None])
        strip.clamp_(max=0).mul_(scale).exp_()
        corner = strip[:, : len(rows)]
        total += 2 * float(strip[:, len(rows) :].sum(dtype=torch.float64))
        total += float(corner.sum(dtype=torch.float64)) - float(corner.diagonal().sum(dtype=torch.float64))
    return math.log(total / (count * (count - 1)))


def even_uniformity(dimensions: int, *, scale: float = 2.0) -> float:
    """The `uniformity` of infinitely many vectors spread evenly over the sphere, in closed form.

    Args:
        dimensions: D of the vectors, two or more.
        scale: ``t`` of the potential.

    Raises:
        SettingsError: fewer than two dimensions, or a scale that is not above zero.

    Example:
        >>> from unalike.evaluation import even_uniformity
        >>> round(even_uniformity(128), 2)
        -3.94
    """
    from scipy.special import hyp0f1

    if dimensions < 2 or not scale > 0:
        raise SettingsError(f"got dimensions={dimensions}, scale={scale}; expected 2 or more and a scale above 0")
    # |x - y|^2 is 2 - 2 cos, and E exp(2t cos) over directions the confluent limit function 0F1(D / 2, t^2).
    return float(math.log(hyp0f1(dimensions / 2, scale**2)) - 2 * scale)


def effective_rank(vectors: Vectors, *, center: bool = False) -> float:
    """How many dimensions the vectors use: the exponential of the entropy of the normalised singular values.

    Roy and Vetterli, *The effective rank: a measure of effective dimensionality* (2007); without centring it is
    RankMe, Garrido et al. (2023). It goes from 1, all vectors on one line, to ``min(N, D)``, and never to a share of
    it: a collapsed space has 1 whatever the number of rows. A matrix of zeros has 0.

    Args:
        vectors: ``(N, D)``, taken as they are.
        center: subtract the mean first, so that what all vectors share counts as no dimension.

    Raises:
        DataError: no matrix, or numbers that are not finite.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import effective_rank
        >>> round(effective_rank(np.ones((50, 8))), 3), round(effective_rank(np.eye(8)), 3)
        (1.0, 8.0)
    """
    check_matrix(vectors, "vectors")
    count, width = vectors.shape
    mean = torch.zeros(width, dtype=torch.float64)
    if center:
        for start in range(0, count, ROWS_AT_ONCE):
            mean += _double(vectors, start).sum(dim=0)
        mean /= count
    # Squared singular values, from the smaller of the two products.
    if width <= count:
        gram = torch.zeros(width, width, dtype=torch.float64)
        for start in range(0, count, ROWS_AT_ONCE):
            rows = _double(vectors, start) - mean
            gram.addmm_(rows.t(), rows)
    else:
        rows = torch.cat([_double(vectors, start) for start in range(0, count, ROWS_AT_ONCE)]) - mean
        gram = rows @ rows.t()
    squares = torch.linalg.eigvalsh(gram)
    # Below this is what rounding left: of the product, and of float32 numbers that should have been the same.
    scale = float(squares[-1]) + float(count * (mean @ mean))
    noise = max(max(count, width) * torch.finfo(torch.float64).eps, (4 * torch.finfo(torch.float32).eps) ** 2)
    squares = squares[squares > scale * noise]
    if not len(squares):
        return 0.0
    shares = squares.sqrt()
    shares /= shares.sum()
    return math.exp(-float((shares * shares.log()).sum()))


def explained_dimensions(vectors: Vectors, *, share: float = 0.99) -> int:
    """How many principal components hold a share of the variance: the dimensions that a cloud of vectors fills.

    Args:
        vectors: ``(N, D)``, taken as they are.
        share: of the variance, above 0 and at most 1.

    Returns:
        From 0, all vectors being one point, to ``min(N - 1, D)``.

    Raises:
        DataError: no matrix, or numbers that are not finite.
        SettingsError: a share out of range.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import explained_dimensions
        >>> explained_dimensions(np.diag([10.0, 10.0, 0.1])[:, :3]), explained_dimensions(np.ones((4, 3)))
        (2, 0)
    """
    if not 0 < share <= 1:
        raise SettingsError(f"got share={share}; expected above 0 and at most 1")
    held = matrix(vectors, "vectors").double()
    values = torch.linalg.svdvals(held - held.mean(dim=0)).square()
    scale = float(held.square().sum())
    values = values[values > scale * (4 * torch.finfo(torch.float32).eps) ** 2]
    if not len(values):
        return 0
    reached = values.cumsum(dim=0) / values.sum() >= share - 1e-12
    return int(reached.long().argmax()) + 1


def hubness(
    vectors: Vectors,
    queries: Vectors | None = None,
    *,
    k: int = 10,
    sample: int = 10_000,
    rng: np.random.Generator | None = None,
) -> float:
    """Skewness of how often each vector is among the k nearest of others; high where few are near to everything.

    Radovanovic et al., *Hubs in Space* (2010).

    Args:
        vectors: ``(N, D)``, two rows or more.
        queries: ``(Q, D)``, what the neighbours are looked for; the vectors themselves unless given.
        k: neighbours of each.
        sample: rows and queries to look at, where there are more.
        rng: draws them; without it always the same ones.

    Returns:
        0 where all are neighbours equally often; above 1 or so a few rows answer much of everything.

    Raises:
        DataError: fewer than two rows, or numbers that are not finite.
        SettingsError: ``k`` or ``sample`` below one.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import hubness
        >>> hubness(np.eye(4), k=3)
        0.0
    """
    from scipy.stats import skew

    if sample < 2:
        raise SettingsError(f"got sample={sample}; expected 2 or more")
    held = matrix(vectors, "vectors")
    held = held[torch.from_numpy(sample_rows(len(held), sample, rng))]
    if queries is None:
        nearest = top_k(held, held, k, exclude_self=True)[1]
    else:
        asked = matrix(queries, "queries")
        nearest = top_k(asked[torch.from_numpy(sample_rows(len(asked), sample, rng))], held, k)[1]
    occurrence = nearest.flatten().bincount(minlength=len(held)).numpy()
    return 0.0 if np.ptp(occurrence) == 0 else float(skew(occurrence))


def tolerance(vectors: Vectors, labels: Labels) -> float:
    """Mean cosine of all pairs of one class, themselves left out: how near a space leaves what is alike.

    Wang and Liu, *Understanding the Behaviour of Contrastive Loss* (2021). Exact, from sums over classes.

    Args:
        vectors: ``(N, D)``.
        labels: ``(N,)`` a class for each; rows without one are left out.

    Returns:
        From -1 to 1; 1 where each class is one point.

    Raises:
        DataError: lengths differ, no class has two rows, or numbers are not finite.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import tolerance
        >>> tolerance(np.array([[1.0, 0], [0, 1], [0, 1]]), ["sea", "sun", "sun"])
        1.0
    """
    unit = matrix(vectors, "vectors", unit=True).numpy().astype(np.float64)
    (codes,) = label_codes(labels)
    check_lengths(vectors=unit, labels=codes)
    unit, codes = unit[codes >= 0], codes[codes >= 0]
    classes, place, counts = np.unique(codes, return_inverse=True, return_counts=True)
    pairs = int((counts * (counts - 1)).sum())
    if not pairs:
        raise DataError(f"none of {len(classes)} classes has two rows; expected a pair of one class at least")
    sums = np.zeros((len(classes), unit.shape[1]))
    np.add.at(sums, place, unit)
    # The sum over all pairs is the square of the sum, without the squares of each.
    return float(((sums**2).sum() - (unit**2).sum()) / pairs)


def scatter_ratio(vectors: Vectors, labels: Labels) -> float:
    """Scatter of unit vectors within their classes over that of the classes' means; lower for compact, distant classes.

    The traces of the two scatter matrices of Fisher's discriminant, each class weighing by its number of rows.

    Args:
        vectors: ``(N, D)``.
        labels: ``(N,)``, two classes or more; rows without a label do not count.

    Raises:
        DataError: lengths differ, numbers are not finite, or the means of all classes are one point.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import scatter_ratio
        >>> scatter_ratio(np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]), ["a", "a", "b", "b"])
        0.0
    """
    unit = matrix(vectors, "vectors", unit=True).numpy().astype(np.float64)
    (codes,) = label_codes(labels)
    check_lengths(vectors=unit, labels=codes)
    unit, codes = unit[codes >= 0], codes[codes >= 0]
    classes, place, counts = np.unique(codes, return_inverse=True, return_counts=True)
    sums = np.zeros((len(classes), unit.shape[1]))
    np.add.at(sums, place, unit)
    means = (sums / counts[:, None])[place]
    between = ((means - unit.mean(axis=0)) ** 2).sum() if len(unit) else 0.0
    if not between > 0:
        raise DataError(f"the means of {len(classes)} classes are one point; expected classes that differ")
    return float(((unit - means) ** 2).sum() / between)


def isotropy(texts: Iterable[Vectors]) -> float:
    """How many directions the hidden states of a language model point in: 1 less the mean cosine within a text.

    Su and Collier, *Contrastive Search Is What You Need For Neural Text Generation* (2023), equation 3: over all pairs
    of different tokens of one text, pooled over the texts. Exact, from sums.

    Args:
        texts: of each text ``(T, D)``, a hidden state for each token; `unalike.decoding.hidden_states` gives them.

    Returns:
        0 where all tokens of a text point the same way, 1 where they are at right angles on average.

    Raises:
        DataError: no text has two tokens, widths differ, or numbers are not finite.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import isotropy
        >>> isotropy([np.eye(4), np.ones((1, 4))]), isotropy([np.ones((9, 4))])
        (1.0, 0.0)
    """
    total, pairs, width = 0.0, 0, None
    for number, states in enumerate(texts):
        unit = matrix(states, f"text {number}", unit=True).double()
        if width is not None and unit.shape[1] != width:
            raise DataError(f"text {number} has states of {unit.shape[1]} dimensions, those before {width}")
        count, width = unit.shape
        # Cosines of all pairs are the square of the sum, less each token with itself.
        total += float(unit.sum(dim=0).square().sum() - unit.square().sum())
        pairs += count * (count - 1)
    if not pairs:
        raise DataError("no text has two tokens; expected a pair within one text at least")
    return 1 - total / pairs


def _double(vectors: Vectors, start: int) -> torch.Tensor:
    return block(vectors, start, start + ROWS_AT_ONCE, "vectors").cpu().double()
