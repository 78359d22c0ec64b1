"""How much a mean over items would move with other items."""

from __future__ import annotations

import numpy as np

from unalike.errors import DataError, SettingsError

# Counts that are drawn together.
_COUNTS_AT_ONCE = 4_000_000


def bootstrap_interval(
    values: np.ndarray,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    rng: np.random.Generator | None = None,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of values (Efron, 1979).

    It says how sure the mean is over items like these. It says nothing about other training runs: for that,
    compare seeds.

    Args:
        values: ``(N,)``, a value for each item that is independent of the others.
        level: share of resampled means inside.
        resamples: how often the items are drawn again, with replacement.
        rng: draws them; without it always the same ones.

    Raises:
        DataError: no values, or not all finite.
        SettingsError: a level outside of (0, 1), or no resamples.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import bootstrap_interval
        >>> low, high = bootstrap_interval(np.repeat([0.0, 1.0], 50))
        >>> round(low, 2), round(high, 2)
        (0.4, 0.6)
    """
    items = np.asarray(values, dtype=np.float64).ravel()
    if not len(items) or not np.isfinite(items).all():
        raise DataError(f"got {len(items)} values, none or not all finite; expected a finite value for each item")
    if not 0 < level < 1 or resamples < 1:
        raise SettingsError(f"got level={level}, resamples={resamples}; expected a level in (0, 1) and 1 or more")
    rng = np.random.default_rng(0) if rng is None else rng
    # Items of one value are alike, so how often each value is drawn says all: few numbers for hits and misses.
    distinct, counts = np.unique(items, return_counts=True)
    if len(distinct) == 1:
        return float(distinct[0]), float(distinct[0])
    means = []
    strip = max(1, _COUNTS_AT_ONCE // len(distinct))
    for start in range(0, resamples, strip):
        drawn = rng.multinomial(len(items), counts / len(items), size=min(strip, resamples - start))
        means.append(drawn @ distinct / len(items))
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
