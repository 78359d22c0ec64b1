"""How a system is used on one's own data, as its page says it. tests/docs runs every line of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from unalike import systems
from unalike.records import Paper
from unalike.systems import System


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a learner of some roles is given.

    data: a file or folder, named as on the page of its kind of data, with the flags that name its columns; named: flags
    that only ``fit`` needs; name: what the run is called after, the data's file unless it is given; what: all that in
    words; then: what is done with the run; other: the system that it is compared with where its claim names none;
    guide: the page that tells more.
    """

    data: str
    named: str = ""
    name: str = ""
    what: str
    then: str
    other: str
    guide: str


PICTURES = Usage(
    data="photos/",
    what="a folder of pictures",
    then="search {run} cat.png  # what is alike",
    other="simclr",
    guide="pictures",
)
TEXTS = Usage(
    data="notes.parquet --text body",
    what="one text a row",
    then='search {run} "a boat with a sail"',
    other="simcse",
    guide="texts",
)
PAIRS = Usage(
    data="pairs.csv --image path --text caption",
    what="a table of pictures and captions",
    then='search {run} "a red square"',
    other="clip",
    guide="pairs",
)
LEARNERS = {
    ("image",): PICTURES,
    ("image", "label"): replace(PICTURES, what="a folder of pictures; its sub-folders are classes", other="supcon"),
    ("image", "target"): replace(
        PICTURES, data="measured.csv --image path --target brightness", what="a table of pictures, each with a number"
    ),
    ("text",): TEXTS,
    ("text", "text:positive"): replace(
        TEXTS,
        data="pairs.jsonl --text question --text:positive answer",
        what="pairs of texts that belong together",
    ),
    ("text", "labels"): Usage(
        data="items.parquet --text description --labels tags",
        named="--id id",
        what="texts with their labels, any number a row",
        then='search {run} "a small red bicycle" -k 3',
        other="dual-encoder",
        guide="labels",
    ),
    ("image", "text"): PAIRS,
    (): Usage(
        data="pairs.csv --image path --text caption --audio voice",
        what="any modalities, one column each; cells may be empty",
        then='search {run} --text "a red square" --audio recordings/low/3.wav',
        other="audioclip",
        guide="pairs",
    ),
    ("array",): Usage(
        data="normal.csv --array a,b,c,d,e",
        named="--id id",
        what="rows of numbers that are normal",
        then="score {run} new.csv --id id",
        other="scarf",
        guide="tables",
    ),
    ("series",): Usage(
        data="series/",
        what="a folder of series, one file each",
        then="search {run} new/heat.csv",
        other="ts2vec",
        guide="series",
    ),
    ("video",): Usage(
        data="clips/", what="a folder of films", then="search {run} clips/right/3.mp4", other="cvrl", guide="clips"
    ),
    ("audio",): Usage(
        data="recordings/",
        what="a folder of recordings",
        then="search {run} recordings/low/3.wav",
        other="wav2vec2",
        guide="sound",
    ),
    ("clicks",): Usage(
        data="clicks.csv --user customer --item product --time at",
        what="one event a row",
        then="search {run} c7 -k 3  # what comes next",
        other="sasrec",
        guide="clicks",
    ),
    ("graph",): Usage(
        data="edges.csv --nodes nodes.csv",
        name="nodes",
        what="pairs of nodes, and what describes a node",
        then="cluster {run} --clusters 3",
        other="scgc",
        guide="graphs",
    ),
}
"""By what a system learns from."""

OF_THEIR_OWN = {
    "ccrk": replace(
        PAIRS,
        data="pairs.csv --image path --text:en caption --text:de titel",
        what="pictures with captions in several languages",
    )
}
"""By slug, what is used otherwise than its roles say."""

BEGIN = "fit pairs.csv --image path --text caption --system clip  # a run to begin with"
OTHERS = {
    "adapter": [BEGIN, "adapt runs/pairs-clip --shots photos_test/ --system {slug}  # a few pictures of each class"],
    "audit": [
        BEGIN,
        "audit runs/pairs-clip --system {slug}",
        "audit runs/pairs-clip --system {slug} --repair pairs.csv --image path --text caption  # clean pairs",
    ],
    "decoder": [
        'generate my-model "the old keeper" --decoder {slug} --context context.txt  # the folder of a language model'
    ],
}
"""By kind, how systems are used that are no learners."""
GUIDES = {"adapter": "pairs", "audit": "audit", "decoder": "language-models"}


def section(system: System) -> list[str]:
    """The lines of the section of a system's page."""
    guide = GUIDES.get(system.paper.kind) or usage(system).guide
    return [
        "## On your own data",
        "",
        "```bash",
        *commands(system),
        "```",
        "",
        f"What it takes: [{guide}](../{guide}.md).",
        "",
    ]


def usage(system: System) -> Usage:
    """How a learner is used.

    Raises:
        KeyError: nobody has said here how a system of these roles is used.
    """
    return OF_THEIR_OWN.get(system.slug) or LEARNERS[shape(system.paper)]


def commands(system: System) -> list[str]:
    """The commands of that section."""
    paper = system.paper
    if paper.kind != "learner":
        return [f"unalike {line.format(slug=system.slug)}" for line in OTHERS[paper.kind]]
    given = usage(system)
    data, *columns = given.data.split(" ", 1)
    run = f"runs/{given.name or data.rstrip('/').partition('.')[0]}-{system.slug}"
    named = f" {given.named}" if given.named else ""
    lines = [
        f"unalike fit {given.data}{named} --system {system.slug}  # {given.what}",
        f"unalike {given.then.format(run=run)}",
    ]
    for other in (system.claim.baseline, given.other):
        if other not in (None, system.slug) and takes(systems.find(other).paper, paper):
            return [*lines, " ".join(["unalike compare", system.slug, other, "--data", data, *columns])]
    return lines


def shape(paper: Paper) -> tuple[str, ...]:
    return (*paper.roles, *(["label"] if paper.labels else []), *(["target"] if paper.targets else []))


def takes(other: Paper, paper: Paper) -> bool:
    """Whether a system can learn from the data that are made for another."""
    one, two = ({role.partition(":")[0] for role in each.roles} for each in (other, paper))
    return one == two and other.labels <= paper.labels and other.targets <= paper.targets
