"""Scores as the page says them: a bar beside its floors, and a verdict in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from unalike.evaluation.score import Score
from unalike.report.wording import clean, number

Verdict = Literal["above", "unclear", "below", "unrated"]


@dataclass(frozen=True)
class Mark:
    """A floor beside a score: its place on the same scale, its own bar, its name and its value."""

    place: float
    start: float
    width: float
    name: str
    value: str


@dataclass(frozen=True)
class Bar:
    """A score on a scale with its floors and its interval, places in per cent."""

    start: float
    width: float
    floors: list[Mark]
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Said:
    """A score in words, with its bar."""

    name: str
    value: str
    interval: str
    n: str
    reading: str
    direction: str
    verdict: Verdict
    verdict_words: str
    bar: Bar


def say(score: Score) -> Said:
    """A score as the page shows it.

    Example:
        >>> said = say(Score("recall@1/image>text", 0.64, {"raw": 0.35}, n=500, interval=(0.6, 0.68)))
        >>> said.name, said.value, said.interval, said.verdict_words
        ('recall@1, image → text', '0.640', '0.600 to 0.680', 'beats every floor')
    """
    against = "" if score.margin is None else clean(score.margin[0], 60)
    words: dict[Verdict, str] = {
        "above": "beats every floor",
        "unclear": f"not clearly better than {against}",
        "below": f"no better than {against}",
        "unrated": "",
    }
    return Said(
        name=clean(in_words(score.name), 120),
        value=number(score.value),
        interval="" if score.interval is None else " to ".join(number(bound) for bound in score.interval),
        n=f"{score.n:,}" if score.n else "",
        reading=clean(score.reading, 500),
        direction="" if score.higher_is_better else "lower is better",
        verdict=verdict(score),
        verdict_words=words[verdict(score)],
        bar=bar(score),
    )


def in_words(name: str) -> str:
    """A metric and its roles, without the marks that programs read.

    Example:
        >>> in_words("linear_probe/image"), in_words("modality_gap/image~text:de")
        ('linear probe, image', 'modality gap, image and text:de')
    """
    metric, slash, roles = name.partition("/")
    if not slash or not re.fullmatch(r"[\w:.-]+([>~][\w:.-]+)*", roles):
        return name
    return f"{metric.replace('_', ' ')}, {roles.replace('>', ' → ').replace('~', ' and ')}"


def verdict(score: Score) -> Verdict:
    """Above the best floor with its whole interval, unclear where the interval reaches it, or below.

    Example:
        >>> verdict(Score("accuracy", 0.36, {"raw": 0.35}, interval=(0.32, 0.40)))
        'unclear'
    """
    if score.margin is None:
        return "unrated"
    floor = score.floors[score.margin[0]]
    sign = 1 if score.higher_is_better else -1
    worst = min(sign * bound for bound in score.interval or (score.value,))
    if worst > sign * floor:
        return "above"
    return "unclear" if score.margin[1] > 0 else "below"


def bar(score: Score) -> Bar:
    """A score's bar: from 0 to 1 if everything is within, else as wide as its numbers.

    Example:
        >>> bar(Score("recall@1/image", 0.5, {"chance": 0.25})).floors[0].place
        25.0
    """
    floors = dict(list(score.floors.items())[:8])
    bounds = score.interval or ()
    every = [score.value, *floors.values(), *bounds]
    low, high = min(0.0, *every), max(every)
    if low >= -1 and high <= 1:  # most scores; a chance that dips below zero by accident keeps the scale from 0
        low, high = (low if low > -0.05 else -1.0), 1.0
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return round(100 * (value - low) / span, 2)

    zero = place(min(0.0, high))

    def span_of(value: float) -> tuple[float, float]:
        return min(zero, place(value)), round(abs(place(value) - zero), 2)

    start, width = span_of(score.value)
    return Bar(
        start=start,
        width=width,
        floors=[Mark(place(value), *span_of(value), clean(name, 60), number(value)) for name, value in floors.items()],
        low=place(bounds[0]) if bounds else None,
        high=place(bounds[1]) if bounds else None,
    )
