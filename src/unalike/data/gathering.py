"""Data of any of the accepted forms, told by where they are and which columns play which role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from unalike.data import Collection, LabelsColumn, TagsColumn, open_collection
from unalike.data.clicks import ROLES as EVENT_ROLES
from unalike.data.graphs import ROLES as GRAPH_ROLES
from unalike.errors import DataError, SettingsError


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the data come from and which columns play which role.

    Args:
        path: a path, the name of a data set, or ``memory:NAME``.
        roles: for tables, role to column name.
        label: column with the class.
        group: column whose equal values never cross from training to test.
        id: column with a name for each row.
        encoding: of text files, if it is not UTF-8.
        tolerance: share of the items that may be unreadable.
    """

    path: str
    roles: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None
    group: str | None = None
    id: str | None = None
    encoding: str | None = None
    tolerance: float = 0.01

    @classmethod
    def of(cls, data: Any, *, roles: Mapping[str, str] | None = None, **columns: Any) -> Source:
        """What is known of data before they are opened.

        Args:
            data: a path, the name of a data set, or data in memory.
            roles: for tables, role to column name.
            **columns: ``label``, ``group``, ``id``, ``encoding``, ``tolerance``.

        Example:
            >>> Source.of("birds.csv", roles={"image": "path"}, label="species").label
            'species'
        """
        path = str(data) if isinstance(data, (str, Path)) else f"memory:{getattr(data, 'name', 'data')}"
        return cls(path=path, roles=dict(roles or {}), **columns)

    @property
    def columns(self) -> dict[str, Any]:
        """All but the roles, as the openers of `unalike.data` take it."""
        return {name: getattr(self, name) for name in ("label", "group", "id", "encoding", "tolerance")}

    def completed(self, data: Any, collection: Collection) -> Source:
        """With what the opened data tell: the name of what was in memory, and columns that were taken unasked."""
        where = self.path if isinstance(data, (str, Path)) else f"memory:{collection.name}"
        return replace(self, path=where, roles=self.roles or columns_taken(data, collection, self))


def columns_taken(data: Any, collection: Collection, source: Source) -> dict[str, str]:
    """The columns of numbers that were taken of a table without being named; new tables have them in any order."""
    from unalike.data.casting import default_roles
    from unalike.data.clicks import table_of

    named = [each for each in (source.label, source.group, source.id) if isinstance(each, str)]
    table = table_of(data, source.encoding) if "array" in collection.columns else None
    return {} if table is None else default_roles(table, collection.name, named)


def gather(data: Any, *, roles: Mapping[str, str] | None = None, **columns: Any) -> Collection:
    """Open data of any of the accepted forms; a known name is that data set unless a path of that name exists.

    Args:
        data: what `unalike.fit` takes.
        roles: for tables, role to column name.
        **columns: ``label``, ``group``, ``id``, ``encoding``, ``tolerance``, as for `unalike.fit`.

    Raises:
        DataError: the data cannot be read.
        SettingsError: what is said of them does not go together.

    Example:
        >>> gather("digits").columns["image"].kind
        'image'
    """
    return gathered(data, Source.of(data, roles=roles, **columns))


def gathered(data: Any, source: Source) -> Collection:
    """Open data as their source tells; see `gather`."""
    from unalike.data.opening import open_set

    events = {role: column for role, column in source.roles.items() if role in EVENT_ROLES}
    if events:
        others = {"label": source.label, "group": source.group, "id": source.id}
        if given := [f"--{name} {column}" for name, column in others.items() if column is not None]:
            raise SettingsError(
                f"a table of events has one row a user, with the user's id; leave out {', '.join(given)}"
            )
        return gather_events(data, events, source)
    if any(role in GRAPH_ROLES for role in source.roles):
        return gather_graph(data, source)
    if isinstance(data, str) and known_set(data):
        name, _, dataset = data.partition(":")
        opened = open_set(name, dataset=dataset) if dataset else open_set(name)
        return with_labels(opened, source.roles.get("labels"))
    return open_collection(data, roles=source.roles or None, **source.columns)


