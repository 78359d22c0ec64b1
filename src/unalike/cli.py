"""The command line. Torch is imported only by the commands that compute."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table
from tyro.conf import OmitArgPrefixes, Positional, arg

from unalike.errors import DataError, SettingsError, UnalikeError
from unalike.training.settings import Training

if TYPE_CHECKING:
    from unalike.data.catalogue import Card
    from unalike.evaluation import Score
    from unalike.run import Run

KINDS = ("image", "text", "audio", "series", "array", "tags")
"""Kinds of columns that ``--KIND COLUMN`` and ``--KIND:VARIANT COLUMN`` may name."""

out, err = Console(highlight=False), Console(stderr=True, highlight=False)


@dataclass(frozen=True)
class Columns:
    """Which columns of a table play which role; ``--image COLUMN``, ``--text COLUMN``, ``--text:de COLUMN``."""

    label: Annotated[str | None, arg(metavar="COLUMN")] = None
    """Column with the class of each row."""
    group: Annotated[str | None, arg(metavar="COLUMN")] = None
    """Column whose equal values stay together when rows are split."""
    id: Annotated[str | None, arg(metavar="COLUMN")] = None
    """Column with a name for each row."""
    encoding: Annotated[str | None, arg(metavar="NAME")] = None
    """Encoding of text files, if it is not UTF-8."""
    tolerance: float = 0.01
    """Share of the items that may be unreadable; they are left out and listed."""


@dataclass(frozen=True)
class Fit:
    """Learn a space from data; writes weights, vectors, scores and a report into a run directory."""

    data: Positional[Annotated[str | None, arg(metavar="DATA")]] = None
    """A folder of pictures, a CSV, Parquet, JSONL or NumPy file, or the name of a data set (unalike data)."""
    system: Annotated[str | None, arg(metavar="SLUG")] = None
    """Which system learns (unalike systems); chosen from the data's roles if it is left out."""
    out: Annotated[Path | None, arg(metavar="DIR")] = None
    """The run directory; runs/DATA-SYSTEM if it is left out."""
    resume: Annotated[Path | None, arg(metavar="RUN")] = None
    """Go on with an interrupted run; everything else is read from it."""
    size: Annotated[int | None, arg(metavar="PIXELS")] = None
    """Side of the pictures; 64 if it is left out."""
    image_encoder: Annotated[str | None, arg(metavar="NAME")] = None
    """conv, vit, or timm:NAME."""
    text_encoder: Annotated[str | None, arg(metavar="NAME")] = None
    """ngram, transformer, hf:FOLDER or st:FOLDER."""
    views: Literal["paper", "simclr", "moco_v2", "gentle", "plain"] = "paper"
    """Random views of pictures; paper takes the system's own."""
    unseen: Annotated[tuple[str, ...] | None, arg(metavar="ROLE [ROLE ...]")] = None
    """Roles to keep out of training and only test on."""
    holdout: float = 0.1
    """Share of the rows that is kept out of training, where the data bring no splits."""
    tensorboard: bool = False
    """Write TensorBoard logs into the run directory."""
    columns: OmitArgPrefixes[Columns] = field(default_factory=Columns)
    training: OmitArgPrefixes[Training] = field(default_factory=Training)


@dataclass(frozen=True)
class Embed:
    """Turn new things into vectors; writes Parquet with a column of ids and one of vectors."""

    run: Positional[Annotated[Path, arg(metavar="RUN")]]
    """A run directory."""
    data: Positional[Annotated[str, arg(metavar="DATA")]]
    """What unalike fit takes."""
    out: Annotated[Path, arg(metavar="FILE")] = Path("vectors.parquet")
    """Where the vectors go."""
    device: str = "cpu"
    """Where they are computed."""
    columns: OmitArgPrefixes[Columns] = field(default_factory=Columns)


@dataclass(frozen=True)
class Search:
    """Find what is alike: by words, by a picture, or by the id of a row."""

    run: Positional[Annotated[Path, arg(metavar="RUN")]]
    """A run directory."""
    query: Positional[Annotated[str, arg(metavar="QUERY")]]
    """Words, the path of a picture, or a row's id."""
    k: Annotated[int, arg(aliases=["-k"])] = 10
    """How many hits."""
    by: Literal["auto", "words", "picture", "row"] = "auto"
    """How to read the query."""
    html: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write a page with pictures too."""
    device: str = "cpu"
    """Where the query's vector is computed."""


