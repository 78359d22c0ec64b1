"""unalike search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from unalike.cli.arguments import Command, told
from unalike.cli.console import out
from unalike.cli.tables import Column, Listing, first_line
from unalike.errors import SettingsError

if TYPE_CHECKING:
    from unalike.run import Found


@dataclass(frozen=True)
class Search(Command):
    """Find what is alike: by words, by a picture, recording, clip or series, or by the id of a row. Where sets of
    labels were learned, find the labels of a text; after clicks, what comes next."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory."""
    query: Positional[Annotated[str | None, told(metavar="QUERY")]] = None
    """Words, the path of a picture, recording, clip or series, or a row's id. Several of them at once are given by kind
    in its place: --text WORDS --audio FILE --image FILE."""
    k: Annotated[int, arg(aliases=["-k"])] = 10
    """How many hits."""
    by: Literal["auto", "words", "picture", "recording", "clip", "series", "row"] = "auto"
    """How to read the query."""
    html: Annotated[Path | None, told(metavar="FILE")] = None
    """Write a page with pictures too."""
    device: str = "cpu"
    """Where the query's vector is computed."""

    def execute(self, roles: Mapping[str, str]) -> None:
        import unalike

        run = unalike.load(self.run, device=self.device)
        if self.html is not None and "clicks" in run.kinds:
            raise SettingsError("--html writes a page of what looks alike; what comes next is a list: leave --html out")
        if self.html is not None and "labels" in run.kinds:
            raise SettingsError(
                "--html writes a page of what looks alike; the labels of a text are a list: leave it out"
            )
        if (self.query is None) == (not roles):
            raise SettingsError(
                "unalike search takes one query, or what the wanted row has by kind: unalike search RUN --text WORDS "
                "--audio FILE"
            )
        if self.html is not None and self.query is None:
            raise SettingsError("--html writes a page for one query; give it without --text, --audio or --image")
        hits = run.search(self.query or roles, self.k, by=self.by)
        show_hits(hits)
        if self.html is not None and self.query is not None:
            from unalike.pages import write_search

            out.print(f"Page: {write_search(run, self.query, hits, self.html)}")


def show_hits(hits: Sequence[Found]) -> None:
    """The hits, best first, with their texts and labels where they have any."""
    told = [name for name in ("text", "label") if any(getattr(hit, name) for hit in hits)]
    listing = Listing(
        [
            Column("rank", right=True),
            Column("score", right=True),
            Column("id"),
            *(Column(name, least=12) for name in told),
        ]
    )
    for hit in hits:
        listing.add(str(hit.rank), f"{hit.score:.3f}", hit.id, *(first_line(getattr(hit, name) or "") for name in told))
    listing.show(out)
