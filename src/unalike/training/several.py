"""All that a row has of one kind at once: a picture's captions in every language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unalike.training.batch import Batch, merge


def every_entry(
    batch: Batch, roles: Sequence[str], generator: torch.Generator, *, most: int = 0
) -> tuple[Any, Tensor, Tensor]:
    """The entries of several roles, after each other; a row that lacks a role has fewer.

    Args:
        batch: the rows.
        roles: of one kind, in the order in which their entries come.
        generator: draws which of its roles a row shows, where it has more than ``most``.
        most: how many a row shows; 0 for all that it has.

    Returns:
        The ``M`` entries; the position in the batch of the row of each, int64 ``(M,)``; and codes ``(M,)``, which are
        equal where the entries are equal, across the roles (`unalike.training.Inputs`).

    Raises:
        KeyError: a row has none of the roles.

    Example:
        >>> import numpy as np, torch
        >>> from unalike.data import TextColumn
        >>> from unalike.encoders import NgramEncoder
        >>> from unalike.training import Inputs, every_entry
        >>> columns = {"text:en": TextColumn(["a dog", "a cat"]), "text:de": TextColumn(["ein Hund", None])}
        >>> encoder = NgramEncoder(buckets=64, width=8)
        >>> has = {"text:de": np.array([True, False])}
        >>> inputs = Inputs({role: encoder.prepare(column) for role, column in columns.items()}, present=has)
        >>> batch = inputs.batch(np.arange(2))
        >>> entries, owners, _ = every_entry(batch, ["text:en", "text:de"], torch.Generator())
        >>> len(entries), owners.tolist()
        (3, [0, 1, 0])
    """
    inputs, size = batch.inputs, len(batch)
    everywhere = np.ones(len(inputs), bool)
    shown = np.stack([inputs.present.get(role, everywhere)[batch.rows] for role in roles], axis=1)
    if not shown.any(axis=1).all():
        row = int(batch.rows[int(np.argmin(shown.any(axis=1)))])
        raise KeyError(f"row {row} has none of the roles {', '.join(roles)}")
    if 0 < most < len(roles):
        draw = np.where(shown, torch.rand(size, len(roles), generator=generator).numpy(), 2.0)
        shown &= draw.argsort(axis=1).argsort(axis=1) < most
    parts: list[tuple[np.ndarray, Any]] = []
    owners: list[np.ndarray] = []
    codes: list[np.ndarray] = []
    for number, role in enumerate(roles):
        mine = np.flatnonzero(shown[:, number])
        if not len(mine):
            continue
        place = sum(len(each) for each in owners) + np.arange(len(mine))
        parts.append((place, inputs.prepared[role].take(batch.rows[mine])))
        owners.append(mine)
        codes.append(inputs.codes[role][batch.rows[mine]] if role in inputs.codes else batch.rows[mine])
    owner, code = (torch.from_numpy(np.concatenate(each)).to(batch.device) for each in (owners, codes))
    return merge(parts, len(owner)).to(batch.device), owner, code


def hard_negatives(batch: Batch, roles: Sequence[str]) -> tuple[Any, Tensor | None]:
    """All the hard negatives that a batch has: those of one role after those of another.

    Returns:
        The ``M`` entries, None where no row has any; and what they are, codes ``(M,)`` as `Batch.same` has them, None
        where nothing is known.
    """
    everywhere = np.ones(len(batch.inputs), bool)
    parts: list[tuple[np.ndarray, Any]] = []
    codes: list[Tensor] = []
    count = 0
    for role in roles:
        mine = np.flatnonzero(batch.inputs.present.get(role, everywhere)[batch.rows])
        if not len(mine):
            continue
        parts.append((count + np.arange(len(mine)), batch.inputs.prepared[role].take(batch.rows[mine])))
        count += len(mine)
        known = batch.hard(role)
        if known is not None:
            codes.append(known[torch.from_numpy(mine).to(batch.device)])
    if not parts:
        return None, None
    entries = parts[0][1] if len(parts) == 1 else merge(parts, count)
    return entries.to(batch.device), torch.cat(codes) if codes else None


def variants(roles: Sequence[str], role: str) -> list[str]:
    """A role and its numbered variants: ``text:negative``, ``text:negative2``, ``text:negative:3``.

    Example:
        >>> from unalike.training import variants
        >>> variants(["text", "text:2", "text:negative", "text:negative2"], "text:negative")
        ['text:negative', 'text:negative2']
    """
    return [each for each in roles if re.fullmatch(re.escape(role) + r"([:_-]?\d+)?", each)]
