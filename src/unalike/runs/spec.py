"""What a run was asked to do: written to ``run.json`` whole, and read back for a resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from unalike.data.gathering import Source
from unalike.settings import read_dataclass
from unalike.training.settings import Training

Views = Literal["paper", "simclr", "moco_v2", "gentle", "plain"]


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Everything that decides a run.

    Args:
        source: the data.
        system: slug of the system.
        settings: the system's own settings, resolved.
        training: resolved training settings.
        encoder: by kind, which encoder: ``{"image": "conv", "text": "ngram"}``.
        size: side of pictures in pixels.
        views: which picture views; ``paper`` takes the system's.
        roles: by kind, the roles that are trained on.
        unseen: roles that are kept out of training and only tested on.
        holdout: share of the rows that is kept out of training where the data bring no splits.
        freeze: the kinds whose encoders keep their weights.
    """

    source: Source
    system: str
    settings: Mapping[str, Any]
    training: Training
    encoder: Mapping[str, str]
    size: int
    views: Views
    roles: Mapping[str, tuple[str, ...]]
    unseen: tuple[str, ...] = ()
    holdout: float = 0.1
    freeze: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Spec:
        """Inverse of `to_json`.

        Raises:
            SettingsError: unknown or missing entries, or entries of the wrong type; all are listed.
        """
        return read_dataclass(cls, content, "settings of the run")
