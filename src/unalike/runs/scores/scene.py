"""A collection in the eyes of a model and of its floors, and which of its rows and roles are scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from unalike import encoders, evaluation, training
from unalike.data import Collection
from unalike.data.roles import kind_of
from unalike.runs.spec import Spec
from unalike.runs.vectors import choose_text_role, embed_prepared

MOST_QUERIES = 5000
"""Rows that ask for themselves in the scores without labels."""


@dataclass(frozen=True)
class Scene:
    """A collection in the eyes of a model and of its floors.

    Args:
        learner: the model.
        collection: the rows.
        packed: its prepared roles.
        spaces: by name the vectors by role: the model's under ``""``, those of the floors under theirs.
        device: where vectors are computed.
    """

    learner: training.Learner
    collection: Collection
    packed: Mapping[str, encoders.Prepared]
    spaces: Mapping[str, Mapping[str, np.ndarray]]
    device: torch.device

    def present(self, role: str) -> np.ndarray:
        return self.collection[role].present

    def embed(self, kind: str, prepared: encoders.Prepared) -> np.ndarray:
        return embed_prepared(self.learner, kind, prepared, self.device)


class Pictures(Sequence[Image.Image]):
    """Prepared pictures as PIL pictures, made when asked for."""

    def __init__(self, prepared: encoders.Prepared) -> None:
        self.prepared = prepared

    def __len__(self) -> int:
        return len(self.prepared)

    def __getitem__(self, row):  # type: ignore[no-untyped-def]
        return Image.fromarray(np.ascontiguousarray(self.prepared.take([row])[0].permute(1, 2, 0).numpy()))


def raw_features(collection: Collection, role: str, prepared: encoders.Prepared) -> np.ndarray:
    """Vectors without a model: small pictures, weighted n-grams, standardised numbers."""
    column = collection[role]
    made_of = encoders.use_of_kind(column.kind).raw
    if made_of == "pixels":
        return evaluation.pixel_vectors(Pictures(prepared))
    return evaluation.raw(column, prepared, fit_on=None if made_of == "column" else collection.splits.get("train"))


def floor_of(role: str) -> str:
    """What scores call the vectors without a model of a role."""
    return encoders.use_of_kind(kind_of(role)).floor


def floors_of(raw: Mapping[str, np.ndarray]) -> dict[str, Mapping[str, np.ndarray]]:
    """Vectors without a model by role, under the names of their floors; those of two kinds are never compared."""
    names: dict[str, str] = {}
    for kind in dict.fromkeys(map(kind_of, raw)):
        floor = floor_of(kind)
        names[kind] = floor if floor not in names.values() else f"{floor} ({kind})"
    return {name: {role: raw[role] for role in raw if kind_of(role) == kind} for kind, name in names.items()}


def held_out_rows(collection: Collection) -> np.ndarray:
    """The rows that are scored: of the test split, or where nothing was held out those of training."""
    splits = collection.splits
    return splits.get("test", splits.get("train", np.arange(len(collection))))


def main_roles(collection: Collection, spec: Spec) -> list[str]:
    """One role of each kind, and every role that was not trained on: what the tables speak of."""
    chosen = []
    for kind, trained in spec.roles.items():
        if kind == "text":
            role = choose_text_role(collection)
            chosen.append(role if role in trained else trained[0])
        else:
            unseen = [role for role in spec.unseen if collection[role].kind == kind]
            chosen.extend(unseen or trained[:1])
    return [role for role in chosen if role is not None]
