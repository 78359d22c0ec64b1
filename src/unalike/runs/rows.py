"""The rows of a collection that a system can learn from, and which of them are held out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unalike.data import Collection, Sameness, leave_one_out, make_splits
from unalike.errors import DataError

LEAST_ROWS = 4
"""Fewer rows than this leave no contrast to learn from and none to test on."""


def usable_rows(
    collection: Collection,
    required: tuple[str, ...],
    roles: Mapping[str, tuple[str, ...]],
    *,
    labels: bool,
    targets: bool,
) -> Collection:
    """The rows that have an entry for each required role; what is left out is counted in the notes.

    A required kind is met by any of its variants, a required variant only by itself.
    """
    use, notes = np.ones(len(collection), bool), []
    for role in required:
        candidates = (role,) if ":" in role else roles[role]
        has = np.any([collection[each].present for each in candidates], axis=0)
        if not has.all():
            notes.append(f"{int((~has).sum())} of {len(collection)} rows have no {role} and are left out")
        use &= has
    if not required:
        entries = {kind: np.any([collection[role].present for role in used], axis=0) for kind, used in roles.items()}
        use &= np.sum(list(entries.values()), axis=0) > 1
        if not use.all():
            notes.append(
                f"{int((~use).sum())} of {len(collection)} rows have fewer than two modalities and are left out"
            )
        for kind, has in entries.items():
            if lacking := int((~has[use]).sum()):
                several = " in any column" if len(roles[kind]) > 1 else ""
                notes.append(f"{lacking} of {int(use.sum())} rows have no {kind}{several}; what else they have is used")
    learnt_from = {"label": collection.label if labels else None, "target": collection.target if targets else None}
    for name, column in learnt_from.items():
        if column is not None:
            if not column.present.all():
                notes.append(
                    f"{int((~column.present).sum())} of {len(collection)} rows have no {name} and are left out"
                )
            use &= column.present
    if use.sum() < LEAST_ROWS:
        raise DataError(
            f"{collection.name} has {len(collection)} rows, of which {int(use.sum())} can be used; "
            f"at least {LEAST_ROWS} are needed. " + " ".join(notes)
        )
    if roles.get("text") and all(one_wording(collection, role, use) for role in roles["text"]):
        raise DataError(
            f"all {int(use.sum())} rows of {collection.name} have one and the same text in {', '.join(roles['text'])}: "
            "nothing tells them apart. Name a column whose texts differ (--text COLUMN)."
        )
    notes += gaps(collection, roles, use)
    chosen = collection if use.all() else collection.select(np.flatnonzero(use))
    return chosen.replace(notes=(*collection.notes, *notes))


def one_wording(collection: Collection, role: str, use: np.ndarray) -> bool:
    """Whether the rows that have a text have the same one."""
    repeats = collection[role].distinct()[use]
    return len(np.unique(repeats[repeats >= 0])) <= 1


def empty_roles(collection: Collection) -> str:
    """Which roles have no entry in any row, in brackets; nothing where there are none."""
    empty = [role for role, column in collection.columns.items() if not column.present.any()]
    return f" ({', '.join(empty)} without an entry in any row)" if empty else ""


def gaps(collection: Collection, roles: Mapping[str, tuple[str, ...]], use: np.ndarray) -> list[str]:
    """Notes on the variants of a kind (languages, styles) that all rows lack, or some of the rows that are used."""
    notes = []
    for kind, used in roles.items():
        for role in collection.roles(kind):
            if not collection[role].present.any():
                notes.append(f"{role} has no entry in any of {len(collection)} rows and is left out")
        for role in used if len(used) > 1 else ():
            lacking = int((~collection[role].present[use]).sum())
            if lacking:
                notes.append(f"{lacking} of {int(use.sum())} rows have no {role}; what else they have is used")
    return notes


def with_splits(collection: Collection, holdout: float, seed: int, same: Sameness | None = None) -> Collection:
    """The collection with a ``train`` and, if anything is held out, a ``test`` split.

    Rows that are the same, or the same as one that is, and so on, stay together, as those of a group do.
    """
    if "train" in collection.splits:
        if len(collection.splits["train"]) < 2:
            raise DataError(f"the train split of {collection.name} has {len(collection.splits['train'])} usable rows")
        return collection
    rows = np.arange(len(collection))
    if collection.roles("clicks"):
        return leave_one_out(collection) if holdout else collection.replace(splits={"train": rows})
    held = round(holdout * len(rows))
    if held < 2:
        return collection.replace(splits={"train": rows})
    codes = None if collection.label is None else collection.label.codes
    groups, together = together_in(collection, same)
    try:
        splits = make_splits(
            len(rows), fractions={"train": 1 - holdout, "test": holdout}, groups=groups, labels=codes, seed=seed
        )
    except DataError:
        if groups is collection.groups:
            raise
        note = (
            f"the rows share things in {len(np.unique(together))} groups, the largest of {np.bincount(together).max()} "
            "of them: none could be held out whole, so that nothing is held out"
        )
        return collection.replace(splits={"train": rows}, notes=(*collection.notes, note))
    # Whole classes and groups are held out: of few rows that may be one, which says nothing.
    return collection.replace(splits=splits if len(splits["test"]) > 1 else {"train": rows})


def together_in(collection: Collection, same: Sameness | None) -> tuple[np.ndarray | None, np.ndarray]:
    """The groups of rows that no split cuts, None where every row is its own, and those that hold the same thing."""
    rows = len(collection)
    groups, together = collection.groups, np.arange(rows) if same is None else same.components()
    if len(np.unique(together)) < (rows if groups is None else len(np.unique(groups))):
        groups = together
    return groups, together


def with_validation(collection: Collection, seed: int, same: Sameness | None = None) -> Collection:
    """The collection with a ``validation`` split that is taken out of ``train``, unless the data bring one.

    It is a tenth of the training rows, and a quarter where those are few: 50 rows tell a good model from a bad one.
    Where there are too few for that, or none can be held out whole, all is left as it is.
    """
    splits, train = collection.splits, collection.splits["train"]
    count = max(min(len(train) // 4, 50), min(len(train) // 10, 1000))
    if len(splits.get("validation", ())) >= LEAST_VALIDATED or count < LEAST_VALIDATED:
        return collection
    codes = None if collection.label is None else collection.label.codes[train]
    groups, _ = together_in(collection, same)
    share = count / len(train)
    try:
        parts = make_splits(
            len(train),
            fractions={"train": 1 - share, "validation": share},
            groups=None if groups is None else groups[train],
            labels=codes,
            seed=seed,
        )
    except DataError:
        return collection
    if len(parts["validation"]) < LEAST_VALIDATED or len(parts["train"]) < len(train) / 2:
        return collection
    return collection.replace(splits={**splits, **{name: train[rows] for name, rows in parts.items()}})


LEAST_VALIDATED = 10
"""Rows below which a measurement says nothing."""
