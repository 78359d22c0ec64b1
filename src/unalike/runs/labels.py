"""What a run that learned sets of labels is used for: the labels of a new text, and how often those are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from unalike import encoders, evaluation, training
from unalike.data import Collection, LabelsColumn
from unalike.data.roles import kind_of
from unalike.errors import DataError
from unalike.evaluation import Score
from unalike.runs.opened import Opened
from unalike.runs.predicted import Ranked, Ranking
from unalike.runs.query import By
from unalike.runs.query import query as query_of
from unalike.runs.search import Found, order

if TYPE_CHECKING:
    from unalike.evaluation.multilabel import Sets

FIRST = 5
"""How many labels of a row the scores look at."""
Labels = encoders.LabelReader | encoders.LabelMatrix


def score(
    learner: training.Learner,
    collection: Collection,
    vectors: np.ndarray,
    role: str,
    device: torch.device,
) -> list[Score]:
    """How often the labels of held-out rows are found, or of the training rows where nothing was held out.

    Args:
        learner: trained.
        collection: the rows, with a column ``labels``.
        vectors: of their texts.
        role: of these texts.
        device: where scores are computed.
    """
    splits = collection.splits
    train = splits.get("train", np.arange(len(collection)))
    asked, column = splits.get("test", train), labels_of(collection)
    raw = evaluation.text_vectors(collection[role], fit_on=collection[role].select(train))  # type: ignore[arg-type]
    return measured(
        labels_encoder(learner),
        vectors[asked],
        column.select(asked),
        device,
        near=(raw[asked], raw[train], column.select(train)),
    )


def score_new(run: Opened, collection: Collection) -> list[Score]:
    """The same of other data: their labels, among those that the run learned and those that the data have besides.

    Raises:
        DataError: the data have no labels, or no text that the run reads.
    """
    if not collection.roles("labels"):
        raise DataError(f"{collection.name} has no labels to compare with; name their column with --labels COLUMN")
    role = text_role(run, collection)
    texts, vectors = collection[role], run.embed_column(collection, role)
    known = np.isfinite(vectors).all(axis=1)
    rows = np.flatnonzero(known)
    learnt = np.flatnonzero(run.items.splits == "train")
    own = [run.items.texts[row] for row in learnt]
    near = (
        evaluation.text_vectors([texts[int(row)] for row in rows], fit_on=own),
        evaluation.text_vectors(own, fit_on=own),
        LabelsColumn.from_values([run.items.label_sets[row] for row in learnt]),
    )
    column = labels_of(collection).select(rows)
    return measured(labels_encoder(run.learner), vectors[rows], column, run.device, near=near)


def measured(
    encoder: Labels,
    vectors: np.ndarray,
    column: LabelsColumn,
    device: torch.device,
    *,
    near: tuple[np.ndarray, np.ndarray, LabelsColumn],
) -> list[Score]:
    """P@k, R@k and PSP@k of some rows, beside chance, the commonest labels, and the labels of neighbours.

    Args:
        encoder: what serves the labels.
        vectors: ``(N, D)`` of the rows' texts.
        column: their labels; rows without any are no question.
        device: where scores are computed.
        near: raw vectors of the rows and of the training rows, and the training rows' labels.
    """
    if not column.present.any():
        return []
    names, counts, model = candidates(encoder, column)
    truth, total = pairs(column, names), len(names)
    first = min(FIRST, total)

    def scores(rows: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(vectors[rows]).to(device)).float().cpu().numpy()

    rules: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "": scores,
        "commonest labels": evaluation.commonest_labels(counts),
        "neighbours' labels": evaluation.neighbours_labels(near[0], near[1], pairs(near[2], names), total),
    }
    found = {name: evaluation.rank_labels(rule, truth, len(column), total, keep=first) for name, rule in rules.items()}
    mine = found[""]
    few = np.minimum(mine.counts, first).mean() / first
    result = []
    for k in dict.fromkeys((1, first)):
        values = mine.precision(k)
        others = {name: float(each.precision(k).mean()) for name, each in found.items() if name}
        result.append(
            Score(
                f"labels of a text, P@{k}",
                float(values.mean()),
                {"chance": float(mine.counts.mean() / total), **others},
                n=len(mine),
                reading=f"{100 * values.mean():.1f}% of the first {k if k > 1 else ''} labels are right".replace(
                    "  ", " "
                )
                + (f"; as some rows have fewer, no more than {100 * few:.1f}% can be." if k > 1 else "."),
                interval=evaluation.bootstrap_interval(values),
            )
        )
    values = mine.recall(first)
    result.append(
        Score(
            f"labels of a text, R@{first}",
            float(values.mean()),
            {"chance": first / total} | means(found, lambda each: each.recall(first).mean()),
            n=len(mine),
            reading=f"Of a row's labels {100 * values.mean():.1f}% are among the first {first} of {total:,}.",
            interval=evaluation.bootstrap_interval(values),
        )
    )
    if encoder.labels.rows >= 3:
        weight = evaluation.propensities(counts, encoder.labels.rows)
        value = mine.psp(first, weight)
        result.append(
            Score(
                f"labels of a text, PSP@{first}",
                value,
                means(found, lambda each: each.psp(first, weight)),
                n=len(mine),
                reading=f"As P@{first} of what can be reached, where rare labels count for more.",
            )
        )
    return [*result, *on_new_labels(encoder, scores, truth, names, len(column))]


def on_new_labels(
    encoder: Labels, scores: Callable[[np.ndarray], np.ndarray], truth: Sets, names: list[str], rows: int
) -> list[Score]:
    """How often labels are found that stand in no training row, among all: by what they say alone."""
    new = truth[1] >= len(encoder.labels.names)
    if not new.any():
        return []
    first = min(FIRST, len(names))
    found = evaluation.rank_labels(scores, (truth[0][new], truth[1][new]), rows, len(names), keep=first)
    values = found.recall(first)
    return [
        Score(
            f"labels never trained on, R@{first}",
            float(values.mean()),
            {"chance": first / len(names)},
            n=len(found),
            reading=f"{len(names) - len(encoder.labels.names)} labels stand in no training row."
            + (" This system gives each label weights of its own and cannot find them." * (not reads(encoder))),
        )
    ]


def means(
    found: Mapping[str, evaluation.LabelRanking], measure: Callable[[evaluation.LabelRanking], Any]
) -> dict[str, float]:
    """What the rules that learn nothing reach."""
    return {name: float(measure(each)) for name, each in found.items() if name}


def candidates(encoder: Labels, column: LabelsColumn) -> tuple[list[str], np.ndarray, Callable]:
    """All labels that may be right: the learned ones, then new ones of a column, with counts and what scores them.

    Labels that are read as texts may be new; of those that have weights of their own, new ones stand behind all others.
    """
    known = set(encoder.labels.names)
    used = np.unique(column.codes)
    new = [column.names[code] for code in used if column.names[code] not in known]
    names = [*encoder.labels.names, *new]
    counts = np.append(encoder.labels.counts, np.zeros(len(new), np.int64))
    if not new:
        return names, counts, encoder.scorer()
    if isinstance(encoder, encoders.LabelReader):
        return names, counts, encoder.over(names).scorer()
    own = encoder.scorer()

    def behind(texts: torch.Tensor) -> torch.Tensor:
        found = own(texts)
        return torch.cat([found, found.amin(1, keepdim=True).sub(1).expand(-1, len(new))], dim=1)

    return names, counts, behind


def pairs(column: LabelsColumn, names: list[str]) -> Sets:
    """Rows and their labels, as positions in ``names``; labels that are not among these are left out."""
    place = {name: number for number, name in enumerate(names)}
    mapped = np.array([place.get(name, -1) for name in column.names] or [-1], np.int64)
    rows = np.repeat(np.arange(len(column)), column.counts)
    codes = mapped[column.codes]
    return rows[codes >= 0], codes[codes >= 0]


def labels_of(collection: Collection) -> LabelsColumn:
    column = collection[collection.roles("labels")[0]]
    assert isinstance(column, LabelsColumn)
    return column


def labels_encoder(learner: training.Learner) -> Labels:
    encoder = learner.encoders["labels"]
    assert isinstance(encoder, encoders.LabelReader | encoders.LabelMatrix)
    learner.module.eval()
    encoder.eval()
    return encoder


def reads(encoder: Labels) -> bool:
    return isinstance(encoder, encoders.LabelReader)


def search(run: Opened, query: Any, k: int, by: By = "auto") -> list[Found]:
    """The labels of a text, best first: of words, or of a row of the run by its id.

    Args:
        run: learned sets of labels.
        query: the text, or an id.
        k: how many labels.
        by: how to read the query.
    """
    vector, _ = query_of(run, query, by)
    encoder = labels_encoder(run.learner)
    scores = encoder.scorer()(torch.from_numpy(vector[None]).to(run.device))[0].cpu().numpy()
    labels = encoder.labels
    return [
        Found(rank, labels.names[code], float(scores[code]), code, "labels", f"in {labels.counts[code]:,} rows", None)
        for rank, code in enumerate(order(scores, min(k, len(scores))), start=1)
    ]


def predict(run: Opened, collection: Collection, k: int) -> Ranked:
    """The labels of each new text.

    Raises:
        DataError: the data have no text that the run reads.
    """
    role = text_role(run, collection)
    vectors = run.embed_column(collection, role)
    encoder = labels_encoder(run.learner)
    model, names = encoder.scorer(), encoder.labels.names
    rankings: list[list[Ranking] | None] = [None] * len(vectors)
    for row in np.flatnonzero(np.isfinite(vectors).all(axis=1)):
        scores = model(torch.from_numpy(vectors[row : row + 1]).to(run.device))[0].cpu().numpy()
        best = order(scores, min(k, len(scores)))
        rankings[int(row)] = [Ranking(names[code], None, float(scores[code])) for code in best]
    how = f"the labels that fit each text best, of {len(names):,}"
    return Ranked(ids=list(collection.ids), how=how, what="label", rankings=rankings)


def text_role(run: Opened, collection: Collection) -> str:
    """The role of the texts whose labels are asked for.

    Raises:
        DataError: the data have no text that the run reads.
    """
    role = next((role for role in run.readable(collection) if kind_of(role) == "text"), None)
    if role is None:
        raise DataError(f"{collection.name} has no texts; name their column with --text COLUMN")
    return role