def with_labels(collection: Collection, role: str | None) -> Collection:
    """A known set with the tags of one of its roles as labels; as it is where none is named."""
    if role is None or role == "labels":
        return collection
    tags = collection[role]
    if not isinstance(tags, TagsColumn):
        named = ", ".join(collection.roles("tags")) or "none"
        raise DataError(f"{role!r} of {collection.name} holds no sets of labels; its roles of tags: {named}")
    return collection.with_columns({"labels": LabelsColumn.from_values(tags, separator=",")})


def gather_graph(data: Any, source: Source) -> Collection:
    """Open nodes and the edges between them: a table of each, or a known set with its links or nearest neighbours."""
    from unalike.data import open_nodes, open_table, with_graph

    roles = source.roles
    rest = {role: column for role, column in roles.items() if role not in GRAPH_ROLES}
    nodes, edges = (roles["nodes"], data) if "nodes" in roles else (data, roles.get("edges"))
    if edges is None or ("nodes" in roles and "edges" in roles):
        raise SettingsError(
            "a graph is told by its edges and its nodes, as unalike fit edges.csv --nodes nodes.csv or unalike fit "
            f"nodes.csv --edges edges.csv; given: {', '.join(f'--{role} {value}' for role, value in roles.items())}"
        )
    if isinstance(nodes, str) and known_set(nodes):
        collection = gather(nodes)
        part, _, kinds = str(edges).partition(":")
        if part == "links":
            links = open_table(nodes.partition(":")[0], "links")
            of_kind = np.asarray(links["kind"].to_pylist())
            unknown = set(kinds.split(",")) - {"", *of_kind.tolist()}
            if unknown:
                known = ", ".join(np.unique(of_kind).tolist())
                raise SettingsError(f"{nodes} has no links {', '.join(sorted(unknown))}; it has {known}")
            chosen = np.isin(of_kind, kinds.split(",")) if kinds else np.ones(len(of_kind), bool)
            edges = np.stack([links[end].to_numpy()[chosen] for end in ("source", "target")], axis=1)
    else:
        collection = open_nodes(nodes, roles=rest, **source.columns)
    features = roles["features"].split(",") if "features" in roles else ()
    return with_graph(collection, edges, features=features, encoding=source.encoding, tolerance=source.tolerance)


def gather_events(data: Any, events: Mapping[str, str], source: Source) -> Collection:
    """Open a table with one event a row, or the events of a known set, as one row a user."""
    from unalike.data import open_clicks, open_set_clicks

    others = sorted(set(source.roles) - set(events))
    missing = [role for role in ("user", "item") if role not in events]
    if others or missing:
        raise SettingsError(
            f"events are told by --user COLUMN --item COLUMN, with --time COLUMN and --items FILE if there are; given: "
            f"{', '.join(f'--{role} {column}' for role, column in source.roles.items())}"
        )
    if isinstance(data, str) and known_set(data):
        return open_set_clicks(data, **events)
    name = Path(data).name.split(".")[0] if isinstance(data, (str, Path)) else "clicks"
    return open_clicks(
        data,
        user=events["user"],
        item=events["item"],
        time=events.get("time"),
        items=events.get("items"),
        name=name,
        encoding=source.encoding,
    )


def known_set(name: str) -> bool:
    """Whether a word names a data set of the catalogue, or one of its parts (``aeon:GunPoint``), and no path."""
    from unalike.data.catalogue import CATALOGUE

    return any(record.name == name.partition(":")[0] for record in CATALOGUE) and not Path(name).exists()


def suggested_unseen(name: str) -> tuple[str, ...]:
    """Roles that a data set's record asks to keep for testing."""
    from unalike.data.catalogue import find_record

    return find_record(name.partition(":")[0]).unseen if known_set(name) else ()
