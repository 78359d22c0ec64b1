"""The records that a system file states about itself. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar, get_args

Kind = Literal["learner", "adapter", "decoder", "audit", "study"]
Need = Literal["learner", "training", "stages"]
Modality = Literal[
    "image", "text", "image-text", "audio", "video", "series", "table", "graph", "clicks", "points", "language-models"
]


@dataclass(frozen=True, kw_only=True)
class Paper:
    """Where a system comes from.

    ``roles`` are the kinds of column that the system learns from, and ``also`` names variants that it reads where they
    are given (hard negatives), each also with a number behind it; ``labels`` tells whether it needs a label, and
    ``targets`` whether it needs a number to predict. ``extra`` names what else it must know of each row, such as
    ``client``, ``domain`` or ``time``: a column of the role ``label:client`` or ``array:time``.
    ``number`` is the system's number on the board; systems that only serve as baselines have none. ``probe`` says
    what a probe of its claim needs more of than usual (`unalike.claims.Scale`): steps for what begins late, such as a
    queue that must fill, rows for rare classes.
    """

    slug: str
    title: str
    authors: str
    year: int
    modality: Modality
    roles: tuple[str, ...]
    also: tuple[str, ...] = ()
    number: int | None = None
    arxiv: str | None = None
    venue: str | None = None
    kind: Kind = "learner"
    labels: bool = False
    targets: bool = False
    extra: tuple[str, ...] = ()
    probe: Mapping[str, int] = field(default_factory=dict)
    encoder: Mapping[str, str] = field(default_factory=dict)
    """By kind the encoder that it is built with unless the user names one, where the usual one does not serve."""
    spares: bool = True
    """Whether rows that are the same are kept from being each other's negatives, where labels or targets do not say."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a system is trained unless the user says otherwise; each value may be overridden on the command line."""

    optimizer: Literal["adamw", "sgd", "lars"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    batch_size: int = 256
    epochs: int = 100
    warmup: float = 0.05
    """Share of all steps over which the learning rate climbs; a cosine to zero follows."""
    clip_norm: float = 0.0
    """Largest norm of all gradients together; 0 leaves them alone."""


@dataclass(frozen=True, kw_only=True)
class Bed:
    """The data that a claim is measured on.

    Args:
        set: name of a data set, or a path that ``unalike fit`` takes.
        size: side of the pictures in pixels.
        label: the role whose classes metrics read unless they name another.
        roles: by kind the roles that are learned from; every role of the kind where it is left out.
        rows: at most this many training rows, the same ones for every arm; all of them where it is None.
        classes: names of the label's classes that are learned from, the others being tested on alone; all unless given.
        columns: for tables, role to column name.
        label_column: for tables, the column with the class.
        prompts: for decoders, makes `unalike.claims.Prompt` objects of the opened collection, with a NumPy generator
            for what is random about them; ``rows`` of them are drawn for each seed. For adapters, makes the texts that
            name a class, of the opened collection and the class.
    """

    set: str
    size: int = 24
    label: str = "label"
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows: int | None = None
    classes: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    label_column: str | None = None
    prompts: Callable[[Any, Any], Sequence[Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class SearchBed(Bed):
    """Documents to learn from, and queries that ask for them and are learned from by no arm.

    The documents are the first role of texts in ``roles``. A query's right answer is the document of its own row.

    Args:
        queries: the role of the queries.
    """

    queries: str = "text:query"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One of the ways of learning that a claim compares.

    Args:
        system: slug of a system; the claim's own where it is left out.
        build: makes the learner in place of the system's own ``build``: a control that is no published system.
        settings: the system's settings, where they are not its defaults.
        training: training settings, where they are not the claim's; at a learning rate of zero the arm stays as it
            began, and is not tuned.
        tune: the grid, where it is not the claim's; it must have as many points.
        like: takes what was tuned for that arm instead of being tuned itself.
        bed: the data, where they are not the claim's.
    """

    system: str | None = None
    build: Callable[[Any, Any], Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    tune: Mapping[str, Sequence[Any]] | None = None
    like: str | None = None
    bed: Bed | None = None


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One quantity on which a claim is judged: the difference of two arms, or of one arm and a number.

    Args:
        name: what the board calls it.
        metric: a name (`unalike.claims.METRICS`), or a function of a `unalike.claims.Trial`, to a number. Of a study
            the name of a number in its table, or a function of the table.
        arm: the arm of the system that is claimed to be better.
        against: the arm that it is compared with, or the number.
        better: the side of zero on which the paper claims the difference to lie.
        margin: the difference that must be exceeded; below zero for a claim of being no worse than that.
        combine: where one metric of two arms does not say it: a function of ``{arm: value of the metric}`` for one
            seed to the number that is compared with ``against`` (a slope, an interaction).
        mechanism: whether this is the quantity through which the paper says that the method works.
        timed: whether it measures time, which is another on another day: no probe repeats it.
    """

    name: str
    metric: str | Callable[[Any], float]
    arm: str = "system"
    against: str | float = "baseline"
    better: Literal["higher", "lower"] = "higher"
    margin: float = 0.0
    combine: Callable[[Mapping[str, float]], float] | None = None
    mechanism: bool = False
    timed: bool = False


Measuring = TypeVar("Measuring", bound=Callable[..., float])


def needs(*what: Need) -> Callable[[Measuring], Measuring]:
    """Declare what a metric needs beside the vectors and classes of rows.

    It decides what the metric is compared with: one that needs no more has its value for raw features and for the
    untrained encoder as floors.

    Args:
        *what: ``learner``: the trained modules, so that raw features are no floor; ``training``: what only training
            leaves behind, such as its log, what its loss saw, or clusters that it made, so that there are no floors;
            ``stages``: the vectors at the end of each stage, which are then kept (``Trial.after``).

    Example:
        >>> from unalike.records import needs, needs_of
        >>> @needs("learner")
        ... def temperature(trial):
        ...     return float(trial.learner.modules["scale"]())
        >>> sorted(needs_of(temperature)), sorted(needs_of(len))
        (['learner'], [])
    """
    unknown = set(what) - set(get_args(Need))
    if unknown:
        raise TypeError(f"a metric needs some of {', '.join(get_args(Need))}; given: {', '.join(sorted(unknown))}")

    def declared(metric: Measuring) -> Measuring:
        metric.needs = frozenset(what)  # type: ignore[attr-defined]
        return metric

    return declared


def needs_of(metric: str | Callable[[Any], float] | None) -> frozenset[Need]:
    """What a metric has declared that it needs beside vectors and classes; those with a name need no more."""
    while isinstance(metric, partial):
        metric = metric.func
    found: frozenset[Need] = getattr(metric, "needs", frozenset())
    return found


@dataclass(frozen=True, kw_only=True)
class Start:
    """Pretrained encoders that every arm starts from, trained once for each seed and cached.

    ``training`` says for how long; the data are the claim's own, without their labels unless the system needs them.
    For adapters it makes the frozen vectors, from part of the training rows (`unalike.claims.freeze`).
    """

    system: str = "simclr"
    settings: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SharedStart(Start):
    """One pretrained encoder for every arm of every seed, and for every claim that names it: trained once and cached.

    What differs from seed to seed is what follows it. It brings its own encoder, tokenizer and all, in place of the
    claim's; `Start` is the better choice where a seed's pretraining is cheap.

    Args:
        kind: of the columns that it reads.
        sets: the data sets that it learns from, their training rows alone.
        corpus: makes its texts of these collections, in order.
        encoder: its name and settings.
        serves: settings with which it is used, where they are not those of its training, such as dropout.
        seed: of its weights, data order and views.
    """

    sets: tuple[str, ...]
    corpus: Callable[..., Sequence[str]]
    encoder: Mapping[str, Any]
    serves: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "text"
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The essential claim of a system's paper, and how it is measured here.

    Args:
        sentence: the claim.
        baseline: slug of the system that the paper argues against.
        bed: the data; a claim without has not been put to the test.
        measures: what is measured; the first is the one that the board shows.
        arms: beside ``system`` (the system with its defaults) and ``baseline`` (that slug) any further ones; an entry
            of these names replaces them.
        training: settings that all arms share (steps, batch size, learning rate, ...); for decoders those of
            `unalike.decoding.generate`.
        encoder: by kind the encoder and its settings, the same for all arms: ``{"image": {"name": "conv"}}``; for
            decoders the language model: ``{"text": {"name": "smollm2"}}``.
        views: picture views that replace every arm's own, as ``unalike fit --views`` takes them; ``paper`` for none.
        tune: names of training settings or of the systems' settings, each with the values to choose from. Every arm
            chooses among all combinations on the validation split.
        choose: the metric by which it chooses; the first measure's unless given.
        start: pretrained encoders, if the paper starts from such.
        seeds: how many; each is a pair, both arms with the same initial weights, batches and views.
    """

    sentence: str
    baseline: str | None = None
    bed: Bed | None = None
    measures: tuple[Measure, ...] = ()
    arms: Mapping[str, Arm] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    encoder: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    views: str = "paper"
    tune: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    choose: str | Callable[[Any], float] | None = None
    start: Start | None = None
    seeds: int = 5

    @property
    def all_arms(self) -> dict[str, Arm]:
        """Every arm by name, with those that go without saying."""
        arms = {"system": Arm()}
        if self.baseline is not None:
            arms["baseline"] = Arm(system=self.baseline)
        return arms | dict(self.arms)
