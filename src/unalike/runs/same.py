"""What is the same among the rows of a run: found once for splits, losses and scores, and told in notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from unalike.data import Collection, Sameness, find_same
from unalike.data.sameness import GROUP, KINDS, copies_under_other_names, is_hard
from unalike.encoders import Prepared
from unalike.records import Paper

MOST_PIXELS = 1 << 31
"""Bytes of prepared pictures up to which their pixels are compared, beside their files."""


def sameness(collection: Collection, roles: Mapping[str, Sequence[str]], *, group: bool) -> Sameness | None:
    """Which rows hold the same thing in the roles that are read; None where nothing in them could be the same."""
    read = [role for used in roles.values() for role in used if collection[role].kind in KINDS]
    if not any(not is_hard(role) for role in read):
        return None
    return find_same(collection, read, group=group)


def of_prepared(
    collection: Collection, roles: Mapping[str, Sequence[str]], packed: Mapping[str, Prepared], *, group: bool
) -> Sameness | None:
    """The same of prepared rows, where pictures of equal pixels are one as well."""
    found = sameness(collection, roles, group=group)
    if found is None:
        return None
    pictures = [role for role in roles.get("image", ()) if role in packed and len(packed[role])]
    each = sum(packed[role].take(np.zeros(1, np.int64)).nbytes for role in pictures)
    if not pictures or each * len(collection) > MOST_PIXELS:
        return found
    return found.with_pixels({role: _pixels(packed[role]) for role in pictures})


def _pixels(prepared: Prepared) -> Iterator[np.ndarray]:
    for start in range(0, len(prepared), 1024):
        yield from prepared.take(np.arange(start, min(start + 1024, len(prepared)))).numpy()


def things(collection: Collection, roles: Sequence[str]) -> dict[str, np.ndarray]:
    """By role int64 ``(N,)``, equal where the entries are: what scores take for one item. Other roles are left out."""
    compared = [role for role in roles if collection[role].kind in KINDS]
    return dict(find_same(collection, compared).codes) if any(not is_hard(role) for role in compared) else {}


def notes(collection: Collection, same: Sameness | None, paper: Paper) -> list[str]:
    """What a user should know: how many rows share what, and what that means for splits, loss and scores."""
    if same is None:
        return []
    told = []
    for role in same.codes:
        count = 0 if is_hard(role) else same.shared(role)
        if count and role != GROUP:
            told.append(f"{count} of {len(collection)} rows share their {role} with another row")
    if told:
        told[-1] += (
            ": rows that hold the same stay on one side of the split"
            + _in_the_loss(paper)
            + ", and count as right answers of each other"
        )
    for role in same.codes:
        copies = copies_under_other_names(collection[role]) if role in collection else []
        if copies:
            one, other = (Path(name).name for name in copies[0])
            told.append(f"{len(copies)} files of {role} are copies of others ({one} of {other}) and count as these")
    crossing = len(same.crossing(collection.splits))
    if crossing:
        told.append(
            f"{crossing} rows that are tested on hold what a training row holds too, so that their scores are too good:"
            " the splits are the data's own, or files differ whose pixels do not"
        )
    return told


def _in_the_loss(paper: Paper) -> str:
    if paper.labels or paper.targets or not paper.spares:
        return ""
    return ", are not each other's negatives"
