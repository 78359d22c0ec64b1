"""unalike search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from unalike.cli.arguments import Command, told
from unalike.cli.console import err, out
from unalike.cli.tables import Column, Listing, first_line
from unalike.errors import SettingsError

if TYPE_CHECKING:
    from unalike.runs.search import Found

READ_AS: Mapping[str, Any] = {"text": "words", "image": "picture", "audio": "recording", "video": "clip"}
"""How `unalike.Run.search` calls the kinds of queries; ``--by`` takes these names too."""


@dataclass(frozen=True)
class Search(Command):
    """Find the rows most similar to a text, an image, audio, a video, a time series or another row. A run trained on
    label sets returns the labels of a text, one trained on clicks the next items of a user."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory."""
    query: Positional[Annotated[str | None, told(metavar="[QUERY]")]] = None
    """A text, a file or a row's id. Several are given by kind instead: --text TEXT --audio FILE --image FILE."""
    k: Annotated[int, arg(aliases=["-k"])] = 10
    """Number of hits."""
    by: Annotated[
        Literal["auto", "text", "image", "audio", "video", "series", "row", "words", "picture", "recording", "clip"],
        told(metavar="{auto,text,image,audio,video,series,row}"),
    ] = "auto"
    """What the query is."""
    role: Annotated[str | None, arg(name="for"), told(metavar="ROLE")] = None
    """Which role to find: of question-answer pairs a text finds answers (text:positive) unless you say --for text."""
    html: Annotated[Path | None, told(metavar="FILE")] = None
    """Also write an HTML page that shows the hits."""
    device: str = "cpu"
    """Device that embeds the query."""

    def execute(self, roles: Mapping[str, str]) -> None:
        import unalike

        run = unalike.load(self.run, device=self.device)
        for kind, found in (("clicks", "items"), ("labels", "labels")):
            if self.html is not None and kind in run.kinds:
                raise SettingsError(
                    f"--html shows similar rows, but this run finds {found} for a query: leave --html out"
                )
        if (self.query is None) == (not roles):
            raise SettingsError(
                "unalike search takes one query, or several by kind: unalike search RUN QUERY, "
                "or unalike search RUN --text TEXT --audio FILE"
            )
        if self.html is not None and self.query is None:
            raise SettingsError("--html writes a page for one query; give it without --text, --audio or --image")
        hits = run.search(self.query or roles, self.k, by=READ_AS.get(self.by, self.by), role=self.role)
        for note in run.remarks:
            err.print(f"note: {note}", markup=False)
        show_hits(hits)
        if self.html is not None and self.query is not None:
            from unalike.runs.report import write_search

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
