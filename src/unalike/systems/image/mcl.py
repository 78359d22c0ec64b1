"""MCL: train again and again, each time among pictures that the earlier encoders cannot tell apart; keep them all.

Contrastive learning stops at the features that suffice to tell pictures apart, and suppresses the others. So after
each stage the pictures are clustered by what was learned, and the next stage's encoder, a fresh one, gets batches from
one cluster only: its negatives share what is already known, and what was suppressed must tell them apart. The
clusters are those of all earlier stages together. The vectors of all encoders side by side are the result. (The
authors' released loop keeps only the newest stage's clusters; here they are intersected, as the paper says.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from unalike import encoders, evaluation, objectives, pairing, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=17,
    probe={"steps": 8, "rows": 1_000},
    slug="mcl",
    title="Learning the Unlearned: Mitigating Feature Suppression in Contrastive Learning",
    authors="Zhang, Lan, Qu, Cheng, Feng, Hooi",
    year=2024,
    venue="ECCV",
    arxiv="2402.11816",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    rounds: int = 3  # stages; each takes an equal share of the steps
    clusters: int = 10  # of each stage, the authors' code; fewer where the last stage's would not fill a batch
    temperature: float = 0.2  # as SimCLR
    hidden: int = 256  # as SimCLR
    output: int = 128  # as SimCLR


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=64, epochs=150)


def build(settings: Settings, task: training.Task) -> training.Learner:
    return compose(settings, task, clustered=True)


def compose(settings: Settings, task: training.Task, *, clustered: bool) -> training.Learner:
    """All stages; without clusters these are as many independent SimCLRs."""
    [role, *_] = task.roles["image"]
    encoder = task.encoders["image"]
    towers = [encoder, *(encoders.fresh_encoder(encoder) for _ in range(settings.rounds - 1))]
    heads = [encoders.projector(encoder.width, settings.hidden, settings.output) for _ in towers]
    clusters = pairing.Clusters(task.rows)
    most = int(task.steps_per_epoch ** (1 / max(1, settings.rounds - 1)) + 1e-9)
    count = max(2, min(settings.clusters, most))
    look = views.simclr(encoder.size, strength=0.5)

    def contrast(tower, head):
        def loss(pair):
            first, second = (encoders.unit(head(tower(pictures).vector)) for pictures in pair)
            return objectives.nt_xent(first, second, temperature=settings.temperature, same=pair.same)

        return loss

    def divide(number):
        def begin(inputs):
            vectors = training.embed_inputs(inputs, role, towers[number - 1], encoders.unit)
            clusters.refine(pairing.k_means(vectors, min(count, len(vectors))).codes)

        return begin

    def together(inputs, batch, seed):
        return training.SameCluster(clusters.codes, batch, seed)

    stages = tuple(
        training.Stage(
            share=1.0,
            views=task.random_views("image", look, look),
            loss=contrast(tower, head),
            order=together if clustered and number else None,
            begin=divide(number) if clustered and number else None,
            trains=(f"tower_{number}", f"projector_{number}"),
        )
        for number, (tower, head) in enumerate(zip(towers, heads, strict=True))
    )
    return training.Learner(
        modules={
            **{f"tower_{number}": tower for number, tower in enumerate(towers)},
            **{f"projector_{number}": head for number, head in enumerate(heads)},
            "clusters": clusters,
        },
        encoders={"image": encoders.Ensemble(towers)},
        stages=stages,
    )


def independent(settings: Settings, task: training.Task) -> training.Learner:
    """The control: an ensemble of SimCLRs that do not know of one another."""
    return compose(settings, task, clustered=False)


def one_wide(settings: Settings, task: training.Task) -> training.Learner:
    """SimCLR with one encoder whose vectors are as long as all of the ensemble's together, and all the steps."""
    narrow = task.encoders["image"]
    assert isinstance(narrow, encoders.GridNet)
    wide = encoders.GridNet(size=narrow.size, widths=narrow.widths, width=settings.rounds * narrow.width, seed=None)
    return compose(replace(settings, rounds=1), replace(task, encoders={"image": wide}), clustered=False)


def change(trial, label):
    """A linear probe of the last stage's encoder alone, less one of the first stage's."""
    role, found = next(iter(trial.reference.spaces)), []
    for tower in (trial.learner.encoders["image"].members[0], trial.learner.encoders["image"].members[-1]):
        seen = []
        for side in (trial.reference, trial.scored):
            vectors = training.embed_inputs(side.inputs, role, tower, encoders.unit)
            seen += [vectors.numpy(), side.labels(label)]
        found.append(evaluation.linear_probe(*seen, strengths=(0.1,)).value)
    return found[1] - found[0]


@needs("learner")
def change_of_digit(trial):
    return change(trial, None)


@needs("learner")
def change_of_emoji(trial):
    return change(trial, "subgroup")


CLAIM = Claim(
    sentence="Later stages, trained within clusters of the earlier ones, learn the features that those suppressed.",
    baseline="simclr",
    bed=Bed(set="pasted", rows=2000, size=32),
    views="gentle",
    encoder={"image": {"name": "grid", "widths": (16, 32, 64), "width": 32}},
    training={"batch_size": 64, "steps": 360},
    arms={
        "baseline": Arm(build=one_wide),
        "independent": Arm(build=independent, like="baseline"),
    },
    tune={"learning_rate": (1e-3, 3e-3)},
    measures=(
        Measure(name="digit, linear probe", metric="linear_probe"),
        Measure(name="digit, of independent encoders", metric="linear_probe", against="independent"),
        Measure(name="emoji, 2 points allowed", metric="linear_probe/subgroup", margin=-0.02),
        Measure(name="digit, last less first", metric=change_of_digit, against="independent", mechanism=True),
        Measure(
            name="emoji, last less first", metric=change_of_emoji, against="independent", better="lower", mechanism=True
        ),
    ),
)