@dataclass(frozen=True)
class Evaluate:
    """Say how good a run's space is on other data, with floors."""

    run: Positional[Annotated[Path, arg(metavar="RUN")]]
    """A run directory."""
    data: Annotated[str | None, arg(metavar="DATA")] = None
    """Other data with labels or several roles; the run's own scores if it is left out."""
    json: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write the scores as JSON too."""
    device: str = "cpu"
    """Where vectors are computed."""
    columns: OmitArgPrefixes[Columns] = field(default_factory=Columns)


@dataclass(frozen=True)
class Report:
    """Write the run's report again: one page that opens offline."""

    run: Positional[Annotated[Path, arg(metavar="RUN")]]
    """A run directory."""


@dataclass(frozen=True)
class Systems:
    """List the systems, or show the card of one."""

    slug: Positional[Annotated[str | None, arg(metavar="SLUG")]] = None
    """Show this system's card."""
    modality: Annotated[str | None, arg(metavar="NAME")] = None
    """Only systems of this modality."""


@dataclass(frozen=True)
class Data:
    """List the data sets, show the card of one, or fetch one (unalike data get NAME)."""

    name: Positional[Annotated[tuple[str, ...], arg(metavar="[get] [NAME]")]] = ()
    """A data set; get NAME fetches it."""


COMMANDS: dict[str, type] = {
    "fit": Fit,
    "embed": Embed,
    "search": Search,
    "evaluate": Evaluate,
    "report": Report,
    "systems": Systems,
    "data": Data,
}


