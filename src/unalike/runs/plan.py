"""From a collection and a wish to a plan: which system, which roles, which rows, which encoders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, get_args

import numpy as np

from unalike import systems, training
from unalike.data import Collection, Column, separated
from unalike.data.clicks import ROLES as EVENT_ROLES
from unalike.data.gathering import Source
from unalike.data.graphs import ROLES as GRAPH_ROLES
from unalike.data.kinds import modalities
from unalike.data.roles import kind_of
from unalike.encoders import KIND_USES, begins_trained, default_encoder
from unalike.errors import DataError, SettingsError
from unalike.records import Paper, Recipe
from unalike.runs.pairs import text_sides
from unalike.runs.rows import empty_roles, usable_rows, with_splits, with_validation
from unalike.runs.same import sameness
from unalike.runs.spec import Spec, Views, Wanted
from unalike.settings import read_dataclass, wrong_types
from unalike.training import variants
from unalike.training.settings import Training


def default_system(collection: Collection, unseen: tuple[str, ...] = ()) -> str:
    """The system for data of this shape, when the user names none."""
    if collection.roles("graph"):
        # The comparison of all pairs of nodes is what scgc costs; pamc's cost is linear in them.
        return "scgc" if len(collection) <= 4096 else "pamc"
    if collection.roles("labels") and collection.roles("text"):
        return "dexml"
    pictures = [role for role in collection.roles("image") if role not in unseen]
    if pictures and collection.roles("text"):
        return "slip" if len(pictures) > 1 else "clip"
    if {"text", "text:positive"} <= set(collection.roles("text")) - set(unseen):
        return "simcse-supervised"
    for kind, use in KIND_USES.items():
        if use.system is not None and collection.roles(kind):
            return use.system
    raise DataError(
        f"{collection.name} has the roles {', '.join(collection.columns)}; no system learns from these alone. "
        "Give at least one column of pictures, texts, recordings or numbers."
    )


def plan(
    collection: Collection,
    source: Source,
    *,
    system: str | None,
    settings: Mapping[str, Any] | None,
    training: Training,
    encoder: Wanted | None,
    size: int | None,
    views: str,
    unseen: tuple[str, ...],
    holdout: float,
    freeze: tuple[str, ...] = (),
) -> tuple[Collection, Spec]:
    """Resolve every open choice; return the rows that can be used, with splits, and the specification.

    Raises:
        DataError: the data do not have what the system learns from.
        SettingsError: all unknown or impossible settings at once.
    """
    if problems := wrong_types(training):
        raise SettingsError("these training settings cannot be used:\n" + "\n".join(f"  - {each}" for each in problems))
    for role in unseen:
        collection[role]
    found = systems.find(system or default_system(collection, unseen), kind="learner")
    assert found.recipe is not None, "every learner has a recipe"
    check_named(found, collection, source, unseen)
    usable, roles = rows_for(found, collection, unseen)
    problems = []
    if not 0 <= holdout < 1:
        problems.append(f"holdout={holdout}: it must be at least 0 and below 1")
    if views not in get_args(Views):
        problems.append(f"views={views!r}: choose one of {', '.join(get_args(Views))}")
    if size is not None and not 8 <= size <= 1024:
        problems.append(f"size={size}: pictures of 8 to 1024 pixels can be used")
    wanted = {kind: {"name": each} if isinstance(each, str) else dict(each) for kind, each in (encoder or {}).items()}
    unknown = sorted(set(wanted) - set(roles))
    if unknown:
        problems.append(f"encoder for {', '.join(unknown)}: {found.slug} reads {', '.join(roles)} only")
    if unknown := sorted(set(freeze) - set(roles)):
        problems.append(f"freeze {', '.join(unknown)}: {found.slug} reads {', '.join(roles)} only")
    if problems:
        raise SettingsError("these settings cannot be used:\n" + "\n".join(f"  - {problem}" for problem in problems))
    same = sameness(usable, roles, group=True)
    usable = with_splits(usable, holdout, training.seed, same)
    side = size or suggested_size(usable, roles.get("image", ()))
    named = {
        kind: wanted.get(kind, {}).get("name") or found.paper.encoder.get(kind) or chosen_encoder(usable, own, side)
        for kind, own in roles.items()
    }
    training = measured_while_trained(training, begun=any(begins_trained(name) for name in named.values()))
    if training.validate:
        usable = with_validation(usable, training.seed, same)
    usable = separated(usable)
    resolved = read_dataclass(found.settings, settings or {}, f"settings of {found.slug}")
    return usable, Spec(
        source=source,
        system=found.slug,
        settings={field.name: getattr(resolved, field.name) for field in fields(resolved)},
        training=training.resolved(suited(found.recipe, named.values()), len(usable.splits["train"])),
        encoder=named,
        encoder_settings={
            kind: rest
            for kind, each in wanted.items()
            if (rest := {name: value for name, value in each.items() if name != "name"})
        },
        size=side,
        views=views,  # type: ignore[arg-type]
        roles=roles,
        unseen=unseen,
        holdout=holdout,
        freeze=freeze,
        text_sides=text_sides(found.paper, roles, unseen),
    )


MOST_ROWS = 32
"""Rows a step of models from a folder unless the user says otherwise: what 4 GB of memory hold of 120 words each."""

TIMES = 10
"""How often a model is measured while it trains, where it is and nothing else is said."""


def measured_while_trained(training: Training, *, begun: bool) -> Training:
    """The settings with how often is measured: where weights are begun with that training could harm, or if asked."""
    if training.validate is not None:
        return training
    wanted = begun or training.patience > 0 or training.keep == "best"
    return replace(training, validate=TIMES if wanted and training.steps != 0 else 0)


def suited(recipe: Recipe, encoders: Iterable[str]) -> Recipe:
    """A recipe whose batches are no larger than suits encoders of these names: models from a folder are large."""
    large = any(begins_trained(name) and not name.startswith("run:") for name in encoders)
    return replace(recipe, batch_size=min(recipe.batch_size, MOST_ROWS)) if large else recipe


def replan(collection: Collection, spec: Spec) -> tuple[Collection, Spec]:
    """The plan of a specification once more, over rows that were opened anew or over others; see `plan`."""
    return plan(
        collection,
        spec.source,
        system=spec.system,
        settings=spec.settings,
        training=spec.training,
        encoder=spec.encoders,
        size=spec.size,
        views=spec.views,
        unseen=spec.unseen,
        holdout=spec.holdout,
        freeze=spec.freeze,
    )


def rows_for(
    found: systems.System, collection: Collection, unseen: Sequence[str] = ()
) -> tuple[Collection, dict[str, tuple[str, ...]]]:
    """The rows of a collection that a system can learn from, and by kind the roles that it reads.

    Raises:
        DataError: the collection lacks what the system learns from.
    """
    kinds = kinds_of(found.paper, collection)
    beside = ("array:target", *(f"array:{name}" for name in found.paper.extra))
    roles = {
        kind: tuple(
            role
            for role in collection.roles(kind)
            if role not in (*unseen, *beside) and reads(found.paper, role) and collection[role].present.any()
        )
        for kind in kinds
    }
    missing = [role for role in found.paper.roles if ":" in role and role not in roles[kind_of(role)]]
    missing += [kind for kind in kinds if not roles[kind]]
    if not found.paper.roles:
        missing = []
        check_modalities(found.slug, collection, roles)
    if missing:
        raise DataError(
            f"{found.slug} learns from the roles {', '.join(found.paper.roles)}; {collection.name} has "
            f"{', '.join(collection.columns)}{empty_roles(collection)}. Missing: {', '.join(missing)}. Name the columns"
            f" ({' '.join(flags_of(role) for role in missing)}) or choose another system (unalike systems)."
        )
    if found.paper.labels and collection.label is None:
        raise DataError(
            f"{found.slug} learns from labels and {collection.name} has none. "
            "Put pictures into one sub-folder a class, name a column with --label, or choose a system without labels."
        )
    if found.paper.targets and collection.target is None:
        raise DataError(
            f"{found.slug} learns to predict a number and {collection.name} names none. Name its column with --target "
            "COLUMN (in Python roles={'array:target': COLUMN}), or choose another system (unalike systems)."
        )
    if found.paper.extra:
        training.extra_of(collection, found.paper.extra)  # an error where one is missing
    usable = usable_rows(collection, found.paper.roles, roles, labels=found.paper.labels, targets=found.paper.targets)
    return usable, roles


def reads(paper: Paper, role: str) -> bool:
    """Whether a system reads a role: one of a kind that it takes in all variants, or a variant that it names.

    A role that it names may have a number behind it, as the places of a list have.
    """
    kind = kind_of(role)
    if not paper.roles or (kind in paper.roles and not any(each.startswith(f"{kind}:") for each in paper.roles)):
        return True
    return any(variants([role], each) for each in (*paper.roles, *paper.also))


def check_named(found: systems.System, collection: Collection, source: Source, unseen: Sequence[str]) -> None:
    """Raise a `DataError` for roles that the user named and the system does not read."""
    known = kinds_of(found.paper, collection)
    beside = (*EVENT_ROLES, *GRAPH_ROLES, *unseen, "array:target", *(f"array:{name}" for name in found.paper.extra))
    unread = [
        role
        for role in source.roles
        if role not in beside
        and kind_of(role) not in ("label", "labels", "tags")
        and not (kind_of(role) in known and reads(found.paper, role))
    ]
    if not unread:
        return
    taken = [*(found.paper.roles or modalities()), *found.paper.also, *(("label",) if found.paper.labels else ())]
    near = get_close_matches(unread[0], taken, 1)
    raise DataError(
        f"{found.slug} does not read {', '.join(unread)}; it reads {', '.join(taken)}"
        + (", each also with a number behind it" if found.paper.also else "")
        + (f". Did you mean {near[0]}? Else leave" if near else ". Leave")
        + " it out, keep it for the scores with --unseen ROLE, or choose another system (unalike systems)"
    )


def kinds_of(paper: Paper, collection: Collection) -> list[str]:
    """The kinds of column that a system learns from: its own, or every modality that the data have, in their order."""
    if paper.roles:
        return list(dict.fromkeys(kind_of(role) for role in paper.roles))
    roles = (role for role in collection.columns if role != "array:target")
    return [kind for kind in dict.fromkeys(kind_of(role) for role in roles) if kind in modalities()]


def check_modalities(slug: str, collection: Collection, roles: Mapping[str, tuple[str, ...]]) -> None:
    """Raise a `DataError` unless there are two modalities or more, each with an entry in some row."""
    empty = [kind for kind, used in roles.items() if not used]
    if empty:
        raise DataError(
            f"{', '.join(empty)} of {collection.name} has no entry in any of {len(collection)} rows: fill the column, "
            "or leave it out"
        )
    if len(roles) < 2:
        raise DataError(
            f"{slug} learns from two modalities or more ({', '.join(modalities())}); {collection.name} has "
            f"{', '.join(collection.columns)}. Name more columns, such as --image COLUMN --text COLUMN --audio COLUMN"
        )


SMALL = 72
"""Pictures of at most this side are drawings, icons, letters or digits rather than photos."""


def suggested_size(collection: Collection, roles: Sequence[str]) -> int:
    """32 pixels for small pictures, 64 for others: what trains in minutes and loses little of either."""
    for role in roles:
        column = collection[role]
        sides = [max(picture.size) for row in range(min(64, len(column))) if (picture := readable(column, row))]
        if sides:
            return 32 if np.median(sides) <= SMALL else 64
    return 64


def readable(column: Column, row: int) -> Any:
    """A picture of a column, None where it is missing or cannot be read (which is counted when all are read)."""
    try:
        return column[row]
    except DataError:
        return None


def chosen_encoder(collection: Collection, roles: Sequence[str], size: int) -> str:
    """The encoder for one kind, when the user names none."""
    return default_encoder([collection[role] for role in roles], size)


def flags_of(role: str) -> str:
    """The flags that name the column or columns of a role."""
    told = {
        "array": "--array COLUMN, or --array COLUMN,COLUMN for several",
        "clicks": "--user COLUMN --item COLUMN --time COLUMN",
        "graph": "--edges FILE, or --edges knn:3",
    }
    return told.get(role, f"--{role} COLUMN")
