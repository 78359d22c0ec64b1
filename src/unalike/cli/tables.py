"""Tables on a terminal: as wide as it is, and whole where output goes into a file or another program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console

from unalike.cli.console import out

if TYPE_CHECKING:
    from unalike.claims.rows import Row
    from unalike.evaluation import Score

GAP = 2
"""Blanks between two columns."""


@dataclass(frozen=True)
class Column:
    """A column of a listing.

    Args:
        name: its heading.
        right: whether its cells stand at its right edge, as numbers do.
        least: how narrow it may become where the terminal is; its cells are then cut short. None keeps them whole.
        spare: whether it is left out where even that is too wide.
        lists: whether its cells are lists after commas, which go on in the next line instead of being cut short.
    """

    name: str
    right: bool = False
    least: int | None = None
    spare: bool = False
    lists: bool = False


@dataclass
class Listing:
    """A table with one line a row, however narrow the terminal.

    Args:
        columns: from left to right.
        rows: cells by column; `add` appends a row.

    Example:
        >>> from unalike.cli.tables import Column, Listing
        >>> listing = Listing([Column("system"), Column("paper", least=10)])
        >>> listing.add("dcl", "Decoupled Contrastive Learning")
        >>> print(*listing.lines(24), sep="\\n")
        system  paper
        dcl     Decoupled Contr…
    """

    columns: Sequence[Column]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        self.rows.append(cells)

    def lines(self, width: int | None = None) -> list[str]:
        """The heading and the rows, in ``width`` cells of a terminal as far as that is possible; None: whole."""
        shown = list(range(len(self.columns)))
        sizes, over = self._sizes(shown, width)
        while over > 0 and (spare := [place for place in shown if self.columns[place].spare]):
            shown.remove(spare[-1])
            sizes, over = self._sizes(shown, width)
        heading = tuple(column.name for column in self.columns)
        return [line for row in (heading, *self.rows) for line in self._lines(row, {p: sizes[p] for p in shown})]

    def _sizes(self, shown: Sequence[int], width: int | None) -> tuple[list[int], int]:
        """Widths of all columns, the widest narrowed first, and by how much those that are shown are too wide."""
        sizes = [
            max(map(cell_len, (column.name, *(row[p] for row in self.rows)))) for p, column in enumerate(self.columns)
        ]
        over = 0 if width is None else sum(sizes[p] for p in shown) + GAP * (len(shown) - 1) - width
        while over > 0:
            elastic = [p for p in shown if (least := self.columns[p].least) is not None and sizes[p] > least]
            if not elastic:
                break
            sizes[max(elastic, key=sizes.__getitem__)] -= 1
            over -= 1
        return sizes, over

    def _lines(self, row: Sequence[str], sizes: dict[int, int]) -> list[str]:
        """A row in one line, or in several where a list is too long for one."""
        cells = [
            broken(row[p], size) if self.columns[p].lists else [shortened(row[p], size)] for p, size in sizes.items()
        ]
        lines = []
        for parts in zip_longest(*cells, fillvalue=""):
            padded = []
            for (place, size), part in zip(sizes.items(), parts, strict=True):
                blank = " " * (size - cell_len(part))
                padded.append(blank + part if self.columns[place].right else part + blank)
            lines.append((" " * GAP).join(padded).rstrip())
        return lines

    def show(self, console: Console) -> None:
        """Print it."""
        heading, *rest = self.lines(console.width if console.is_terminal else None)
        console.print(heading, style="bold", markup=False, emoji=False, soft_wrap=True)
        for line in rest:
            console.print(line, markup=False, emoji=False, soft_wrap=True)


def shortened(text: str, size: int) -> str:
    """A text in at most ``size`` cells of a terminal, with … in place of what is left out."""
    return text if cell_len(text) <= size else set_cell_size(text, size - 1).rstrip(" ,;:(") + "…"


def broken(text: str, size: int, between: str = ", ") -> list[str]:
    """A list in lines of at most ``size`` cells, as far as its entries allow; they end ``between`` two of them."""
    first, *rest = text.split(between)
    lines = [first]
    for number, part in enumerate(rest, 1):
        longer = lines[-1] + between + part
        if cell_len(longer) + (number < len(rest)) <= size:
            lines[-1] = longer
        else:
            lines[-1:] = [lines[-1] + between.rstrip(), part]
    return lines


def first_line(text: str, most: int = 200) -> str:
    """A text as a table shows it: its beginning, on one line."""
    line = " ".join(text[: 2 * most].split())
    return line if len(line) <= most else line[: most - 1] + "…"


HEADLINE = ("knn_accuracy", "linear_probe", "recall@1/", "recall@10/", "zero_shot", "effective_rank")
"""The scores that a user sees at the end of a fit, beside those that are named in words."""


def headline(scores: Sequence[Score]) -> list[Score]:
    """The most telling scores; where some are named in words these, else those of the usual measures."""
    words = [score for score in scores if " " in score.name]
    return words + [score for score in scores if score.name.startswith(HEADLINE) and len(words) < 4]


def show_scores(scores: Sequence[Score]) -> None:
    """The score table: each value beside its floors."""
    listing = Listing(
        [
            Column("score"),
            Column("value", right=True),
            Column("n", right=True),
            Column("floors", least=30, lists=True),
        ]
    )
    for score in scores:
        floors = ", ".join(f"{name} {value:.3f}" for name, value in score.floors.items())
        listing.add(score.name, f"{score.value:.3f}", str(score.n), floors)
    listing.show(out)


def show_row(row: Row, words: Mapping[str, str] = {}) -> None:
    """A row, measure by measure: its arms, the difference with its interval, the verdict, the floors.

    Args:
        row: what was measured of a claim, or of two systems.
        words: what to print in place of some verdicts.
    """
    from unalike.claims.board import effect, mean

    slugs = {"system": row.slug, "baseline": row.baseline or "baseline"}
    for result in row.results:
        kind = " (mechanism)" if result.mechanism else ""
        out.print(f"{result.name}{kind}: {words.get(result.verdict, result.verdict)}", style="bold", markup=False)
        means = ((slugs.get(name, name), sum(values) / len(values)) for name, values in result.values.items())
        told = {
            "arms": "; ".join(f"{name} {mean:.3g}" for name, mean in means),
            "effect": effect(result),
            "floors": "; ".join(f"{name} {value:.3f}" for name, value in result.floors.items()),
        }
        for name, text in told.items():
            lines = broken(text, out.width - 10 if out.is_terminal else len(text), "; ")
            for number, line in enumerate(lines if text else []):
                out.print(f"  {name if number == 0 else '':<6}  {line}", markup=False, soft_wrap=True)
    if row.numbers:
        listing = Listing([Column("number"), Column("arm"), Column("mean [95% interval]", right=True)])
        for name, arm, found in row.numbers:
            listing.add(name, arm, mean(found))
        listing.show(out)
    out.print(
        f"{len(row.seeds)} pairs, {row.seconds['all']:.0f} s, largest process {row.memory:.0f} MiB, "
        f"each trial opened the test split {' or '.join(map(str, row.reads))} time"
    )