def take_roles(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Take ``--image COLUMN`` and ``--text:de COLUMN`` out of the arguments."""
    rest, roles = [], {}
    words = iter(arguments)
    for word in words:
        name, _, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and name.split(":")[0] in KINDS:
            column = value or next(words, "")
            if not column or column.startswith("--"):
                raise SettingsError(f"--{name} needs the name of a column")
            roles[name] = column
        else:
            rest.append(word)
    return rest, roles


def fit_arguments(arguments: Sequence[str]) -> type:
    """`Fit` with the settings of the system that the arguments name, so that they can be given and are shown."""
    slug = None
    for position, word in enumerate(arguments):
        if word == "--system" and position + 1 < len(arguments):
            slug = arguments[position + 1]
        elif word.startswith("--system="):
            slug = word.partition("=")[2]
    if slug is None:
        return Fit
    from unalike import systems

    settings = systems.find(slug).settings
    fields: list[Any] = [("settings", OmitArgPrefixes[settings], field(default_factory=settings))]  # type: ignore
    named = dataclasses.make_dataclass("FitSystem", fields, bases=(Fit,), frozen=True)
    named.__doc__ = Fit.__doc__
    return named


def own_settings(arguments: Fit) -> dict[str, Any] | None:
    """The system's own settings, where a system was named."""
    given: Any = vars(arguments).get("settings")
    return None if given is None else dataclasses.asdict(given)


def fit(arguments: Fit, roles: Mapping[str, str]) -> None:
    import unalike
    from unalike.progress import Progress
    from unalike.training import Interrupted

    encoder = {
        kind: name
        for kind, name in (("image", arguments.image_encoder), ("text", arguments.text_encoder))
        if name is not None
    }
    folder = arguments.resume
    with Progress(out) as progress:
        try:
            if arguments.resume is not None:
                run = unalike.resume(arguments.resume, listener=progress.listener())
            else:
                if arguments.data is None:
                    raise DataError("unalike fit needs data: a folder, a file, or the name of a set (unalike data)")
                from unalike.fitting import begin, execute

                collection, spec, folder = begin(
                    arguments.data,
                    roles=roles or None,
                    system=arguments.system,
                    settings=own_settings(arguments),
                    encoder=encoder,
                    size=arguments.size,
                    views=arguments.views,
                    unseen=arguments.unseen,
                    holdout=arguments.holdout,
                    out=arguments.out,
                    training=arguments.training,
                    **dataclasses.asdict(arguments.columns),
                )
                progress.say(f"{spec.system} on {len(collection)} rows of {collection.name}, into {folder}")
                log = folder / "tensorboard" if arguments.tensorboard else None
                run = execute(collection, spec, folder, resume=False, listener=progress.listener(log))
        except Interrupted as stop:
            progress.stop()
            err.print(f"{stop}. Go on with:\n  unalike fit --resume {folder}")
            raise SystemExit(130) from None
    show_scores(headline(run.scores))
    out.print(
        f"\nAll scores: unalike evaluate {run.folder}\nReport: {run.folder / 'report.html'}\n"
        f"Search: unalike search {run.folder} {example_query(run)}"
    )


def example_query(run: Run) -> str:
    """A query that this run can answer, for the last line that a user reads."""
    texts = [text for text in run.items.texts if text]
    if "text" in run.kinds and texts:
        return f'"{texts[len(texts) // 2]}"'
    return run.items.ids[0]


def embed(arguments: Embed, roles: Mapping[str, str]) -> None:
    import unalike

    run = unalike.load(arguments.run, device=arguments.device)
    found = run.embed(arguments.data, roles=roles or None, **dataclasses.asdict(arguments.columns))
    path = found.save(arguments.out)
    shapes = ", ".join(f"{role}: {v.shape[0]} x {v.shape[1]}" for role, v in found.by_role.items())
    out.print(f"{shapes}, written to {path}")


def search(arguments: Search, roles: Mapping[str, str]) -> None:
    import unalike

    run = unalike.load(arguments.run, device=arguments.device)
    hits = run.search(arguments.query, arguments.k, by=arguments.by)
    table = Table(box=None, pad_edge=False)
    for name in ("rank", "score", "id", "text", "label"):
        if name in ("rank", "score", "id") or any(getattr(hit, name) for hit in hits):
            table.add_column(name, justify="right" if name in ("rank", "score") else "left")
    for hit in hits:
        cells = [str(hit.rank), f"{hit.score:.3f}", hit.id]
        cells += [getattr(hit, name) or "" for name in ("text", "label") if any(getattr(h, name) for h in hits)]
        table.add_row(*cells)
    out.print(table)
    if arguments.html is not None:
        from unalike.pages import write_search

        out.print(f"Page: {write_search(run, arguments.query, hits, arguments.html)}")


def evaluate(arguments: Evaluate, roles: Mapping[str, str]) -> None:
    import unalike
    from unalike.files import write_json

    run = unalike.load(arguments.run, device=arguments.device)
    if arguments.data is None:
        scores = run.scores
    else:
        scores = run.evaluate(arguments.data, roles=roles or None, **dataclasses.asdict(arguments.columns))
    show_scores(scores)
    if arguments.json is not None:
        write_json(arguments.json, [score.to_json() for score in scores])


HEADLINE = ("knn_accuracy", "linear_probe", "recall@1/", "recall@10/", "zero_shot", "effective_rank")
"""The scores that a user sees at the end of a fit, beside those that are named in words."""


def headline(scores: Sequence[Score]) -> list[Score]:
    """The most telling scores; where some are named in words these, else those of the usual measures."""
    words = [score for score in scores if " " in score.name]
    return words + [score for score in scores if score.name.startswith(HEADLINE) and len(words) < 4]


def show_scores(scores: Sequence[Score]) -> None:
    """The score table: each value beside its floors."""
    table = Table(box=None, pad_edge=False)
    table.add_column("score")
    table.add_column("value", justify="right")
    table.add_column("floors")
    table.add_column("n", justify="right")
    for score in scores:
        floors = ", ".join(f"{name} {value:.3f}" for name, value in score.floors.items())
        table.add_row(score.name, f"{score.value:.3f}", floors, str(score.n))
    out.print(table)


def report(arguments: Report, roles: Mapping[str, str]) -> None:
    from unalike.run import Run

    out.print(str(Run.load(arguments.run, replaced=("report.html",)).report()))


def show_systems(arguments: Systems, roles: Mapping[str, str]) -> None:
    from unalike import systems

    if arguments.slug is not None:
        show_card(systems.find(arguments.slug))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("system", "modality", "learns from", "paper"):
        table.add_column(name)
    for system in systems.all_systems(arguments.modality):
        paper = system.paper
        needs = ", ".join((*paper.roles, "label") if paper.labels else paper.roles)
        table.add_row(system.slug, paper.modality, needs, f"{paper.title} ({paper.year})")
    out.print(table)


def show_card(system: Any) -> None:
    """A system's card: what it changes, its paper, its settings and where each value comes from, its claim."""
    import inspect

    from rich.markup import escape

    paper = system.paper
    out.print(escape(inspect.cleandoc(system.module.__doc__)))
    venue = f", {paper.venue}" if paper.venue else ""
    arxiv = f", arXiv {paper.arxiv}" if paper.arxiv else ""
    out.print(escape(f"\nPaper: {paper.authors}. {paper.title}. {paper.year}{venue}{arxiv}."))
    out.print(escape(f"Learns from: {', '.join(paper.roles)}{' and labels' if paper.labels else ''}"))
    out.print(escape(f"Claim: {system.claim.sentence}"))
    if system.claim.baseline:
        out.print(f"Baseline: {system.claim.baseline}")
    out.print("\nSettings:")
    for line in inspect.getsource(system.settings).splitlines()[2:]:
        out.print(escape(line))
    out.print("\nRecipe:")
    for each in dataclasses.fields(system.recipe):
        out.print(f"    {each.name} = {getattr(system.recipe, each.name)}")


def show_data(arguments: Data, roles: Mapping[str, str]) -> None:
    from unalike.data.catalogue import CATALOGUE, card
    from unalike.data.fetching import fetch

    words = arguments.name
    if words[:1] == ("get",):
        if len(words) != 2:
            raise SettingsError("unalike data get NAME fetches one data set; unalike data lists their names")
        out.print(f"{words[1]}: {fetch(words[1], progress=lambda line: out.print(line, style='dim', markup=False))}")
        return
    if len(words) > 1:
        raise SettingsError(f"unalike data shows one data set at a time; given: {' '.join(words)}")
    if words:
        show_set(card(words[0]))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("name", "what", "kinds", "where", "download"):
        table.add_column(name, justify="right" if name == "download" else "left")
    for record in CATALOGUE:
        size = f"{record.size / 1e6:.0f} MB" if record.size else ""
        table.add_row(record.name, record.title, ", ".join(record.kinds) or "weights", record.origin, size)
    out.print(table)


def show_set(card: Card) -> None:
    """A data set's card, entry by entry."""
    out.print(f"{card.name}: {card.title}\n\n{card.description}\n", markup=False)
    for name in ("source", "licence", "script", "roles", "counts", "splits", "split_rule", "problems"):
        value = getattr(card, name)
        if isinstance(value, Mapping):
            value = tuple(f"{key}: {entry}" for key, entry in value.items())
        lines = (str(value),) if isinstance(value, (str, int)) else value
        for number, line in enumerate(lines):
            out.print(f"{name.replace('_', ' ') + ':' if number == 0 else '':<12}{line}", markup=False)


ACTIONS: dict[type, Any] = {
    Fit: fit,
    Embed: embed,
    Search: search,
    Evaluate: evaluate,
    Report: report,
    Systems: show_systems,
    Data: show_data,
}


def show_version() -> None:
    """Versions of the package and of what it computes with."""
    import torch

    from unalike import __version__, objectives

    out.print(f"unalike {__version__} (torch {torch.__version__}, scores by {objectives.backend()})")


def show_help() -> None:
    out.print("usage: unalike COMMAND [...]\n\nContrastive learning for every modality.\n")
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, kind in COMMANDS.items():
        table.add_row(f"  {name}", (kind.__doc__ or "").split(";")[0].strip().rstrip(".") + ".")
    out.print(table)
    out.print(
        "\nStart here:\n"
        "  unalike fit photos/                 learn from a folder of pictures\n"
        "  unalike search runs/photos-simclr cat.jpg\n"
        "  unalike data                        real data sets to try\n\n"
        "unalike COMMAND --help tells more; unalike --version what it computes with."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of ``unalike`` and ``python -m unalike``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        show_help()
        return
    if words[0] in ("-V", "--version", "version"):
        show_version()
        return
    try:
        if words[0] not in COMMANDS:
            raise SettingsError(f"there is no command {words[0]!r}; there are: {', '.join(COMMANDS)}")
        rest, roles = take_roles(words[1:])
        kind = COMMANDS[words[0]]
        parsed: Any = tyro.cli(
            fit_arguments(rest) if kind is Fit else kind, prog=f"unalike {words[0]}", args=rest, config=()
        )
        ACTIONS[kind](parsed, roles)
    except UnalikeError as error:
        err.print(f"[red]error:[/red] {_escaped(error)}")
        raise SystemExit(2) from None
    except BrokenPipeError:
        raise SystemExit(141) from None


def _escaped(error: Exception) -> str:
    from rich.markup import escape

    return escape(str(error))
