"""The command line. Torch is imported only by the commands that compute."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shlex
import signal
import sys
import textwrap
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

from unalike.errors import DataError, SettingsError, UnalikeError
from unalike.printing import Column, Listing, broken
from unalike.records import Kind, Paper, Recipe
from unalike.training.settings import Training

if TYPE_CHECKING:
    from unalike.data.catalogue import Card
    from unalike.evaluation import Score as Measured
    from unalike.runs.run import Run
    from unalike.training import Alone

KINDS = ("image", "text", "audio", "video", "series", "array", "tags", "labels")
"""Kinds of columns that ``--KIND COLUMN`` and ``--KIND:VARIANT COLUMN`` may name."""

# Lines are broken where a terminal ends; a file or another program gets them whole.
out = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
err = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def told(*, metavar: str) -> Any:
    """An option as its help shows it: with its default, unless that is to be left out."""

    def default(value: str) -> str:
        return "" if value in ("None", "") else f"(default: {value})"

    return arg(metavar=metavar, help_behavior_hint=default)


@dataclass(frozen=True)
class Columns:
    """Which columns of a table play which role: --KIND COLUMN or --KIND:VARIANT COLUMN, such as --image COLUMN, or
    both --text:en COLUMN and --text:de COLUMN. The kinds are image, text, audio, video, series, array, tags, and
    labels (any number of labels a row). A number to predict is --target COLUMN. A table with one event a row has --user
    COLUMN, --item COLUMN and --time COLUMN, and may have --items FILE with the names of the items. A graph has
    nodes and edges: --nodes FILE beside a table of edges, or --edges FILE (or --edges knn:3) beside a table of nodes.
    """

    label: Annotated[str | None, told(metavar="COLUMN")] = None
    """Column with the class of each row."""
    group: Annotated[str | None, told(metavar="COLUMN")] = None
    """Column whose equal values stay together when rows are split."""
    id: Annotated[str | None, told(metavar="COLUMN")] = None
    """Column with a name for each row."""
    encoding: Annotated[str | None, told(metavar="NAME")] = None
    """Encoding of text files, if it is not UTF-8."""
    tolerance: float = 0.01
    """Share of the items that may be unreadable; they are left out and listed."""


@dataclass(frozen=True)
class Fit:
    """Learn a space from data; writes weights, vectors, scores and a report into a run directory. With --system SLUG
    that system's own settings can be given, and --help shows them."""

    data: Positional[Annotated[str | None, told(metavar="DATA")]] = None
    """A folder of pictures, clips, recordings or series, a CSV, Parquet, JSONL or NumPy file, or the name of a data
    set (unalike data)."""
    system: Annotated[str | None, told(metavar="SLUG")] = None
    """Which system learns (unalike systems); chosen from the data's roles if it is left out."""
    out: Annotated[Path | None, told(metavar="DIR")] = None
    """The run directory; runs/DATA-SYSTEM if it is left out."""
    resume: Annotated[Path | None, told(metavar="RUN")] = None
    """Go on with an interrupted run; everything else is read from it."""
    size: Annotated[int | None, told(metavar="PIXELS")] = None
    """Side of the pictures; 64 if it is left out."""
    image_encoder: Annotated[str | None, told(metavar="NAME")] = None
    """drawing, conv, grid, vit or timm:NAME."""
    text_encoder: Annotated[str | None, told(metavar="NAME")] = None
    """ngram, transformer, hf:FOLDER, st:FOLDER or run:FOLDER."""
    views: Literal["paper", "simclr", "moco_v2", "gentle", "plain"] = "paper"
    """Random views of pictures; paper takes the system's own."""
    unseen: Annotated[tuple[str, ...] | None, told(metavar="ROLE [ROLE ...]")] = None
    """Roles to keep out of training and only test on."""
    holdout: float = 0.1
    """Share of the rows that is kept out of training, where the data bring no splits."""
    tensorboard: bool = False
    """Write TensorBoard logs into the run directory."""
    shard: bool = False
    """Under torchrun: each process holds its part of the encoders' parameters only (FSDP)."""
    columns: OmitArgPrefixes[Columns] = field(default_factory=Columns)
    training: OmitArgPrefixes[Training] = field(default_factory=Training)


@dataclass(frozen=True)
class Embed:
    """Turn new things into vectors; writes Parquet with a column of ids and one of vectors."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory."""
    data: Positional[Annotated[str, told(metavar="DATA")]]
    """What unalike fit takes."""
    out: Annotated[Path, told(metavar="FILE")] = Path("vectors.parquet")
    """Where the vectors go."""
    device: str = "cpu"
    """Where they are computed."""
    columns: OmitArgPrefixes[Columns] = field(default_factory=Columns)


@dataclass(frozen=True)
class Search:
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


