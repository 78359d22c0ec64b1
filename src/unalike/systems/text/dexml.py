"""DEXML: a text finds its labels among all of them, and labels that are right do not compete with one another.

Labels are texts too, read by the encoder that reads the texts which bear them, so that thousands of labels need no
weights of their own. Every label stands in the denominator at every step; under a plain softmax a label that is sure
would be pushed down as soon as the text has others, so each right label is compared with the wrong ones alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import claims, encoders, objectives, pairing, training
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=54,
    slug="dexml",
    title="Dual-Encoders for Extreme Multi-Label Classification",
    authors="Gupta, Khatri, Rawat, Bhojanapalli, Jain, Dhillon",
    year=2024,
    venue="ICLR",
    arxiv="2310.10636",
    modality="text",
    roles=("text", "labels"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.05  # the authors' code
    chunk: int = 512  # labels that are read at once; the rest of them wait without activations


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-2, batch_size=256, epochs=20, clip_norm=1.0)


def build(settings: Settings, task: training.Task) -> training.Learner:
    return compose(settings, task, decoupled)


def compose(settings, task, objective):
    """The learner, with this or another loss of queries, all labels and the right ones."""
    encoder = task.encoders["text"]
    reader = encoders.LabelReader(task.encoders["labels"], encoder, chunk=settings.chunk)
    [role] = task.roles["labels"]

    def views(batch, generator):
        [(texts, _)] = batch.choose(task.roles["text"], generator)
        return texts, batch.role(role)

    def loss(seen):
        texts, right = seen
        # The backward pass reads each chunk of labels again: memory does not grow with their number.
        labels = objectives.cached(reader.read, reader.texts(), chunk=settings.chunk)
        return objective(encoders.unit(encoder(texts).vector), labels, right, settings.temperature)

    served = {"text": encoder, "labels": reader}
    return training.Learner(modules={"encoder": encoder}, encoders=served, views=views, loss=loss)


def decoupled(queries, labels, right, temperature):
    return objectives.decoupled_softmax(queries, labels, right, temperature=temperature)


def plain(queries, labels, right, temperature):
    """The softmax over all labels, averaged over the right ones, which stand in one another's denominators."""
    return objectives.info_nce(queries, labels, temperature=temperature, pairing=pairing.Graph(right))


def top_five(queries, labels, right, temperature):
    return objectives.soft_top_k_loss(queries, labels, right, temperature=temperature, k=5)


def plain_softmax(settings, task):
    """The control: the same, with the plain softmax."""
    return compose(settings, task, plain)


def soft_top_5(settings, task):
    """The paper's second loss: the right labels are to be among the five best."""
    return compose(settings, task, top_five)


@needs("learner")
def pushed_down(trial):
    """Of right labels of held-out texts, the share whose score the arm's own loss lowers, where there are several."""
    import torch

    objective = {"system": decoupled, "plain softmax": plain}[trial.arm]
    scores, right = claims.label_scores(trial)
    several = (right.sum(1) > 1).nonzero()[:, 0][:200]
    down = total = 0
    for row in several.tolist():
        # One query of length one, so that the labels' only entry is the score.
        column = (scores[row] / trial.settings.temperature)[:, None].clone().requires_grad_()
        value = objective(torch.ones(1, 1), column, right[row, None].float().to_sparse(), 1.0)
        (slope,) = torch.autograd.grad(value, column)
        slopes = slope[right[row], 0]
        down, total = down + int((slopes > 0).sum()), total + len(slopes)
    return down / total


@needs("learner")
def lead(trial):
    """By how much, in logits, the surest right label of a held-out text with several stands before the best wrong."""
    scores, right = claims.label_scores(trial)
    several = right.sum(1) > 1
    scores, right = scores[several] / trial.settings.temperature, right[several]
    best, wrong = (scores.masked_fill(~mask, -1e9).amax(1) for mask in (right, ~right))
    return (best - wrong).mean()


CLAIM = Claim(
    sentence="With every label in the denominator and right labels that do not compete, a dual encoder finds more of "
    "them than one that contrasts within the batch, and as many as a classifier with weights for each label.",
    baseline="dual-encoder",
    bed=Bed(set="debtags", rows=4000),
    encoder={"text": {"name": "ngram", "characters": 128, "longest": 3, "buckets": 2**13}},
    training={"batch_size": 128, "steps": 120},
    choose=claims.precision_at_5,
    seeds=3,
    tune={"learning_rate": (1e-3, 2e-3, 4e-3)},
    arms={
        "plain softmax": Arm(build=plain_softmax),
        "soft top 5": Arm(build=soft_top_5),
        "one-vs-all": Arm(system="one-vs-all"),
    },
    measures=(
        Measure(name="P@5", metric=claims.precision_at_5),
        Measure(name="P@1", metric=claims.precision_at_1),
        Measure(name="PSP@5", metric=claims.psp_at_5),
        Measure(name="P@1 against the plain softmax", metric=claims.precision_at_1, against="plain softmax"),
        Measure(name="P@5 against the plain softmax", metric=claims.precision_at_5, against="plain softmax"),
        Measure(
            name="right labels pushed down",
            metric=pushed_down,
            against="plain softmax",
            better="lower",
            mechanism=True,
        ),
        Measure(name="lead of the surest right label", metric=lead, against="plain softmax", mechanism=True),
        Measure(name="P@1 of one-vs-all, less 2%", metric=claims.precision_at_1, against="one-vs-all", margin=-0.02),
        Measure(name="P@5, soft top 5", metric=claims.precision_at_5, arm="soft top 5", against="system"),
        Measure(name="P@1 over neighbours' labels", metric=claims.over_neighbours, against=0.0),
    ),
)
