"""What claims are measured by: metrics with a name, each with what chance gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from unalike import encoders, evaluation, training
from unalike.claims.speech import letters_said
from unalike.claims.trial import Trial
from unalike.data import frequency_thirds
from unalike.data.roles import kind_of
from unalike.errors import SettingsError
from unalike.records import needs
from unalike.registry import Registry


@dataclass(frozen=True)
class Metric:
    """A metric of a trial.

    Args:
        value: the number; the label role is None for the claim's own.
        chance: what guessing gives; None where the metric reads no classes, so that neither chance nor permuted
            classes say anything about it.
    """

    value: Callable[[Trial, str | None], float]
    chance: Callable[[Trial, str | None], float] | None = None


def knn(trial: Trial, label: str | None, k: int = 20) -> float:
    """Accuracy of the weighted kNN vote of the training rows."""
    reference, scored = trial.reference, trial.scored
    return evaluation.knn_accuracy(
        reference.vectors(), reference.labels(label), scored.vectors(), scored.labels(label), k=k
    )


def linear_probe(trial: Trial, label: str | None) -> float:
    """Accuracy of a logistic regression on frozen vectors, of one stated strength so that it costs one fit."""
    reference, scored = trial.reference, trial.scored
    return evaluation.linear_probe(
        reference.vectors(), reference.labels(label), scored.vectors(), scored.labels(label), strengths=(0.1,)
    ).value


def support_vectors(trial: Trial, label: str | None) -> float:
    """Accuracy of a support vector machine on frozen vectors, its penalty chosen on folds of the training rows."""
    reference, scored = trial.reference, trial.scored
    return evaluation.svm_probe(
        reference.vectors(), reference.labels(label), scored.vectors(), scored.labels(label)
    ).value


def balanced_probe(trial: Trial, label: str | None) -> float:
    """Mean over the classes of a linear probe's accuracy, its training rows weighted so that classes count alike."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score

    reference, scored = trial.reference, trial.scored
    learnt, truth = reference.labels(label), scored.labels(label)
    mean, deviation = reference.vectors().mean(0), reference.vectors().std(0) + 1e-8
    model = LogisticRegression(C=0.1, max_iter=500, class_weight="balanced")
    model.fit((reference.vectors()[learnt >= 0] - mean) / deviation, learnt[learnt >= 0])
    predicted = model.predict((scored.vectors()[truth >= 0] - mean) / deviation)
    return float(balanced_accuracy_score(truth[truth >= 0], predicted))


def probe_of_third(trial: Trial, label: str | None, third: str) -> float:
    """The balanced probe over the classes of one third by their frequency in training: head, medium or tail."""
    scored = trial.scored
    name = scored.label if label is None else f"label:{label}"
    classes = dict(scored.classes) | {name: np.where(_in_third(trial, label, third), scored.labels(label), -1)}
    return balanced_probe(replace(trial, scored=replace(scored, classes=classes)), label)


def _in_third(trial: Trial, label: str | None, third: str) -> np.ndarray:
    return np.isin(trial.scored.labels(label), frequency_thirds(trial.reference.labels(label))[third])


def retrieval(trial: Trial, label: str | None, measure: str = "recall@1") -> float:
    """Retrieval of the same class among the scored rows themselves."""
    return _retrieval(trial, label, measure).mean(measure)


def retrieval_chance(trial: Trial, label: str | None, measure: str = "recall@1") -> float:
    return _retrieval(trial, label, measure).chance[measure]


def _retrieval(trial: Trial, label: str | None, measure: str) -> evaluation.Retrieval:
    scored = trial.scored
    relevance = evaluation.Relevance.from_groups(scored.labels(label), scored.labels(label))
    return evaluation.retrieval(scored.vectors(), scored.vectors(), relevance, measures=[measure], exclude_self=True)


def clustering(trial: Trial, label: str | None, measure: str = "nmi") -> float:
    """Agreement of as many k-means clusters of the scored rows as there are classes with these classes."""
    return float(getattr(evaluation.agreement(_clusters(trial, label), trial.scored.labels(label)), measure))


def clustering_chance(trial: Trial, label: str | None, measure: str = "nmi") -> float:
    found = evaluation.chance_agreement(_clusters(trial, label), trial.scored.labels(label))
    return float(getattr(found, measure))


def _clusters(trial: Trial, label: str | None) -> np.ndarray:
    labels = trial.scored.labels(label)
    return evaluation.cluster(trial.scored.vectors(), len(np.unique(labels[labels >= 0])), seed=trial.seed)


def commonest(trial: Trial, label: str | None) -> float:
    """What always naming the commonest class of the scored rows gives: no vote of permuted classes does better."""
    labels = trial.scored.labels(label)
    return float(np.bincount(labels[labels >= 0]).max() / (labels >= 0).sum())


