"""The two sides of a run that learned from pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence

from unalike import systems
from unalike.data.roles import kind_of
from unalike.runs.spec import Spec
from unalike.training import variants


def sides(spec: Spec) -> tuple[str, str] | None:
    """The roles of a pair, such as ``text`` and ``text:positive``; None where the system learns from no such pairs."""
    named = systems.find(spec.system).paper.roles
    if len(named) != 2 or len({kind_of(role) for role in named}) != 1:
        return None
    return named[0], named[1]


def other_side(spec: Spec, roles: Sequence[str]) -> list[str]:
    """The roles that a search looks through for the answers to words: the second side of a pair, in all its places."""
    found = sides(spec)
    return [] if found is None else variants(roles, found[1])
