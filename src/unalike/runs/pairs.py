"""The two sides of a run that learned from pairs of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unalike import systems
from unalike.runs.spec import Spec
from unalike.training import variants


def sides(spec: Spec) -> tuple[str, str] | None:
    """The roles of a pair, such as ``text`` and ``text:positive``; None where the system learns from no such pairs."""
    named = systems.find(spec.system).paper.roles
    if len(named) != 2 or len({role.split(":")[0] for role in named}) != 1:
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
