"""CLAN: learn what is normal from normal rows alone; an altered row stands in for what is not.

Other contrastive systems ask a row to agree with its altered copy. Where only one class is known that is backwards:
here all rows attract each other, and their altered copies, in which some features are drawn at random, are pushed away
from all of them. What belongs together ends up in one direction, and a product with it tells how normal a row is.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, evaluation, objectives, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=112,
    slug="clan",
    title="Contrastive Self-Supervised Network Intrusion Detection using Augmented Negative Pairs",
    authors="Wilkie, Hindy, Tachtatzis, Atkinson",
    year=2025,
    arxiv="2509.06550",
    modality="table",
    roles=("array",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    resample: float = 0.1  # the release: probability that a feature is drawn anew, evenly over 1.7 deviations
    margin: float = 0.5  # the release: least distance (1 - cosine) / 2 of an altered row


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=1024, epochs=100)


def build(settings: Settings, task: training.Task) -> training.Learner:
    import torch

    encoder = task.encoders["array"]
    alter = views.ArrayViews(resample=settings.resample)

    def look(batch, generator):
        [(rows, _)] = batch.choose(task.roles["array"], generator)
        return rows, alter(rows, generator)

    def loss(pair):
        # One pass for both, so that batch normalisation does not tell them apart by their own statistics.
        samples, altered = encoders.unit(encoder(torch.cat(pair)).vector).chunk(2)
        return objectives.clan(samples, altered, margin=settings.margin)

    return training.Learner(modules={"encoder": encoder}, encoders={"array": encoder}, views=look, loss=loss)


def attracted_copies(settings, task):
    """The control: the same encoder and altered rows with the usual roles, a row and its altered copy attract."""
    encoder = task.encoders["array"]
    projector = encoders.projector(encoder.width, 256, 128)
    alter = views.ArrayViews(resample=settings.resample)

    def look(batch, generator):
        [(rows, _)] = batch.choose(task.roles["array"], generator)
        return alter(rows, generator), alter(rows, generator)

    def loss(pair):
        first, second = (encoders.unit(projector(encoder(rows).vector)) for rows in pair)
        return objectives.nt_xent(first, second, temperature=0.2)

    modules = {"encoder": encoder, "projector": projector}
    return training.Learner(modules=modules, encoders={"array": encoder}, views=look, loss=loss)


def anomalies(trial):
    return trial.scored.labels() != trial.reference.labels()[0]


def auroc(trial):
    """Area under the ROC curve of the distance from the centre of the normal training rows."""
    from sklearn.metrics import roc_auc_score

    return roc_auc_score(anomalies(trial), evaluation.novelty(trial.reference.vectors(), trial.scored.vectors()))


def gain_over_isolation_forest(trial):
    """What is left of it when an isolation forest of the same raw rows, seeded alike, is taken away."""
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import roc_auc_score

    forest = IsolationForest(random_state=trial.seed).fit(trial.reference.targets("array"))
    return auroc(trial) - roc_auc_score(anomalies(trial), -forest.score_samples(trial.scored.targets("array")))


def share_caught(trial):
    """Anomalies that give an alarm at a threshold that one in a hundred normal rows passes."""
    scores, odd = evaluation.novelty(trial.reference.vectors(), trial.scored.vectors()), anomalies(trial)
    return (scores[odd] > evaluation.alarm_threshold(scores[~odd], 0.01)).mean()


@needs("learner")
def altered_nearer_than_margin(trial):
    """Share of altered held-out normal rows that lie within the margin of the centre."""
    import torch

    alter, encoder = views.ArrayViews(resample=0.1), trial.learner.modules["encoder"]
    rows = trial.scored.inputs.prepared["array"].take((~anomalies(trial)).nonzero()[0])
    with torch.no_grad():
        altered = encoders.unit(encoder(alter(rows, torch.Generator().manual_seed(trial.seed))).vector).numpy()
    return (evaluation.novelty(trial.reference.vectors(), altered) < 0.5).mean()


CLAIM = Claim(
    sentence="Pushing altered rows away from normal ones detects anomalies better than drawing each to its own row.",
    baseline="scarf",
    bed=Bed(set="shuttle", classes=("normal",), rows=8000),
    encoder={"array": {"name": "mlp", "width": 64, "hidden": 128, "depth": 3}},
    training={"steps": 300, "batch_size": 1024, "learning_rate": 1e-3},
    arms={"roles not swapped": Arm(build=attracted_copies)},
    measures=(
        Measure(name="AUROC against SCARF, both by distance from the centre", metric=auroc),
        Measure(name="AUROC against the same rows with the usual roles", metric=auroc, against="roles not swapped"),
        Measure(name="AUROC less an isolation forest's", metric=gain_over_isolation_forest, against=0.0),
        Measure(name="anomalies caught at one false alarm in a hundred", metric=share_caught),
        Measure(
            name="altered rows that still pass for normal",
            metric=altered_nearer_than_margin,
            better="lower",
            mechanism=True,
        ),
    ),
)
