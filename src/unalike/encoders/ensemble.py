"""Several encoders that serve as one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from unalike.data import Column
from unalike.errors import SettingsError

from .base import Encoded, Encoder, Prepared
from .heads import unit


class Ensemble(Encoder):
    """Encodes by concatenation: the towers' vectors, each at length one, side by side.

    The cosine of two such vectors is the mean of the towers' cosines, so that each tower has the same say.

    Args:
        towers: encoders of one class; all read what the first prepares.

    Raises:
        SettingsError: there are no towers, or they do not read the same.

    Example:
        >>> import torch
        >>> from unalike.encoders import ConvNet, Ensemble
        >>> towers = [ConvNet(size=16, widths=(4, 8), depths=(0, 0), seed=seed) for seed in range(3)]
        >>> both = Ensemble(towers)
        >>> vectors = both(both.plain(torch.zeros(2, 3, 16, 16, dtype=torch.uint8))).vector
        >>> vectors.shape, round(vectors[0].norm().item() ** 2, 4)
        (torch.Size([2, 24]), 3.0)
    """

    def __init__(self, towers: Sequence[Encoder]) -> None:
        super().__init__()
        if not towers:
            raise SettingsError("an ensemble has at least one encoder")
        reads = {f"{type(tower).__name__} of {tower.kind} at size {getattr(tower, 'size', None)}" for tower in towers}
        if len(reads) > 1:
            raise SettingsError(f"the encoders of an ensemble read the same; given: {', '.join(sorted(reads))}")
        if any(tower.assets() != towers[0].assets() for tower in towers):
            raise SettingsError("the encoders of an ensemble read the same; given: other tokenizers")
        self.towers = nn.ModuleList(towers)
        self.kind, self.width = towers[0].kind, sum(tower.width for tower in towers)
        if hasattr(towers[0], "size"):
            self.size = towers[0].size

    @property
    def members(self) -> list[Encoder]:
        """The encoders, in order."""
        return [tower for tower in self.towers if isinstance(tower, Encoder)]

    def prepare(self, column: Column, *, cache: Path | None = None) -> Prepared:
        return self.members[0].prepare(column, cache=cache)

    def plain(self, inputs: Any) -> Any:
        return self.members[0].plain(inputs)

    def forward(self, inputs: Any) -> Encoded:
        return Encoded(torch.cat([unit(tower(inputs).vector) for tower in self.towers], dim=1))

    def config(self) -> dict[str, Any]:
        return {"name": "ensemble", "towers": [tower.config() for tower in self.members]}

    def assets(self) -> dict[str, bytes]:
        return {
            f"{number}.{name}": content
            for number, tower in enumerate(self.members)
            for name, content in tower.assets().items()
        }

    @classmethod
    def of_records(
        cls,
        settings: Mapping[str, Any],
        assets: Mapping[str, bytes],
        *,
        restore: Callable[[Mapping[str, Any], Mapping[str, bytes]], Encoder],
    ) -> Self:
        """An ensemble of the shape that `config` told; ``restore`` makes each of its encoders (`restore_encoder`)."""
        own: dict[int, dict[str, bytes]] = defaultdict(dict)
        for name, content in assets.items():
            number, _, rest = name.partition(".")
            own[int(number)][rest] = content
        return cls([restore(config, own[number]) for number, config in enumerate(settings["towers"])])
