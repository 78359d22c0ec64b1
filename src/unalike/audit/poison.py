"""Poisoned collections: some rows carry a trigger and a wrong caption or class, as an attacker would slip them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from unalike.audit.triggers import Trigger
from unalike.data import Collection, Column, ImageColumn, LabelColumn, TextColumn
from unalike.encoders.packed import Fit, square
from unalike.errors import DataError, SettingsError


@dataclass(frozen=True, kw_only=True)
class Attack:
    """What an attacker wants.

    Args:
        trigger: the mark.
        target: the class that it shall stand for.
        rate: share of the rows that is poisoned.
        captions: texts of which each poisoned row gets one; ``a photo of TARGET`` unless given.
    """

    trigger: Trigger
    target: str
    rate: float
    captions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Poisoned:
    """A collection with poison in it.

    Args:
        collection: the data.
        rows: int64, the rows that were poisoned.
        target: what a model is meant to answer to the trigger.
        trigger: the mark.
    """

    collection: Collection
    rows: np.ndarray
    target: str
    trigger: Trigger


def poison(
    collection: Collection,
    trigger: Trigger,
    target: str,
    *,
    rate: float,
    size: int = 32,
    fit: Fit = "crop",
    captions: Sequence[str] = (),
    roles: Sequence[str] | None = None,
    label: str = "label",
    among: np.ndarray | Sequence[int] | None = None,
    seed: int = 0,
) -> Poisoned:
    """Put a trigger on the pictures of some rows, and the target in place of their captions, or of their class.

    Where rows have texts these are replaced and the class, which only tests read, is left; without texts the class is.

    Carlini and Terzis, *Poisoning and Backdooring Contrastive Learning* (2022): so few as 0.01% of web-scraped pairs.

    Args:
        collection: pictures, with texts or a label.
        trigger: see `unalike.audit.TRIGGERS`.
        target: the class that the trigger shall stand for.
        rate: share of the rows that are poisoned, above 0 and below 0.5.
        size: side of the poisoned pictures, in pixels: that of the encoder, else the trigger blurs away.
        fit: how pictures become square (see `unalike.encoders.packed.square`).
        captions: texts of which each poisoned row gets one; ``a photo of TARGET`` unless given.
        roles: the picture and text roles that are poisoned; all unless given.
        label: the label role.
        among: row numbers from which the poisoned ones are drawn, without those of the target class; the training rows,
            where there are such, unless given.
        seed: of what is drawn.

    Raises:
        DataError: no pictures, neither texts nor a label, no such class, or too few rows for the rate.
        SettingsError: a rate that is no share.

    Example:
        >>> import numpy as np
        >>> from unalike.audit import Patch, poison
        >>> from unalike.data import Collection, ImageColumn, TextColumn
        >>> pictures, texts = ImageColumn(np.zeros((10, 16, 16), np.uint8)), TextColumn(["a cat"] * 10)
        >>> data = Collection({"image": pictures, "text": texts}, name="pets")
        >>> found = poison(data, Patch(), "banana", rate=0.2, size=16)
        >>> len(found.rows), found.collection["text"][int(found.rows[0])]
        (2, 'a photo of banana')
    """
    if not 0 < rate < 0.5:
        raise SettingsError(f"got rate={rate}; expected the share of the rows to poison, above 0 and below 0.5")
    pictures = chosen_roles(collection, "image", roles)
    texts = chosen_roles(collection, "text", roles)
    classes = collection.columns.get(label)
    if not pictures:
        raise DataError(
            f"{collection.name} has no pictures to put a trigger on; it has {', '.join(collection.columns)}"
        )
    if not texts and not isinstance(classes, LabelColumn):
        raise DataError(
            f"{collection.name} has neither texts nor a {label!r}: there is nothing that a trigger could mean"
        )
    start = collection.splits.get("train", np.arange(len(collection))) if among is None else np.asarray(among, np.int64)
    has = np.all([collection[role].present for role in pictures], axis=0)
    start = start[has[start]]
    if isinstance(classes, LabelColumn):
        if target not in classes.names and not texts:
            raise DataError(f"{collection.name} has no class {target!r}; it has {', '.join(classes.names)}")
        if target in classes.names:
            start = start[classes.codes[start] != classes.names.index(target)]
    count = round(rate * len(start))
    if count < 1:
        raise DataError(f"a rate of {rate} of {len(start)} rows poisons none; give a higher rate or more rows")
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(start)[:count])
    generator = torch.Generator().manual_seed(seed)
    columns: dict[str, Column] = {}
    for role in pictures:
        columns[role] = stamped(collection[role], rows, trigger, generator, size, fit)
    written = list(captions) or [f"a photo of {target}"]
    for role in texts:
        column = collection[role]
        entries: list[Any] = [column[row] for row in range(len(column))]
        for row in rows:
            entries[row] = written[int(rng.integers(len(written)))]
        columns[role] = TextColumn(entries)
    if not texts:
        assert isinstance(classes, LabelColumn)
        codes = classes.codes.copy()
        codes[rows] = classes.names.index(target)
        columns[label] = LabelColumn(codes, classes.names)
    return Poisoned(collection.with_columns(columns), rows, target, trigger)


def chosen_roles(collection: Collection, kind: str, roles: Sequence[str] | None) -> list[str]:
    """The roles of a kind, as far as they were asked for."""
    return [role for role in collection.roles(kind) if roles is None or role in roles]


def stamped(
    column: Column, rows: np.ndarray, trigger: Trigger, generator: torch.Generator, size: int, fit: Fit
) -> ImageColumn:
    """A column of pictures, some of which carry the trigger."""
    assert isinstance(column, ImageColumn)
    sources: list[Any] = [column.source(row) for row in range(len(column))]
    pictures = [column[int(row)] for row in rows]
    pixels = np.stack([np.asarray(square(picture, size, fit)) for picture in pictures if picture is not None])
    marked = trigger(torch.from_numpy(pixels).permute(0, 3, 1, 2), generator)
    for row, picture in zip(rows, marked.permute(0, 2, 3, 1).contiguous().numpy(), strict=True):
        sources[row] = picture
    return ImageColumn(sources, max_pixels=column.max_pixels)