@dataclass(frozen=True)
class Evaluate:
    """Say how good a run's space is on other data, with floors."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory."""
    data: Annotated[str | None, told(metavar="DATA")] = None
    """Other data with labels or several roles; the run's own scores if it is left out."""
    json: Annotated[Path | None, told(metavar="FILE")] = None
    """Write the scores as JSON too."""
    device: str = "cpu"
    """Where vectors are computed."""
    columns: OmitArgPrefixes[Columns] = field(default_factory=Columns)


@dataclass(frozen=True)
class Score:
    """Say how unlike new things are to what a run was trained on, and which deserve an alarm."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory, trained on normal things alone (unalike fit normal.csv --system clan)."""
    data: Positional[Annotated[str, told(metavar="DATA")]]
    """What unalike fit takes."""
    false_alarms: Annotated[float, told(metavar="SHARE")] = 0.01
    """Share of normal things that may give an alarm; the threshold is set on rows that the run held out."""
    out: Annotated[Path | None, told(metavar="FILE")] = None
    """Write ids, scores and alarms as CSV or Parquet."""
    device: str = "cpu"
    """Where vectors are computed."""
    columns: OmitArgPrefixes[Columns] = field(default_factory=Columns)


@dataclass(frozen=True)
class Cluster:
    """Group a run's rows without labels: sizes, examples, and how well groups match classes if there are any."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory, of any system."""
    clusters: Annotated[int | None, told(metavar="K")] = None
    """How many; as many as there are classes if it is left out."""
    role: Annotated[str | None, told(metavar="ROLE")] = None
    """Whose vectors, where there are several; those that a search looks through if it is left out."""
    out: Annotated[Path, told(metavar="FILE")] = Path("clusters.parquet")
    """Where ids and clusters go."""
    seed: int = 0
    """Of the first centres."""


@dataclass(frozen=True)
class Export:
    """Write a run's text tower as a model of sentence-transformers, with the run's vectors."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory that reads texts."""
    folder: Positional[Annotated[Path, told(metavar="DIR")]]
    """A new folder for the model."""


@dataclass(frozen=True)
class Report:
    """Write the run's report again: one page that opens offline."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory."""


@dataclass(frozen=True)
class Adapt:
    """Learn classes from a few labelled rows on a run's frozen vectors, and label new things."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory."""
    shots: Annotated[str | None, told(metavar="DATA")] = None
    """Labelled rows: a folder with one sub-folder a class, or a table with labels and paths or ids."""
    predict: Annotated[str | None, told(metavar="DATA")] = None
    """What to label: what unalike fit takes."""
    to: Annotated[Path, told(metavar="FILE")] = Path("predicted.csv")
    """Where these labels go, .csv or .parquet."""
    system: Annotated[str | None, told(metavar="SLUG")] = None
    """How classes are learned: gda-clip, unless tip-adapter is named."""
    out: Annotated[Path | None, told(metavar="DIR")] = None
    """Folder of the adapter; RUN/adapter if it is left out."""
    label: Annotated[str | None, told(metavar="COLUMN")] = None
    """Column with the labels; label if it is left out."""
    id: Annotated[str | None, told(metavar="COLUMN")] = None
    """Column with ids of the run's rows."""
    encoding: Annotated[str | None, told(metavar="NAME")] = None
    """Encoding of text files, if it is not UTF-8."""
    device: str = "cpu"
    """Where vectors are computed."""


@dataclass(frozen=True)
class Audit:
    """Say whether triggers change a run's answers and which rows stand out; repair the run on clean pairs."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory that reads pictures, with texts or labels."""
    data: Annotated[str | None, told(metavar="DATA")] = None
    """Pictures to try triggers on; held-out ones that the run remembers if it is left out."""
    triggers: Annotated[tuple[str, ...] | None, told(metavar="NAME [NAME ...]")] = None
    """patch, blended, warped, sine; all if it is left out."""
    suspect: Annotated[str | None, told(metavar="TEXT")] = None
    """A text to add to the answers, to test a suspicion."""
    repair: Annotated[str | None, told(metavar="CLEAN")] = None
    """Pairs that are known to be clean: fine-tune on them and write a new run, which is audited too."""
    system: Annotated[str | None, told(metavar="SLUG")] = None
    """Which audit detects and repairs; cleanclip if it is left out."""
    out: Annotated[Path | None, told(metavar="DIR")] = None
    """The repaired run; RUN-repaired if it is left out."""
    epochs: Annotated[int | None, told(metavar="N")] = None
    """Passes of the repair over the clean pairs; as the system's recipe says if it is left out."""
    seed: int = 0
    """Of what triggers draw, and of the repair."""
    device: str = "cpu"
    """Where vectors are computed."""


