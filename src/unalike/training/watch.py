"""The watch for collapse: vectors that become alike are noticed while there is still time to stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from unalike.training.embedding import evaluating
from unalike.training.learner import Learner


class CollapseWatch:
    """Looks at the vectors of a few fixed rows while a learner trains.

    Args:
        probes: by kind, plain inputs of some hundred rows at most.
        least_rank: effective rank below which vectors count as collapsed.
        least_spread: mean standard deviation of normalised vectors' coordinates, times sqrt(D), below which they
            count as collapsed; vectors spread evenly over the sphere have 1.
    """

    def __init__(self, probes: Mapping[str, Any], *, least_rank: float = 2.0, least_spread: float = 0.05) -> None:
        self.probes, self.least_rank, self.least_spread = probes, least_rank, least_spread

    @torch.no_grad()
    def measure(self, learner: Learner) -> dict[str, float]:
        """Effective rank and spread of each kind's vectors: ``{"rank.image": 41.2, "spread.image": 0.93}``."""
        from unalike import evaluation

        found = {}
        with evaluating(learner.module):
            for kind, inputs in self.probes.items():
                vectors = learner.embed(kind, inputs)
                found[f"rank.{kind}"] = float(evaluation.effective_rank(vectors))
                found[f"spread.{kind}"] = float(vectors.std(dim=0, correction=0).mean() * vectors.shape[1] ** 0.5)
        return found

    def warning(self, measures: Mapping[str, float]) -> str | None:
        """What is wrong and what to do, or None."""
        for name, value in measures.items():
            what, kind = name.split(".", 1)
            least = self.least_rank if what == "rank" else self.least_spread
            if value < least:
                words = f"effective rank {value:.1f}" if what == "rank" else f"spread {value:.3f} of 1"
                return (
                    f"the {kind} vectors are collapsing ({words}): nearly all rows get the same vector. "
                    "Lower the learning rate, raise the batch size, weaken the views, or choose a system with "
                    "negatives or a variance term."
                )
        return None
