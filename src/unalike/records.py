"""The records that a system file states about itself. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["learner", "adapter", "decoder", "audit", "study"]
Modality = Literal["image", "text", "image-text", "audio", "video", "series", "table", "graph", "clicks", "points"]


@dataclass(frozen=True, kw_only=True)
class Paper:
    """Where a system comes from.

    ``roles`` are the kinds of column that the system learns from; ``labels`` tells whether it needs a label.
    ``number`` is the system's number on the board; systems that only serve as baselines have none.
    """

    slug: str
    title: str
    authors: str
    year: int
    modality: Modality
    roles: tuple[str, ...]
    number: int | None = None
    arxiv: str | None = None
    venue: str | None = None
    kind: Kind = "learner"
    labels: bool = False


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a system is trained unless the user says otherwise; each value may be overridden on the command line."""

    optimizer: Literal["adamw", "sgd", "lars"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    batch_size: int = 256
    epochs: int = 100
    warmup: float = 0.05
    """Share of all steps over which the learning rate climbs; a cosine to zero follows."""
    clip_norm: float = 0.0
    """Largest norm of all gradients together; 0 leaves them alone."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The essential claim of a system's paper, in one sentence, and the baseline that it argues against."""

    sentence: str
    baseline: str | None = None