@dataclass(frozen=True)
class Generate:
    """Go on with a text by a language model on this machine, choosing its tokens by contrast. With --decoder SLUG the
    settings of that decoder can be given, and --help shows them."""

    model: Positional[Annotated[str, told(metavar="MODEL")]]
    """A folder that transformers reads, or the name of weights (unalike data get smollm2)."""
    prompts: Positional[Annotated[tuple[str, ...], told(metavar="[PROMPT ...]")]] = ()
    """Texts to go on with."""
    prompt_file: Annotated[Path | None, told(metavar="FILE")] = None
    """More of them, one on each line."""
    decoder: Annotated[str | None, told(metavar="SLUG")] = None
    """How tokens are chosen (unalike systems --modality language-models); greedily if it is left out."""
    context: Annotated[Path | None, told(metavar="FILE")] = None
    """A text that is read before every prompt; adacad and cad contrast the prompt with it and without."""
    max_new_tokens: int = 64
    """Tokens to add at most."""
    batch_size: int = 8
    """Prompts at a time."""
    json: Annotated[Path | None, told(metavar="FILE")] = None
    """Write the texts and their tokens as JSON too."""
    device: str = "cpu"
    """Where the model computes."""


@dataclass(frozen=True)
class Systems:
    """List the systems, or show the card of one."""

    slug: Positional[Annotated[str | None, told(metavar="SLUG")]] = None
    """Show this system's card."""
    modality: Annotated[str | None, told(metavar="NAME")] = None
    """Only systems of this modality."""


@dataclass(frozen=True)
class Check:
    """Measure whether a paper's claim holds here: paired seeds against its baseline, on real data."""

    slug: Positional[Annotated[str | None, told(metavar="SLUG")]] = None
    """A system (unalike systems); left out with --all."""
    all: bool = False
    """Every system whose claim can be measured, one after the other; those with a current row are left out."""
    modality: Annotated[str | None, told(metavar="NAME")] = None
    """With --all: only systems of this modality."""
    seeds: Annotated[int | None, told(metavar="N")] = None
    """Pairs of trials; the claim's own number if it is left out."""
    jobs: int = 2
    """Trials at once, each in a process of one thread; results do not depend on it."""
    again: bool = False
    """Forget the trials of an earlier check that was stopped or has finished."""
    confirm: bool = False
    """Do not measure anew: take the row of changed code over, if one seed of every arm gives the same bits again, and
    add floors that it lacks."""
    results: Annotated[Path, told(metavar="DIR")] = Path("results")
    """Where the rows are kept."""


@dataclass(frozen=True)
class Compare:
    """Compare two systems on your own data: same encoder, same budget, paired seeds, intervals."""

    first: Positional[Annotated[str, told(metavar="SYSTEM")]]
    """A system."""
    second: Positional[Annotated[str, told(metavar="SYSTEM")]]
    """Another; differences are the first less this one."""
    data: Annotated[str, told(metavar="DATA")]
    """What unalike fit takes."""
    label: Annotated[str | None, told(metavar="COLUMN")] = None
    """Column with the class of each row."""
    size: Annotated[int | None, told(metavar="PIXELS")] = None
    """Side of the pictures; as unalike fit would choose if it is left out."""
    seeds: Annotated[int, told(metavar="N")] = 5
    """Pairs of trials."""
    epochs: Annotated[int | None, told(metavar="N")] = None
    """Passes over the data, for both; 20 if it is left out, of a graph 400 steps."""
    steps: Annotated[int | None, told(metavar="N")] = None
    """Optimiser steps for both, instead of epochs."""
    batch_size: Annotated[int | None, told(metavar="N")] = None
    """Rows a step, for both."""
    no_tuning: bool = False
    """Take the usual learning rate instead of choosing it for each on held-out training rows."""
    jobs: int = 2
    """Trials at once, each in a process of one thread."""


@dataclass(frozen=True)
class Data:
    """List the data sets, show the card of one, or fetch one (unalike data get NAME)."""

    name: Positional[Annotated[tuple[str, ...], told(metavar="[get] [NAME]")]] = ()
    """A data set; get NAME fetches it."""


COMMANDS: dict[str, type] = {
    "fit": Fit,
    "embed": Embed,
    "search": Search,
    "evaluate": Evaluate,
    "score": Score,
    "cluster": Cluster,
    "report": Report,
    "export": Export,
    "adapt": Adapt,
    "audit": Audit,
    "generate": Generate,
    "check": Check,
    "compare": Compare,
    "systems": Systems,
    "data": Data,
}


NAMES_SYSTEM: dict[type, tuple[str, Kind]] = {
    Fit: ("--system", "learner"),
    Adapt: ("--system", "adapter"),
    Audit: ("--system", "audit"),
    Generate: ("--decoder", "decoder"),
}
"""The commands that take a system's settings: the flag that names it, and its kind."""


