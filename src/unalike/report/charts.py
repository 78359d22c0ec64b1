"""Curves and histograms as coordinates; the templates draw them.

Everything is in per cent of the plot, from its upper left corner, so that a chart fits a phone and a wide
screen alike while its letters keep their size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unalike.report.wording import clean, number

_POINTS = 150  # of a line; more are drawn as the mean of a bucket within a band from its lowest to its highest

_TITLES = {"rank": "effective rank", "std": "standard deviation"}
_FIRST = ("loss", "learning_rate", "effective_rank", "rank", "std", "spread")
_NO_CURVES = {"step", "epoch", "time", "seconds", "elapsed"}


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its place in per cent and its words."""

    place: float
    text: str


@dataclass(frozen=True)
class LineChart:
    """One curve over the steps of training.

    ``line`` and ``band`` are SVG paths; ``points`` are (left, top, what it says) of each point for the pointer;
    ``zone`` is the upper edge of the area that means collapse.
    """

    title: str
    line: str
    band: str
    points: list[tuple[float, float, str]]
    across: list[Tick]
    up: list[Tick]
    zone: float | None
    zone_text: str
    last: str
    alt: str


@dataclass(frozen=True)
class Histogram:
    """Scores of true and of other pairs on one axis; both areas are one."""

    right: str
    wrong: str
    across: list[Tick]
    right_middle: float
    wrong_middle: float
    overlap: float
    ordered: float
    right_count: int
    wrong_count: int


def line_charts(
    rows: Sequence[Mapping[str, float]], collapse_below: Mapping[str, float], limit: int = 12
) -> list[LineChart]:
    """A chart of each number that the rows hold at two steps or more, the usual ones first.

    Example:
        >>> rows = [{"step": step, "loss": 5.0 - step} for step in range(5)]
        >>> [chart.title for chart in line_charts(rows, {})]
        ['loss']
    """
    names = list(dict.fromkeys(name for row in rows for name in row if name not in _NO_CURVES))
    names.sort(key=lambda name: (*_FIRST, name.split(".")[0]).index(name.split(".")[0]))
    charts = []
    for name in names:
        pairs = [
            (float(row.get("step", place)), float(row[name]))
            for place, row in enumerate(rows)
            if _is_number(row.get(name)) and _is_number(row.get("step", place))
        ]
        if len(pairs) > 1 and pairs[0][0] < pairs[-1][0]:
            charts.append(_line_chart(name, np.array(pairs), collapse_below.get(name)))
    return charts[:limit]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _line_chart(name: str, pairs: np.ndarray, threshold: float | None) -> LineChart:
    buckets = [part for part in np.array_split(pairs, min(len(pairs), _POINTS)) if len(part)]
    middle = np.array([part.mean(axis=0) for part in buckets])
    low = np.array([part[:, 1].min() for part in buckets])
    high = np.array([part[:, 1].max() for part in buckets])
    bottom, top = float(low.min()), float(high.max())
    if bottom >= 0 and (bottom < 0.5 * top or threshold is not None):
        bottom = 0.0
    if threshold is not None:
        top = max(top, 1.6 * threshold)
    if top == bottom:
        top, bottom = top + 0.5 * (abs(top) or 1), bottom - 0.5 * (abs(bottom) or 1)
    top += 0.05 * (top - bottom)
    first, last = float(middle[0, 0]), float(middle[-1, 0])

    def left(steps: np.ndarray) -> np.ndarray:
        return 100 * (steps - first) / (last - first)

    def down(values: np.ndarray) -> np.ndarray:
        return 100 * (top - values) / (top - bottom)

    x, y = left(middle[:, 0]), down(middle[:, 1])
    what, _, part = name.partition(".")
    title = clean(", ".join(filter(None, [_TITLES.get(what, what.replace("_", " ")), part])), 60)
    band = _path(np.r_[x, x[::-1]], np.r_[down(high), down(low)[::-1]]) + "Z" if len(pairs) > _POINTS else ""
    return LineChart(
        title=title,
        line=_path(x, y),
        band=band,
        points=[
            (round(float(a), 1), round(float(b), 1), f"step {step:,.0f}: {number(value)}")
            for a, b, (step, value) in zip(x, y, middle, strict=True)
        ],
        across=[Tick(float(left(np.array(tick))), f"{tick:,.0f}") for tick in _ticks(first, last, 5, whole=True)],
        up=[Tick(float(down(np.array(tick))), f"{tick:g}") for tick in _ticks(bottom, top, 4)],
        zone=None if threshold is None else float(down(np.array(threshold))),
        zone_text="" if threshold is None else f"collapse: below {threshold:.2g}",
        last=number(float(pairs[-1, 1])),
        alt=f"{title}: {number(float(pairs[0, 1]))} at step {pairs[0, 0]:,.0f}, lowest "
        f"{number(float(pairs[:, 1].min()))}, {number(float(pairs[-1, 1]))} at step {pairs[-1, 0]:,.0f}",
    )


def histogram(right: np.ndarray, wrong: np.ndarray, bins: int = 48) -> Histogram:
    """Two histograms over the same bins, the area that they share, and how often a true pair scores higher.

    Example:
        >>> chart = histogram(np.array([0.8, 0.9, 0.7]), np.array([0.1, 0.0, 0.2]))
        >>> chart.overlap, chart.ordered
        (0.0, 1.0)
    """
    from scipy.stats import mannwhitneyu

    low, high = float(min(right.min(), wrong.min())), float(max(right.max(), wrong.max()))
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    shares = [np.histogram(scores, edges)[0] / len(scores) for scores in (right, wrong)]
    peak = max(share.max() for share in shares)

    def outline(share: np.ndarray) -> str:
        x = np.repeat(100 * (edges - low) / (high - low), 2)
        y = np.r_[0, np.repeat(share, 2), 0]
        return _path(x, 100 - 96 * y / peak) + "Z"

    def middle(scores: np.ndarray) -> float:
        return float(100 * (np.median(scores) - low) / (high - low))

    # The statistic counts the pairs of scores in which the first is larger, ties as half.
    ordered = float(mannwhitneyu(right, wrong).statistic) / (len(right) * len(wrong))
    return Histogram(
        right=outline(shares[0]),
        wrong=outline(shares[1]),
        across=[Tick(100 * (tick - low) / (high - low), f"{tick:g}") for tick in _ticks(low, high, 7)],
        right_middle=middle(right),
        wrong_middle=middle(wrong),
        overlap=float(np.minimum(*shares).sum()),
        ordered=ordered,
        right_count=len(right),
        wrong_count=len(wrong),
    )


def _path(x: np.ndarray, y: np.ndarray) -> str:
    return "M" + "L".join(f"{a:.2f} {b:.2f}" for a, b in zip(x, y, strict=True))


def _ticks(low: float, high: float, count: int, *, whole: bool = False) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(nbins=count, steps=[1, 2, 2.5, 5, 10], integer=whole).tick_values(low, high)
    return [round(float(tick), 12) for tick in ticks if low <= tick <= high]
