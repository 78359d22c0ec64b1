"""The end of a training, as the capabilities of a learner see it, and what each adds to the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from unalike import training
from unalike.evaluation import Score
from unalike.runs.build import Ready
from unalike.runs.spec import Spec


@dataclass(frozen=True)
class End:
    """A trained learner with the rows that it comes from.

    Args:
        learner: trained.
        ready: the rows, prepared.
        vectors: by role, of all rows.
        untrained: the same of the encoders before the training.
        spec: what was asked for.
        device: where things are computed.
        start: the name of the floor that the vectors before the training make.
    """

    learner: training.Learner
    ready: Ready
    vectors: Mapping[str, np.ndarray]
    untrained: Mapping[str, np.ndarray]
    spec: Spec
    device: torch.device
    start: str = "untrained encoder"


@dataclass(frozen=True)
class Part:
    """What a capability adds to a run: scores, and files by their path in the run directory."""

    scores: list[Score] = field(default_factory=list)
    files: Mapping[str, bytes] = field(default_factory=dict)
