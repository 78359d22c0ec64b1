"""What a run that learned a classifier is used for: the class of new rows, and how often that is right."""

from __future__ import annotations

import numpy as np
import torch

from unalike import encoders, evaluation, training
from unalike.data import Collection
from unalike.errors import DataError, RunError
from unalike.evaluation import Score
from unalike.files import damaged
from unalike.runs.embeds import no_ranks
from unalike.runs.end import End, Part
from unalike.runs.opened import Opened
from unalike.runs.predicted import Classes
from unalike.runs.scores.scene import floor_of, held_out_rows, raw_features

AT_ONCE = 512
"""Rows that are classified together."""


@torch.no_grad()
def probabilities(
    learner: training.Learner,
    capability: training.Classifies,
    packed: encoders.Prepared,
    device: torch.device,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """Float64 ``(N, classes)`` of some prepared entries, all unless given."""
    learner.module.to(device).eval()
    rows = np.arange(len(packed)) if rows is None else rows
    parts = []
    for start in range(0, len(rows), AT_ONCE):
        logits = capability.logits(packed.take(rows[start : start + AT_ONCE]).to(device))
        parts.append(logits.double().softmax(dim=1).cpu().numpy())
    return np.concatenate(parts)


def finish(end: End) -> Part:
    """How often the class of held-out rows is right, or of the training rows where nothing was held out."""
    capability = next(each for each in end.learner.serves if isinstance(each, training.Classifies))
    collection, label = end.ready.collection, end.ready.collection.label
    if label is None:
        raise DataError(f"a classifier learns from labels and {collection.name} has none")
    role = end.spec.roles[capability.kind][0]
    there = collection[role].present & label.present
    asked, train = (rows[there[rows]] for rows in (held_out_rows(collection), collection.splits["train"]))
    if not len(asked) or not len(train):
        return Part()
    packed, codes, count = end.ready.packed[role], label.codes, len(label.names)
    found = probabilities(end.learner, capability, packed, end.device, asked)
    raw = raw_features(collection, role, packed)
    neighbours = evaluation.knn_shares(raw[train], codes[train], raw[asked], classes=count)
    return Part(scores(found, codes[asked], codes[train], {f"{floor_of(capability.kind)}, kNN": neighbours}))


def scores(
    found: np.ndarray, truth: np.ndarray, learned: np.ndarray, floors: dict[str, np.ndarray] | None = None
) -> list[Score]:
    """Accuracy and log loss of probabilities ``(N, classes)``, beside those of the classes' shares among training rows.

    Args:
        found: the probabilities.
        truth: int64 ``(N,)``, each row's class.
        learned: the classes of the training rows.
        floors: by name the probabilities of what learns nothing.
    """
    share = np.bincount(learned, minlength=found.shape[1]) / len(learned)
    rules = {"commonest class": np.tile(share, (len(found), 1)), **(floors or {})}
    right = {name: each.argmax(1) == truth for name, each in {"": found, **rules}.items()}
    loss = -np.log(np.clip(found[np.arange(len(found)), truth], 1e-12, None))
    by_share = float(-np.log(np.clip(share[truth], 1e-12, None)).mean())
    value = float(right[""].mean())
    return [
        Score(
            "accuracy of the classifier",
            value,
            {name: float(each.mean()) for name, each in right.items() if name},
            n=len(found),
            reading=f"{100 * value:.1f}% of the rows get their own class of {found.shape[1]}.",
            interval=evaluation.bootstrap_interval(right[""].astype(np.float64)),
        ),
        Score(
            "log loss of the classifier",
            float(loss.mean()),
            {"shares of the classes": by_share},
            n=len(found),
            higher_is_better=False,
            reading="How far the probabilities are from the truth, in nats; 0 would be certain and right.",
            interval=evaluation.bootstrap_interval(loss),
        ),
    ]


def predict(run: Opened, collection: Collection, k: int | None) -> Classes:
    """Classes of new rows by the learned classifier.

    Raises:
        DataError: the data have nothing that it reads.
        SettingsError: a number of ranks is given.
    """
    no_ranks(k)
    capability = run.capability("classifies")
    roles = collection.roles(capability.kind)
    if not roles:
        raise DataError(
            f"{run.folder} classifies entries of the kind {capability.kind}; {collection.name} has "
            f"{', '.join(collection.columns)}"
        )

    def compute(packed: encoders.Prepared) -> np.ndarray:
        return probabilities(run.learner, capability, packed, run.device)

    names = class_names(run)
    return Classes(
        ids=list(collection.ids),
        how=f"the classifier that {run.spec.system} trained, on {roles[0]}; probabilities are its softmax",
        names=names,
        probabilities=run.computed(collection, roles[0], compute),
    )


def score_new(run: Opened, collection: Collection) -> list[Score]:
    """Accuracy and log loss on other data with labels; rows of classes that the run does not know are left out.

    Raises:
        DataError: the data have no row of a known class.
    """
    label, names = collection.label, class_names(run)
    place = {name: code for code, name in enumerate(names)}
    if label is None:
        return []
    truth = np.array([place.get(label[row] or "", -1) for row in range(len(collection))])
    found = predict(run, collection, None)
    asked = np.flatnonzero((truth >= 0) & found.readable)
    if not len(asked):
        raise DataError(f"{collection.name} has no readable row of a class that {run.folder} knows: {', '.join(names)}")
    own = run.items.labels()
    learned = np.array([place[name] for row in np.flatnonzero(run.items.splits == "train") if (name := own[row])])
    return scores(found.probabilities[asked], truth[asked], learned)


def class_names(run: Opened) -> list[str]:
    """The names of the classes, in the order of the classifier's outputs."""
    with damaged(run.folder / "run.json"):
        names = [str(name) for name in run.record["classes"]]
    if len(names) != run.record["task"]["classes"]:
        raise RunError(f"{run.folder / 'run.json'} is damaged: it names {len(names)} classes")
    return names
