"""unalike data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional

from unalike.cli.arguments import Command, told
from unalike.cli.console import out
from unalike.cli.tables import Column, Listing
from unalike.errors import SettingsError

if TYPE_CHECKING:
    from unalike.data.catalogue import Card


@dataclass(frozen=True)
class Data(Command):
    """List the datasets, describe one, or download one (unalike data get NAME)."""

    name: Positional[Annotated[tuple[str, ...], told(metavar="[get] [NAME]")]] = ()
    """A dataset to describe; get NAME downloads it."""

    def execute(self, roles: Mapping[str, str]) -> None:
        from unalike.data.catalogue import card

        words = self.name
        if words[:1] == ("get",):
            if len(words) != 2:
                raise SettingsError("unalike data get NAME downloads one dataset; unalike data lists their names")
            show_fetched(words[1])
        elif len(words) > 1:
            raise SettingsError(f"unalike data describes one dataset at a time; given: {' '.join(words)}")
        elif words:
            show_set(card(words[0]))
        else:
            show_sets()


def show_fetched(name: str) -> None:
    """Fetch a data set, and say where it is."""
    from unalike.data.fetching import fetch

    out.print(f"{name}: {fetch(name, progress=lambda line: out.print(line, style='dim', markup=False))}")


def show_sets() -> None:
    """The data sets, one line each."""
    from unalike.data.catalogue import CATALOGUE

    listing = Listing(
        [
            Column("name"),
            Column("where", least=12),
            Column("what", least=30),
            Column("kinds", least=40, spare=True),
        ]
    )
    for record in CATALOGUE:
        size = f", {record.size / 1e6:.0f} MB" if record.size else ""
        listing.add(record.name, f"{record.origin}{size}", record.title, ", ".join(record.kinds) or "weights")
    listing.show(out)
    out.print(
        "\nunalike data NAME describes a dataset, unalike data get NAME downloads it, unalike fit NAME trains on it."
    )


def show_set(card: Card) -> None:
    """A data set's card, entry by entry."""
    out.print(f"{card.name}: {card.title}\n\n{card.description}\n", markup=False, emoji=False)
    for name in ("source", "licence", "script", "roles", "counts", "splits", "split_rule", "problems"):
        value = getattr(card, name)
        if isinstance(value, Mapping):
            value = tuple(f"{key}: {entry}" for key, entry in value.items())
        lines = (str(value),) if isinstance(value, (str, int)) else value
        for number, line in enumerate(lines):
            shown = f"{name.replace('_', ' ') + ':' if number == 0 else '':<12}{line}"
            # "label:family: ..." would come out as a picture of a family.
            out.print(shown, markup=False, emoji=False)
