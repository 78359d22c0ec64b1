"""One measured number, with all that is needed to judge it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unalike.errors import DataError


@dataclass(frozen=True)
class Score:
    """What a metric came to, and what it must be compared with.

    Args:
        name: metric and role, such as ``"recall@1/image>text"``.
        value: the number.
        floors: what the same metric gives without learning, by name: ``chance``, raw features, a random encoder.
            Where a metric has a fixed end instead, it stands here too (``collapsed``).
        n: how many items the value is a mean over, or was computed from.
        higher_is_better: which way is good.
        reading: one sentence that says what the value means.
        interval: 95% interval over the items, where the value is a mean over items.

    Raises:
        DataError: a value, floor or bound that is not finite.

    Example:
        >>> from unalike.evaluation import Score
        >>> score = Score("recall@1/image>text", 0.44, {"chance": 0.01, "raw": 0.35}, n=100)
        >>> floor, margin = score.margin
        >>> floor, round(margin, 2)
        ('raw', 0.09)
        >>> Score.from_json(score.to_json()) == score
        True
    """

    name: str
    value: float
    floors: Mapping[str, float] = field(default_factory=dict)
    n: int = 0
    higher_is_better: bool = True
    reading: str = ""
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        numbers = {"value": self.value, **self.floors}
        if self.interval is not None:
            numbers |= {"lower bound": self.interval[0], "upper bound": self.interval[1]}
        wrong = [f"{name} {number}" for name, number in numbers.items() if not math.isfinite(number)]
        if wrong:
            raise DataError(f"the score {self.name!r} has the {', '.join(wrong)}; expected finite numbers")

    @property
    def margin(self) -> tuple[str, float] | None:
        """The floor that is hardest to beat, and by how much the value is better; None without floors."""
        if not self.floors:
            return None
        sign = 1 if self.higher_is_better else -1
        name = max(self.floors, key=lambda floor: sign * self.floors[floor])
        return name, sign * (self.value - self.floors[name])

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, as `from_json` reads them."""
        return {
            "name": self.name,
            "value": self.value,
            "floors": dict(self.floors),
            "n": self.n,
            "higher_is_better": self.higher_is_better,
            "reading": self.reading,
            "interval": None if self.interval is None else list(self.interval),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Score:
        """The score that `to_json` wrote.

        Raises:
            DataError: a field is missing, unknown or not finite.
        """
        try:
            interval = content["interval"]
            bounds = None if interval is None else (float(interval[0]), float(interval[1]))
            return cls(**{**content, "floors": dict(content["floors"]), "interval": bounds})
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(f"got {content!r}; expected what Score.to_json writes ({error!r})") from error

    def __str__(self) -> str:
        within = "" if self.interval is None else f" [{self.interval[0]:.3f}, {self.interval[1]:.3f}]"
        floors = "".join(f", {name} {floor:.3f}" for name, floor in self.floors.items())
        return f"{self.name} {self.value:.3f}{within} (n={self.n:,}{floors})"
