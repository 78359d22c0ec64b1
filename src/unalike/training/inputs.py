"""From a collection to what training is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from unalike.data import ArrayColumn, Collection, LabelColumn, Sameness, TextColumn
from unalike.encoders import Prepared
from unalike.errors import DataError
from unalike.training.batch import Inputs


class Rows(Prepared):
    """Some rows of a prepared column, seen as a prepared column.

    Args:
        whole: the column.
        rows: which of its rows, in their order.
    """

    def __init__(self, whole: Prepared, rows: np.ndarray) -> None:
        self.whole, self.rows = whole, rows

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Any) -> Any:
        return self.whole.take(self.rows[np.asarray(indices)])

    def raw(self, indices: Any) -> Any:
        return self.whole.raw(self.rows[np.asarray(indices)])

    @property
    def stored(self) -> Prepared:
        return self.whole.stored

    @cached_property
    def present(self) -> np.ndarray:
        return self.whole.present[self.rows]


def text_codes(collection: Collection, roles: tuple[str, ...]) -> dict[str, np.ndarray]:
    """For each text role int64 ``(N,)``: equal where the texts are equal, across all the roles."""
    columns = [collection[role] for role in roles]
    chunks: list[pa.Array] = []
    for column in columns:
        assert isinstance(column, TextColumn)
        array = column.array
        chunks.extend(array.chunks if isinstance(array, pa.ChunkedArray) else [array])
    if not chunks:
        return {}
    indices = pa.chunked_array(chunks).combine_chunks().dictionary_encode().indices
    codes = np.asarray(indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)
    return dict(zip(roles, codes.reshape(len(roles), -1), strict=True))


def inputs_of(
    collection: Collection,
    prepared: Mapping[str, Prepared],
    roles: Mapping[str, Sequence[str]],
    rows: np.ndarray,
    *,
    label: str = "label",
    same: Sameness | None = None,
    extra: Sequence[str] = (),
) -> Inputs:
    """Some rows of some roles by kind, with the classes of one label role and the target, to be cut into batches.

    With ``same``, of all rows, these know which of them hold the same; without, every row is its own. ``extra`` names
    what else is to be known of each row (`extra_of`).

    Raises:
        DataError: the collection has nothing of such a name.
    """
    classes, target = collection.columns.get(label), collection.target
    used = [role for kind in roles for role in roles[kind]]
    present = {role: collection[role].present[rows] for role in used}
    return Inputs(
        prepared={role: Rows(prepared[role], rows) for role in used},
        present={role: has for role, has in present.items() if not has.all()},
        codes={role: codes[rows] for role, codes in text_codes(collection, tuple(roles.get("text", ()))).items()},
        labels=classes.codes[rows] if isinstance(classes, LabelColumn) else None,
        targets=None if target is None else np.where(target.present[rows], target.values[rows, 0], np.float32(np.nan)),
        same=None if same is None else same.table[rows],
        hard={} if same is None else {role: codes[rows] for role, codes in same.hard.items()},
        extra={name: values[rows] for name, values in extra_of(collection, extra).items()},
    )


def extra_of(collection: Collection, names: Sequence[str]) -> dict[str, np.ndarray]:
    """What is known of each row beside its entries: client, domain, time, group.

    Args:
        collection: the data.
        names: each of a role ``label:NAME``, which gives int64 codes ``(N,)``, -1 where unknown, or ``array:NAME``,
            which gives float32 numbers, ``(N,)`` of one column and ``(N, F)`` of several, NaN where unknown. ``group``
            without such a role gives the groups of the collection.

    Raises:
        DataError: the collection has no such role; all that are missing are named.

    Example:
        >>> from unalike.data import ArrayColumn, Collection, LabelColumn, TextColumn
        >>> from unalike.training import extra_of
        >>> hospitals = LabelColumn([1, 0, 1], ["north", "south"])
        >>> notes = Collection({"text": TextColumn(["a", "b", "c"]), "label:client": hospitals}, name="notes")
        >>> extra_of(notes, ["client"])["client"].tolist()
        [1, 0, 1]
    """
    found: dict[str, np.ndarray] = {}
    for name in names:
        label, numbers = (collection.columns.get(f"{kind}:{name}") for kind in ("label", "array"))
        if isinstance(label, LabelColumn):
            found[name] = label.codes
        elif isinstance(numbers, ArrayColumn):
            values = np.where(numbers.present[:, None], numbers.values, np.float32(np.nan))
            found[name] = values[:, 0] if values.shape[1] == 1 else values
        elif name == "group" and collection.groups is not None:
            found[name] = collection.groups
    missing = [name for name in names if name not in found]
    if missing:
        flags = " ".join(f"--label:{name} COLUMN" for name in missing)
        raise DataError(
            f"{collection.name} does not tell {', '.join(missing)} of its rows; it has "
            f"{', '.join(collection.columns)}. Name the column ({flags}; --array:NAME COLUMN where it holds numbers)"
        )
    return found
