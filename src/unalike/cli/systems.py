"""unalike systems."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from rich.markup import escape
from tyro.conf import Positional

from unalike.cli.arguments import Command, told
from unalike.cli.console import out
from unalike.cli.tables import Column, Listing, show_row
from unalike.records import Paper

if TYPE_CHECKING:
    from unalike.systems import System

ANY = "any two or more of image, text, audio, video, series, array"
"""What a system without roles of its own learns from."""


@dataclass(frozen=True)
class Systems(Command):
    """List the systems, or describe one."""

    slug: Positional[Annotated[str | None, told(metavar="[SLUG]")]] = None
    """The system to describe."""
    modality: Annotated[str | None, told(metavar="NAME")] = None
    """List only the systems of this modality."""

    def execute(self, roles: Mapping[str, str]) -> None:
        from unalike import systems

        if self.slug is not None:
            show_card(systems.find(self.slug))
        else:
            show_list(systems.all_systems(self.modality))


def show_list(listed: list[System]) -> None:
    """The systems, one line each, with what was measured of their claims."""
    from unalike.claims.rows import read_rows, stored

    rows = read_rows(stored())
    listing = Listing(
        [
            Column("no.", right=True),
            Column("system"),
            Column("modality"),
            Column("verdict"),
            Column("mechanism"),
            Column("learns from", least=11),
            Column("paper", least=24, spare=True),
        ]
    )
    for system in listed:
        paper = system.paper
        needs = ", ".join((*paper.roles, *wanted(paper))) or ("two or more" if paper.kind == "learner" else paper.kind)
        row = rows.get(system.slug)
        verdicts = ("", "") if row is None else (row.first.verdict, row.mechanism or "")
        listing.add(
            str(paper.number or ""), system.slug, paper.modality, *verdicts, needs, f"{paper.title} ({paper.year})"
        )
    listing.show(out)
    out.print("\nunalike systems SLUG describes a system, unalike check SLUG measures its claim.")


def wanted(paper: Paper) -> list[str]:
    """What a system learns from beside its roles."""
    named = [name for name, needed in (("label", paper.labels), ("target", paper.targets)) if needed]
    return [*named, *paper.extra]


def show_card(system: System) -> None:
    """A system's card: what it changes, its paper, its settings and where each value comes from, its claim."""
    from unalike.systems import HOW

    paper = system.paper
    out.print(escape(inspect.cleandoc(system.module.__doc__ or "")))
    venue = f", {paper.venue}" if paper.venue else ""
    arxiv = f", arXiv {paper.arxiv}" if paper.arxiv else ""
    out.print(escape(f"\nPaper: {paper.authors}. {paper.title}. {paper.year}{venue}{arxiv}."))
    if paper.roles or paper.kind == "learner":
        out.print(escape(f"Learns from: {', '.join((*paper.roles, *wanted(paper))) or ANY}"))
    if paper.kind != "learner":
        out.print(f"Kind: {paper.kind}, used by {HOW[paper.kind]} {paper.slug}", markup=False)
    out.print(escape(f"Claim: {system.claim.sentence}"))
    if system.claim.baseline:
        out.print(f"Baseline: {system.claim.baseline}")
    out.print("\nSettings:")
    for line in inspect.getsource(system.settings).splitlines()[2:]:
        out.print(escape(line))
    if system.recipe is not None:
        out.print("\nRecipe:")
        for each in dataclasses.fields(system.recipe):
            out.print(f"    {each.name} = {getattr(system.recipe, each.name)}")
    show_stored(system)


def show_stored(system: System) -> None:
    """What the stored row says of a system's claim."""
    from unalike.claims.reasons import reason
    from unalike.claims.rows import read_row, stored

    path = stored() / f"{system.slug}.json"
    if not path.exists():
        out.print("\nMeasured: not yet")
        return
    row = read_row(path)
    out.print(f"\nMeasured on {', '.join(row.data)}:")
    show_row(row)
    if why := reason(stored(), row):
        from rich.markdown import Markdown

        out.print("")
        out.print(Markdown(why))
