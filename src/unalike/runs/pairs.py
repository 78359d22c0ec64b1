"""The two sides of a run that learned from pairs of texts, and of a search through texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from unalike import encoders, systems
from unalike.data import Column
from unalike.data.roles import kind_of
from unalike.encoders.text import Side
from unalike.records import Paper
from unalike.runs.spec import Spec
from unalike.training import variants


def sides(spec: Spec) -> tuple[str, str] | None:
    """The roles of a pair, such as ``text`` and ``text:positive``; None where the system learns from no such pairs."""
    return pair_of(systems.find(spec.system).paper)


def pair_of(paper: Paper) -> tuple[str, str] | None:
    """The roles of the pairs that a system learns from, as `sides` gives them for a run."""
    named = paper.roles
    if len(named) != 2 or len({kind_of(role) for role in named}) != 1:
        return None
    return named[0], named[1]


def other_side(spec: Spec, roles: Sequence[str]) -> list[str]:
    """The roles that a search looks through for the answers to words: the second side of a pair, in all its places."""
    found = sides(spec)
    return [] if found is None else variants(roles, found[1])


def as_pair(roles: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Roles as they were named, but of two columns of texts, ``text`` and ``text:2``, the second answers the first.

    Example:
        >>> as_pair({"text": "question", "text:2": "answer"})
        {'text': 'question', 'text:positive': 'answer'}
    """
    if roles is None or set(roles) != {"text", "text:2"}:
        return roles
    return {"text": roles["text"], "text:positive": roles["text:2"]}


def text_sides(paper: Paper, roles: Mapping[str, Sequence[str]], unseen: Sequence[str] = ()) -> dict[str, Side]:
    """By role the side of a search on which texts stand: the first of a pair asks, all others are searched.

    Where texts are learned beside things of other kinds there are no sides: images are found by the same captions
    that they were learned with.

    Args:
        paper: of the system.
        roles: by kind the roles that are trained on.
        unseen: roles that are only tested on.
    """
    if set(roles) != {"text"}:
        return {}
    pair = pair_of(paper)
    every = (*roles["text"], *(role for role in unseen if kind_of(role) == "text"))
    return {role: "query" if pair is not None and role == pair[0] else "document" for role in every}


def side_of(spec: Spec, role: str) -> Side | None:
    """The side on which the texts of a role stand in a run; texts of a role that it does not know are searched."""
    return spec.text_sides.get(role, "document") if spec.text_sides and kind_of(role) == "text" else None


def query_side(spec: Spec) -> Side | None:
    """The side of the texts that a run is searched for with."""
    return "query" if spec.text_sides else None


def prepare_as(
    encoder: encoders.Encoder, column: Column, side: Side | None, *, cache: Path | None = None
) -> encoders.Prepared:
    """A column made ready; texts as an encoder reads those of one side of a search."""
    reader = encoder.members[0] if isinstance(encoder, encoders.Ensemble) else encoder
    if isinstance(reader, encoders.TextEncoder):
        return reader.prepare(column, cache=cache, side=side)
    return encoder.prepare(column, cache=cache)
