"""unalike cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional

from unalike.cli.arguments import Command, told
from unalike.cli.console import out
from unalike.cli.tables import Column, Listing, first_line

if TYPE_CHECKING:
    from unalike.runs.cluster import Grouped


@dataclass(frozen=True)
class Cluster(Command):
    """Cluster a run's rows by k-means; prints sizes, examples and, where rows have classes, the agreement with them."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory."""
    clusters: Annotated[int | None, told(metavar="K")] = None
    """Number of clusters (default: the number of classes)."""
    role: Annotated[str | None, told(metavar="ROLE")] = None
    """Role whose vectors are clustered (default: the one that unalike search searches)."""
    out: Annotated[Path, told(metavar="FILE")] = Path("clusters.parquet")
    """CSV or Parquet file for ids and clusters."""
    seed: int = 0
    """Seed of the initial centres."""

    def execute(self, roles: Mapping[str, str]) -> None:
        import unalike
        from unalike.runs.cluster import cluster

        found = cluster(unalike.load(self.run), self.clusters, role=self.role, seed=self.seed)
        show_clusters(found)
        if found.agreement is not None and found.chance is not None:
            for name, words in (("nmi", "NMI"), ("ari", "ARI"), ("accuracy", "accuracy, clusters matched to classes")):
                value, chance = getattr(found.agreement, name), getattr(found.chance, name)
                out.print(f"{words} with the classes: {value:.3f} (by chance {chance:.3f})")
        out.print(f"Clusters of all rows: {found.save(self.out)}", markup=False)


def show_clusters(found: Grouped) -> None:
    """The clusters: their sizes, the most common class where there are classes, the rows nearest the centres."""
    classes = [] if found.agreement is None else [Column("most common class", least=16)]
    listing = Listing(
        [
            Column("cluster", right=True),
            Column("rows", right=True),
            *classes,
            Column("nearest its centre", least=24),
        ]
    )
    for number, size in enumerate(found.sizes.tolist()):
        inside = [found.labels[row] for row in (found.clusters == number).nonzero()[0]]
        named = [label for label in inside if label is not None]
        common = max(sorted(set(named)), key=named.count) if named else None
        shown = [f"{common} ({100 * named.count(common) / len(named):.0f}%)" if common else ""]
        examples = "; ".join(first_line(found.texts[row] or found.ids[row], 40) for row in found.examples(number))
        listing.add(str(number), str(size), *(shown if classes else []), examples)
    listing.show(out)
