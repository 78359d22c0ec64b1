"""Open a set of the catalogue by name."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from unalike.data.catalogue import CATALOGUE, SetRecord, find_record
from unalike.data.fetching import set_folder
from unalike.errors import DataError, SettingsError

if TYPE_CHECKING:
    import pyarrow as pa

    from unalike.data.collection import Collection


def open_set(name: str, *, cache: str | Path | None = None, **options: Any) -> Collection:
    """Open an embedded set, or a fetched one that is on this machine; nothing is downloaded.

    Args:
        name: a set of the catalogue.
        cache: the cache folder; see `unalike.data.cache_folder`.
        **options: what the set's card offers, such as ``dataset="GunPoint"`` for ``aeon``.

    Raises:
        DataError: there is no such set, it has not been fetched, or one of its files has changed.
        SettingsError: the set has no such option.

    Example:
        >>> emoji = open_set("emoji")
        >>> len(emoji), emoji["text:fr"][0]
        (1911, 'visage rieur')
    """
    record = find_record(name)
    if record.weights:
        raise DataError(
            f"{name} is a folder of weights and no collection; unalike.data.weights({name!r}) gives its path"
        )
    module = _module(record)
    known = [option for option in inspect.signature(module.open_set).parameters if option not in ("name", "folder")]
    unknown = [option for option in options if option not in known]
    if unknown:
        offered = f"it has {', '.join(known)}" if known else "it has none"
        raise SettingsError(f"{name} has no option {', '.join(map(repr, unknown))}; {offered}")
    opened: Collection = module.open_set(name, set_folder(name, cache=cache), **options)
    return opened


def open_set_clicks(name: str, *, cache: str | Path | None = None, **columns: str) -> Collection:
    """The events of a set, one row a user.

    Args:
        name: a set of the catalogue that has events: ``movielens``.
        cache: the cache folder.
        **columns: ``user``, ``item`` and ``time``: names of the columns of its table of events.

    Raises:
        DataError: the set has no events, or has not been fetched.
    """
    record = find_record(name)
    open_clicks = getattr(_module(record), "open_clicks", None)
    if open_clicks is None:
        raise DataError(f"{name} has no events of users and items; unalike data {name} shows what it has")
    opened: Collection = open_clicks(name, set_folder(name, cache=cache), **columns)
    return opened


def open_table(name: str, part: str, *, cache: str | Path | None = None) -> pa.Table:
    """A table that belongs to a set but is not its rows: links between them, ratings, people.

    Args:
        name: a set of the catalogue.
        part: which table, such as ``links`` of ``wordnet``, ``ratings`` of ``movielens``.
        cache: the cache folder.

    Raises:
        DataError: the set is not here, or has no such table.

    Example:
        >>> open_table("wordnet", "links").column_names
        ['kind', 'source', 'target', 'source_word', 'target_word']
    """
    record = find_record(name)
    module = _module(record)
    tables: dict[str, str] = getattr(module, "TABLES", {}).get(name, {})
    if part not in tables:
        raise DataError(f"{name} has no table {part!r}; it has {', '.join(tables) or 'none'}")
    import pyarrow.parquet as pq

    return pq.read_table(set_folder(name, cache=cache) / tables[part])


def weights(name: str, *, cache: str | Path | None = None) -> Path:
    """The folder of a fetched model.

    Raises:
        DataError: the set holds no weights, or has not been fetched.
    """
    record = find_record(name)
    if not record.weights:
        holders = ", ".join(record.name for record in CATALOGUE if record.weights)
        raise DataError(f"{name} is a collection and holds no weights; those that do: {holders}")
    return set_folder(name, cache=cache)


def _module(record: SetRecord) -> ModuleType:
    return importlib.import_module(f"unalike.data.sets.{record.module}")