def even(trial: Trial, label: str | None) -> float:
    labels = trial.scored.labels(label)
    return 1 / len(np.unique(labels[labels >= 0]))


def geometry(trial: Trial, label: str | None, measure: Callable[[np.ndarray], float]) -> float:
    return float(measure(trial.scored.vectors()))


def rank_of_third(trial: Trial, label: str | None, third: str) -> float:
    """Effective rank of the training rows of one class, mean over one third of the classes by frequency."""
    vectors, labels = trial.reference.vectors(), trial.reference.labels(label)
    ranks = [evaluation.effective_rank(vectors[labels == number]) for number in frequency_thirds(labels)[third]]
    return float(np.mean(ranks))


def tolerance(trial: Trial, label: str | None) -> float:
    """Mean cosine of two rows of one class (Wang and Liu, 2021)."""
    return evaluation.tolerance(trial.scored.vectors(), trial.scored.labels(label))


METRICS: Registry[str, Metric] = {
    "knn": Metric(knn, commonest),
    "knn@1": Metric(partial(knn, k=1), commonest),
    "linear_probe": Metric(linear_probe, commonest),
    "svm": Metric(support_vectors, commonest),
    "balanced_probe": Metric(balanced_probe, even),
    "balanced_probe@head": Metric(partial(probe_of_third, third="head"), even),
    "balanced_probe@tail": Metric(partial(probe_of_third, third="tail"), even),
    "recall@1": Metric(retrieval, retrieval_chance),
    "map@r": Metric(partial(retrieval, measure="map@r"), partial(retrieval_chance, measure="map@r")),
    "nmi": Metric(clustering, clustering_chance),
    "ari": Metric(partial(clustering, measure="ari"), partial(clustering_chance, measure="ari")),
    "uniformity": Metric(partial(geometry, measure=evaluation.uniformity)),
    "effective_rank": Metric(partial(geometry, measure=evaluation.effective_rank)),
    "effective_rank@head": Metric(partial(rank_of_third, third="head")),
    "tolerance": Metric(tolerance),
    "letters_said": Metric(letters_said),
}
"""Every metric with a name. ``NAME/ROLE`` reads the classes of that label role: ``knn/subgroup``."""


def measured(metric: str | Callable[[Trial], float], trial: Trial) -> float:
    """The value of a metric, named or given as a function.

    Raises:
        SettingsError: there is no metric of that name.
    """
    if callable(metric):
        return float(metric(trial))
    found, label = named(metric)
    return float(found.value(trial, label))


def named(metric: str) -> tuple[Metric, str | None]:
    """A metric by name, and the label role that it reads."""
    name, _, label = metric.partition("/")
    if name not in METRICS:
        raise SettingsError(f"there is no metric {metric!r}; there are: {', '.join(METRICS)}, each also as NAME/ROLE")
    return METRICS[name], label or None


def functions_of(metric: str) -> Iterator[Callable]:
    """The functions that a metric with a name is made of, which its results depend on."""
    found, _ = named(metric)
    for each in (found.value, found.chance):
        yield from [] if each is None else unwrapped(each)


def unwrapped(function: Callable) -> Iterator[Callable]:
    """A function without what was filled in, and what was filled in as far as it is a function."""
    if isinstance(function, partial):
        yield function.func
        yield from (value for value in function.keywords.values() if callable(value))
    else:
        yield function


def metric_name(metric: str | Callable[[Trial], float]) -> str:
    """What a metric is stored under."""
    return metric if isinstance(metric, str) else metric.__name__.strip("_").replace("_", " ")


@needs("learner")
def found_again(trial: Trial) -> float:
    """Recall@1: a changed look at each scored row asks for the row it was made from.

    The looks are gentle and the same for every arm: a crop with other colours (of a clip, one for all of its frames), a
    text with some tokens deleted, a part of a series or recording, numbers with some features swapped.
    """
    assert trial.learner is not None
    role, scored = next(iter(trial.scored.spaces)), trial.scored
    kind = kind_of(role)
    encoder, project = trial.learner.encoders[kind], trial.learner.project.get(kind)
    use = encoders.use_of_kind(kind)
    generator, parts = training.step_generator(trial.seed, 2**29), []
    for start in range(0, len(scored), use.at_once):
        entries = scored.inputs.prepared[role].take(np.arange(start, min(start + use.at_once, len(scored))))
        with torch.inference_mode():
            vectors = encoder(use.gentle(encoder, entries, generator)).vector
            parts.append((vectors if project is None else project(vectors)).numpy())
    return evaluation.retrieval(np.concatenate(parts), scored.vectors(role), measures=["recall@1"]).mean("recall@1")