GRAPHS = ("nodes", "edges", "features")
"""What tells a graph: the file of its nodes or of its edges, and the roles that describe a node."""

EVENTS = ("user", "item", "time", "items")
"""What tells a table of events: its columns of users, items and times, and a file with the names of the items."""


def take_roles(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Take ``--image COLUMN``, ``--text:de COLUMN`` and ``--target COLUMN`` out of the arguments."""
    rest, roles = [], {}
    words = iter(arguments)
    for word in words:
        name, _, value = word.removeprefix("--").partition("=")
        given = name == "target" or name in (*EVENTS, *GRAPHS) or name.split(":")[0] in KINDS
        if word.startswith("--") and given:
            column = value or next(words, "")
            if not column or column.startswith("--"):
                files = ("items", "nodes", "edges")
                raise SettingsError(f"--{name} needs the name of a {'file' if name in files else 'column'}")
            roles["array:target" if name == "target" else name] = column
        else:
            rest.append(word)
    return rest, roles


def with_settings(command: type, arguments: Sequence[str]) -> type:
    """The command with the settings of the system that the arguments name, so that they can be given and are shown."""
    if command not in NAMES_SYSTEM:
        return command
    flag, kind = NAMES_SYSTEM[command]
    slug = None
    for position, word in enumerate(arguments):
        if word == flag and position + 1 < len(arguments):
            slug = arguments[position + 1]
        elif word.startswith(f"{flag}="):
            slug = word.partition("=")[2]
    fields: dict[str, type] = {}
    recipe = None
    if slug is not None:
        from unalike import systems

        found = systems.find(slug, kind=kind)
        fields["settings"], recipe = found.settings, found.recipe
    if command is Fit:
        fields["training"] = training_told(recipe)
    if not fields:
        return command
    shown: list[Any] = [(name, OmitArgPrefixes[each], field(default_factory=each)) for name, each in fields.items()]  # type: ignore
    named = dataclasses.make_dataclass(f"{command.__name__}System", shown, bases=(command,), frozen=True)
    named.__doc__ = command.__doc__
    return named


def training_told(recipe: Recipe | None) -> type[Training]:
    """The settings of a training with what a system's recipe fills in as their defaults in the help."""
    hints = typing.get_type_hints(Training)
    filled: list[Any] = []
    for each in dataclasses.fields(Training):
        if each.default is not None:
            continue
        kind = next(part for part in typing.get_args(hints[each.name]) if part is not type(None))
        choices = [str(choice) for choice in typing.get_args(kind)]
        value = getattr(recipe, each.name, None)
        by_recipe = each.name in {known.name for known in dataclasses.fields(Recipe)}
        shown = "(default: the recipe's)" if recipe is None else f"(default: {value})"
        option = arg(
            metavar="{" + ",".join(choices) + "}" if choices else kind.__name__.upper(),
            help_behavior_hint=shown if by_recipe else "",
        )
        filled.append((each.name, Annotated[hints[each.name], option], field(default=None)))
    told = dataclasses.make_dataclass(Training.__name__, filled, bases=(Training,), frozen=True, kw_only=True)
    told.__doc__ = "How long, how fast and on what to train; each system has a recipe (unalike systems SLUG)."
    return told


def own_settings(arguments: Fit | Adapt | Audit) -> dict[str, Any] | None:
    """The system's own settings, where a system was named."""
    given: Any = vars(arguments).get("settings")
    return None if given is None else dataclasses.asdict(given)


def generate(arguments: Generate, roles: Mapping[str, str]) -> None:
    from unalike import systems
    from unalike.decoding import generate, load_language_model
    from unalike.files import write_json

    prompts = list(arguments.prompts)
    if arguments.prompt_file is not None:
        prompts += [line for line in read_text(arguments.prompt_file).splitlines() if line.strip()]
    if not prompts:
        raise SettingsError("unalike generate needs a prompt: as words, or a file with --prompt-file, one on each line")
    decoder = None
    if arguments.decoder is not None:
        system = systems.find(arguments.decoder, kind="decoder")
        decoder = system.build(vars(arguments)["settings"])
    contexts = None if arguments.context is None else read_text(arguments.context).strip()
    model, tokenizer = load_language_model(arguments.model, device=arguments.device)
    found = generate(
        model,
        tokenizer,
        prompts,
        decoder=decoder,
        contexts=contexts,
        max_new_tokens=arguments.max_new_tokens,
        batch_size=arguments.batch_size,
    )
    for number, each in enumerate(found):
        out.print(("\n" if number else "") + each.prompt, style="bold", end="", markup=False, soft_wrap=True)
        out.print(each.text, markup=False, soft_wrap=True)
    if arguments.json is not None:
        write_json(arguments.json, [dataclasses.asdict(each) for each in found])


def read_text(path: Path) -> str:
    """A text file of the user's.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}") from error


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
    with sharing_work(arguments.training.device) as processes, Progress(out) as progress:
        try:
            if arguments.resume is not None:
                run = unalike.resume(arguments.resume, listener=progress.listener(), shard=arguments.shard)
            else:
                if arguments.data is None:
                    raise DataError("unalike fit needs data: a folder, a file, or the name of a set (unalike data)")
                from unalike.runs.fit import begin, execute

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
                    training=Training(**dataclasses.asdict(arguments.training)),
                    processes=processes,
                    **dataclasses.asdict(arguments.columns),
                )
                progress.say(f"{spec.system} on {len(collection)} rows of {collection.name}, into {folder}")
                log = folder / "tensorboard" if arguments.tensorboard and processes.leads else None
                run = execute(
                    collection,
                    spec,
                    folder,
                    resume=False,
                    listener=progress.listener(log),
                    processes=processes,
                    shard=arguments.shard,
                )
        except (Interrupted, KeyboardInterrupt) as stop:
            progress.stop()
            what = str(stop) or "stopped"
            begun = folder is not None and (folder / "run.json").exists()
            if processes.leads:
                err.print(
                    f"{what}. Go on with:\n  unalike fit --resume {folder}" if begun else f"{what}; nothing begun"
                )
            raise SystemExit(130) from None
    if not processes.leads:
        return
    show_scores(headline(run.scores))
    out.print(
        f"\nAll scores: unalike evaluate {run.folder}\nReport: {run.folder / 'report.html'}\n"
        f"Search: unalike search {run.folder} {example_query(run)}"
    )


@contextlib.contextmanager
def sharing_work(device: str) -> Iterator[Alone]:
    """Join the processes that torchrun started, of which the first alone prints; SIGTERM is a Ctrl-C meanwhile."""
    from unalike.training import joined

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = None
    # Signals can be handled in the main thread only; elsewhere the caller is in charge.
    with contextlib.suppress(ValueError):
        before = signal.signal(signal.SIGTERM, stop)
    try:
        with joined(device) as processes:
            out.quiet = not processes.leads
            yield processes
    finally:
        out.quiet = False
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def example_query(run: Run) -> str:
    """A query that this run can answer, for the last line that a user reads."""
    texts = [text for text in run.items.texts if text and text.strip()]
    if "text" in run.kinds and texts:
        line = texts[len(texts) // 2].strip().splitlines()[0]
        line = textwrap.shorten(line, 80, placeholder="") or line[:80]
        return shlex.quote(line) if set(line) & set('"$`\\!') else f'"{line}"'
    return shlex.quote(run.items.ids[0])


def embed(arguments: Embed, roles: Mapping[str, str]) -> None:
    import unalike
    from unalike.training import sharing

    if arguments.out.suffix in (".csv", ".tsv", ".npy"):
        raise SettingsError(
            f"vectors are written as Parquet, a column of lists: name the file .parquet, not {arguments.out}"
        )
    run = unalike.load(arguments.run, device=arguments.device)
    with sharing_work(arguments.device) as processes, sharing(run.learner.module, processes):
        found = run.embed(arguments.data, roles=roles or None, **dataclasses.asdict(arguments.columns))
        if not processes.leads:
            return
    path = found.save(arguments.out)
    shapes = ", ".join(f"{role}: {v.shape[0]} x {v.shape[1]}" for role, v in found.by_role.items())
    out.print(f"{shapes}, written to {path}")


def search(arguments: Search, roles: Mapping[str, str]) -> None:
    import unalike

    run = unalike.load(arguments.run, device=arguments.device)
    if arguments.html is not None and "clicks" in run.kinds:
        raise SettingsError("--html writes a page of what looks alike; what comes next is a list: leave --html out")
    if arguments.html is not None and "labels" in run.kinds:
        raise SettingsError("--html writes a page of what looks alike; the labels of a text are a list: leave it out")
    if (arguments.query is None) == (not roles):
        raise SettingsError(
            "unalike search takes one query, or what the wanted row has by kind: unalike search RUN --text WORDS "
            "--audio FILE"
        )
    if arguments.html is not None and arguments.query is None:
        raise SettingsError("--html writes a page for one query; give it without --text, --audio or --image")
    hits = run.search(arguments.query or roles, arguments.k, by=arguments.by)
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
    if arguments.html is not None and arguments.query is not None:
        from unalike.runs.report import write_search

        out.print(f"Page: {write_search(run, arguments.query, hits, arguments.html)}")


def first_line(text: str, most: int = 200) -> str:
    """A text as a table shows it: its beginning, on one line."""
    line = " ".join(text[: 2 * most].split())
    return line if len(line) <= most else line[: most - 1] + "…"


def evaluate(arguments: Evaluate, roles: Mapping[str, str]) -> None:
    import unalike
    from unalike.files import write_json
    from unalike.training import sharing

    run = unalike.load(arguments.run, device=arguments.device)
    if arguments.data is None:
        scores = run.scores
    else:
        with sharing_work(arguments.device) as processes, sharing(run.learner.module, processes):
            scores = run.evaluate(arguments.data, roles=roles or None, **dataclasses.asdict(arguments.columns))
            if not processes.leads:
                return
    show_scores(scores)
    if arguments.json is not None:
        write_json(arguments.json, [score.to_json() for score in scores])


def score(arguments: Score, roles: Mapping[str, str]) -> None:
    import numpy as np

    import unalike

    run = unalike.load(arguments.run, device=arguments.device)
    found = run.score(
        arguments.data,
        false_alarms=arguments.false_alarms,
        roles=roles or None,
        **dataclasses.asdict(arguments.columns),
    )
    unread = int(np.isnan(found.scores).sum())
    out.print(
        f"{int(found.alarms.sum())} of {len(found.ids)} rows are stranger than {found.threshold:.4f}, which "
        f"{100 * found.false_alarms:g}% of {found.held_out} held-out rows may be"
        + (f"; {unread} rows could not be read" if unread else "")
    )
    listing = Listing([Column("strangest"), Column("score", right=True), Column("alarm")])
    for row in np.argsort(-np.nan_to_num(found.scores, nan=-1.0), kind="stable")[:10]:
        listing.add(found.ids[row], f"{found.scores[row]:.4f}", "yes" if found.alarms[row] else "")
    listing.show(out)
    if arguments.out is not None:
        out.print(f"Scores of all rows: {found.save(arguments.out)}")


def cluster(arguments: Cluster, roles: Mapping[str, str]) -> None:
    import unalike
    from unalike.runs import cluster as clustering

    run = unalike.load(arguments.run)
    found = clustering.cluster(run, arguments.clusters, role=arguments.role, seed=arguments.seed)
    classes = [] if found.agreement is None else [Column("commonest class", least=16)]
    listing = Listing(
        [Column("cluster", right=True), Column("rows", right=True), *classes, Column("nearest to its centre", least=24)]
    )
    for number, size in enumerate(found.sizes.tolist()):
        inside = [found.labels[row] for row in (found.clusters == number).nonzero()[0]]
        named = [label for label in inside if label is not None]
        common = max(sorted(set(named)), key=named.count) if named else None
        shown = [f"{common} ({100 * named.count(common) / len(named):.0f}%)" if common else ""]
        examples = "; ".join(first_line(found.texts[row] or found.ids[row], 40) for row in found.examples(number))
        listing.add(str(number), str(size), *(shown if classes else []), examples)
    listing.show(out)
    if found.agreement is not None and found.chance is not None:
        for name, words in (("nmi", "NMI"), ("ari", "ARI"), ("accuracy", "accuracy, matched one to one")):
            value, chance = getattr(found.agreement, name), getattr(found.chance, name)
            out.print(f"{words} with the classes: {value:.3f} (by chance {chance:.3f})")
    out.print(f"Clusters of all rows: {found.save(arguments.out)}", markup=False)


def adapt(arguments: Adapt, roles: Mapping[str, str]) -> None:
    import unalike

    if arguments.shots is None and arguments.predict is None:
        raise SettingsError("unalike adapt needs labelled rows (--shots DATA), or what to label (--predict DATA)")
    run = unalike.load(arguments.run, device=arguments.device)
    if arguments.shots is not None:
        adapted = run.adapt(
            arguments.shots,
            system=arguments.system or "gda-clip",
            settings=own_settings(arguments),
            out=arguments.out,
            roles=roles or None,
            label=arguments.label,
            id=arguments.id,
            encoding=arguments.encoding,
        )
        show_few_shots(adapted.table, len(adapted.names))
        out.print(f"{adapted.system}, kept in {arguments.out or run.folder / 'adapter'}", markup=False)
    else:
        adapted = run.adapted(arguments.out)
    if arguments.predict is not None:
        # Where roles came with the labelled rows they name columns of these.
        given = None if arguments.shots is not None else roles or None
        found = adapted.predict(arguments.predict, roles=given)
        out.print(f"{len(found.ids)} labels, written to {found.save(arguments.to)}", markup=False)


def audit(arguments: Audit, roles: Mapping[str, str]) -> None:
    import unalike
    from unalike.progress import Progress
    from unalike.runs.audit import MOST_ROWS_SHOWN, Audited, remembered

    system = arguments.system or "cleanclip"
    names = {} if arguments.triggers is None else {"triggers": arguments.triggers}

    def show(folder: Path, found: Audited) -> None:
        shares = ("changed", "by noise", "to one answer", "by noise")
        listing = Listing(
            [
                Column("trigger"),
                *(Column(name, right=True) for name in shares),
                Column("that answer", least=12),
                Column(""),
            ]
        )
        for each in found.tried:
            numbers = (each.changed, each.by_noise, each.success, each.by_noise_success)
            cells = (f"{100 * share:.0f}%" for share in numbers)
            listing.add(each.trigger, *cells, each.answer or "-", "LEARNED" if each.alarm else "")
        listing.show(out)
        if found.strangest:
            shown = ", ".join(f"{row} ({far:.2f})" for row, far in found.strangest[:MOST_ROWS_SHOWN])
            out.print(f"Training rows whose captions it believes least: {shown}", markup=False)
        out.print(f"{found.pictures} pictures, answers by {found.answers}; kept in {folder}/audit.json", markup=False)

    run = unalike.load(arguments.run, device=arguments.device)
    # With a repair, roles name columns of the clean pairs.
    given = None if arguments.repair is not None else roles or None
    show(
        run.folder,
        run.audit(arguments.data, system=system, target=arguments.suspect, seed=arguments.seed, roles=given, **names),
    )
    if arguments.repair is None:
        return
    options: dict[str, Any] = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    with Progress(out) as progress:
        repaired = run.repair(
            arguments.repair,
            system=system,
            settings=own_settings(arguments),
            roles=roles or None,
            out=arguments.out,
            listener=progress.listener(),
            seed=arguments.seed,
            **options,
        )
    out.print(f"repaired by {system}: {repaired.folder}", markup=False)
    # The same pictures and training rows as before: the clean pairs need not have them.
    data = remembered(run) if arguments.data is None else arguments.data
    found = repaired.audit(data, system=system, target=arguments.suspect, seed=arguments.seed, origin=run, **names)
    show(repaired.folder, found)
    show_scores(headline(repaired.scores))


def show_few_shots(table: Mapping[str, Mapping[int, tuple[float, float]]], classes: int) -> None:
    """Accuracy by number of labelled rows a class, each row of the table beside its floors."""
    if not table:
        out.print(f"{classes} classes; with two labelled rows of each there would be a table of how well one does")
        return
    counts = list(next(iter(table.values())))
    heads = [Column(f"{count} shot{'s' * (count > 1)}", right=True) for count in counts]
    listing = Listing([Column("accuracy on the other labelled rows", least=16), *heads])
    for name, row in table.items():
        cells = (f"{mean:.3f}" + (f" ± {deviation:.3f}" if deviation else "") for mean, deviation in row.values())
        listing.add(name, *cells)
    listing.show(out)


HEADLINE = ("knn_accuracy", "linear_probe", "recall@1/", "recall@10/", "zero_shot", "effective_rank")
"""The scores that a user sees at the end of a fit, beside those that are named in words."""


def headline(scores: Sequence[Measured]) -> list[Measured]:
    """The most telling scores; where some are named in words these, else those of the usual measures."""
    words = [score for score in scores if " " in score.name]
    return words + [score for score in scores if score.name.startswith(HEADLINE) and len(words) < 4]


def show_scores(scores: Sequence[Measured]) -> None:
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


def export(arguments: Export, roles: Mapping[str, str]) -> None:
    import unalike
    from unalike.runs.export import needs_unalike

    folder = unalike.load(arguments.run).export(arguments.folder)
    trust = ", trust_remote_code=True" if needs_unalike(folder) else ""
    out.print(f"Open it with SentenceTransformer({str(folder)!r}{trust})")


def report(arguments: Report, roles: Mapping[str, str]) -> None:
    from unalike.runs.run import Run

    out.print(str(Run.load(arguments.run, replaced=("report.html",)).report()))


def check(arguments: Check, roles: Mapping[str, str]) -> None:
    from unalike import systems

    if (arguments.slug is None) != arguments.all:
        raise SettingsError("give one system, or --all: unalike check dcl, unalike check --all --modality image")
    if arguments.slug is not None:
        wanted = [systems.find(arguments.slug)]
    else:
        from unalike.checks.probing import statuses

        testable = [each for each in systems.all_systems(arguments.modality) if each.claim.measures]
        rows = [each.slug for each in testable if (arguments.results / f"{each.slug}.json").exists()]
        found = {} if arguments.again else statuses(rows, arguments.results, jobs=arguments.jobs)
        wanted = [each for each in testable if each.slug not in found or found[each.slug].state == "stale"]
        if arguments.confirm:
            wanted = [each for each in wanted if (arguments.results / f"{each.slug}.json").exists()]
        out.print(f"{len(wanted)} of {len(testable)} claims to measure")
    for system in wanted:
        out.print(f"\n{system.slug}: {system.claim.sentence}", markup=False)
        show_row(measured(system.slug, arguments))


def measured(slug: str, arguments: Check) -> Any:
    from unalike.checks import check as checking
    from unalike.progress import Trials

    with Trials(out) as trials:
        if arguments.confirm:
            return checking.confirm(slug, jobs=arguments.jobs, results=arguments.results, tell=trials.tell)
        return checking.check(
            slug,
            seeds=arguments.seeds,
            jobs=arguments.jobs,
            results=arguments.results,
            again=arguments.again,
            tell=trials.tell,
        )


def compare(arguments: Compare, roles: Mapping[str, str]) -> None:
    from unalike.checks import compare as checking
    from unalike.progress import Trials

    options = {
        name: value for name in ("epochs", "steps", "batch_size") if (value := getattr(arguments, name)) is not None
    }
    with Trials(out) as trials:
        row = checking.compare(
            arguments.first,
            arguments.second,
            arguments.data,
            roles=roles or None,
            label=arguments.label,
            size=arguments.size,
            seeds=arguments.seeds,
            jobs=arguments.jobs,
            tune=not arguments.no_tuning,
            options=options,
            tell=trials.tell,
        )
    show_row(row, {"holds": f"{arguments.first} better", "fails": f"{arguments.second} better"})


def show_row(row: Any, words: Mapping[str, str] = {}) -> None:
    """A row, measure by measure: its arms, the difference with its interval, the verdict, the floors."""
    from unalike.claims.board import effect

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
    out.print(
        f"{len(row.seeds)} pairs, {row.seconds['all']:.0f} s, largest process {row.memory:.0f} MiB, "
        f"each trial opened the test split {' or '.join(map(str, row.reads))} time"
    )


def show_systems(arguments: Systems, roles: Mapping[str, str]) -> None:
    from unalike import systems
    from unalike.claims.rows import read_rows, stored

    if arguments.slug is not None:
        show_card(systems.find(arguments.slug))
        return
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
    for system in systems.all_systems(arguments.modality):
        paper = system.paper
        needs = ", ".join((*paper.roles, *wanted(paper))) or ("two or more" if paper.kind == "learner" else paper.kind)
        row = rows.get(system.slug)
        verdicts = ("", "") if row is None else (row.first.verdict, row.mechanism or "")
        listing.add(
            str(paper.number or ""), system.slug, paper.modality, *verdicts, needs, f"{paper.title} ({paper.year})"
        )
    listing.show(out)
    out.print("\nunalike systems SLUG shows a system's card, unalike check SLUG measures its claim here.")


ANY = "any two or more of pictures, texts, recordings, clips, series, numbers"
"""What a system without roles of its own learns from."""


def wanted(paper: Paper) -> list[str]:
    """What a system learns from beside its roles."""
    return [name for name, needed in (("label", paper.labels), ("target", paper.targets)) if needed]


def show_card(system: Any) -> None:
    """A system's card: what it changes, its paper, its settings and where each value comes from, its claim."""
    import inspect

    from rich.markup import escape

    paper = system.paper
    out.print(escape(inspect.cleandoc(system.module.__doc__)))
    venue = f", {paper.venue}" if paper.venue else ""
    arxiv = f", arXiv {paper.arxiv}" if paper.arxiv else ""
    out.print(escape(f"\nPaper: {paper.authors}. {paper.title}. {paper.year}{venue}{arxiv}."))
    if paper.roles or paper.kind == "learner":
        out.print(escape(f"Learns from: {', '.join((*paper.roles, *wanted(paper))) or ANY}"))
    else:
        out.print(f"Kind: {paper.kind}")
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


def show_stored(system: Any) -> None:
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
        "\nunalike data NAME shows a set's card, unalike data get NAME fetches it, unalike fit NAME learns from it."
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


ACTIONS: dict[type, Any] = {
    Fit: fit,
    Embed: embed,
    Search: search,
    Evaluate: evaluate,
    Score: score,
    Cluster: cluster,
    Report: report,
    Export: export,
    Adapt: adapt,
    Audit: audit,
    Generate: generate,
    Check: check,
    Compare: compare,
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
    for name, kind in COMMANDS.items():
        first = re.split(r"[.;](?:\s|$)", " ".join((kind.__doc__ or "").split()))[0]
        line = textwrap.fill(f"  {name:<10}{first}.", out.width, subsequent_indent=" " * 12)
        out.print(line, markup=False, soft_wrap=True)
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
            with_settings(kind, rest), prog=f"unalike {words[0]}", args=rest, config=(FlagCreatePairsOff,)
        )
        ACTIONS[kind](parsed, roles)
    except UnalikeError as error:
        err.print(f"[red]error:[/red] {_escaped(error)}")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        err.print("stopped")
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(141) from None


def _escaped(error: object) -> str:
    from rich.markup import escape

    return escape(str(error))
