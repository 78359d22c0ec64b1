"""The data that claims are measured on, opened once a process."""

from __future__ import annotations

from dataclasses import dataclass

from unalike import systems
from unalike.claims import Ground, Scale
from unalike.data import Collection, separated
from unalike.data.gathering import gather
from unalike.records import Bed, Claim
from unalike.runs.plan import rows_for
from unalike.runs.rows import with_splits

_GROUNDS: dict[str, Ground] = {}


def ground_of(bed: Bed, claim: Claim, scale: Scale | None = None) -> Ground:
    """The data of a bed, opened once a worker; some of its rows for a miniature."""
    key = repr((bed, claim.encoder, scale))
    if key not in _GROUNDS:
        collection = read_once(bed)
        if scale is not None:
            collection = scale.cut(collection, bed)
        ground = Ground.of(bed, collection, claim.encoder)
        _GROUNDS[key] = ground if scale is None else scale.ground(ground)
    return _GROUNDS[key]


def forget() -> None:
    """Let go of all grounds, so that what was made of the columns of miniatures is made anew."""
    _GROUNDS.clear()


_COLLECTIONS: dict[str, Collection] = {}


def read_once(bed: Bed) -> Collection:
    """The data of a bed, read once a worker."""
    key = repr(bed)
    if key not in _COLLECTIONS:
        _COLLECTIONS[key] = opened(bed)
    return _COLLECTIONS[key]


@dataclass(frozen=True, kw_only=True)
class OwnBed(Bed):
    """A user's data, of which only the rows are used that `fit` would use.

    Args:
        systems: slugs of those that learn from them.
    """

    systems: tuple[str, ...] = ()


def opened(bed: Bed) -> Collection:
    collection = gather(bed.set, roles=dict(bed.columns) or None, label=bed.label_column)
    if isinstance(bed, OwnBed):
        for slug in bed.systems:
            collection, _ = rows_for(systems.find(slug), collection)
    return separated(collection if "test" in collection.splits else with_splits(collection, 0.3, 0))
