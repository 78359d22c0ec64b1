"""AutoTCL: learn for each series which steps matter, and contrast it with itself without the others.

Which random change keeps the meaning of a series differs from series to series. A small network factors each one: its
gates say which steps inform, its second head rescales these without loss. It learns to shut steps while the batch of
altered series stays distributed like the batch itself; in turn with it, the encoder learns by contrast of both.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import claims, encoders, objectives, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe

PAPER = Paper(
    number=82,
    probe={"steps": 8},
    slug="autotcl",
    title="Parametric Augmentation for Time Series Contrastive Learning",
    authors="Zheng, Wang, Cheng, Chen, Chen, Luo et al.",
    year=2024,
    venue="ICLR",
    arxiv="2402.10434",
    modality="series",
    roles=("series",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 1.0  # the release
    local: float = 0.1  # the release: weight of the contrast of windows
    share: float = 0.4  # the release: mean gate above which opening more of them costs
    sparsity: float = 3.0  # weight of that cost: the release's 0.001 opens every gate here (StepGates)
    smoothness: float = 0.001  # the release: weight of gates that change from step to step
    every: int = 1  # the release: encoder steps to one of the augmenter
    augmenter: int = 16  # the release: width of the augmenter's tokens


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=16, epochs=40)


def contrast(encoder, series, altered, settings, same=None):
    """What the encoder learns from: each altered series finds its own, windows of a series follow one another."""
    true, seen = encoder(series), encoder(altered)
    pairs = encoders.unit(true.vector), encoders.unit(seen.vector)
    near = objectives.neighbouring_windows(true.tokens, present=true.mask)
    return objectives.info_nce(*pairs, temperature=settings.temperature, same=same) + settings.local * near


def build(settings: Settings, task: training.Task) -> training.Learner:
    import torch

    encoder = task.encoders["series"]
    augmenter = encoders.StepGates(int(encoder.config()["channels"]), width=settings.augmenter)
    counter = training.StepCounter()

    def views_of(batch, generator):
        [(series, _)] = batch.choose(task.roles["series"], generator)
        return training.Looks([encoder.plain(series)], batch.same)

    def updates(look):
        [series] = look
        if int(counter) % settings.every == 0:
            with training.evaluating(encoder):
                altered, share = augmenter(series)
                true, seen = encoder(series), encoder(altered)
            excess = (share[true.mask].mean() - settings.share).relu()
            spread = objectives.mmd(true.vector, seen.vector)
            cost = spread + settings.sparsity * excess + settings.smoothness * encoders.unsteadiness(share, true.mask)
            yield cost, augmenter.parameters()
        with torch.no_grad():
            altered, _ = augmenter(series)
        yield contrast(encoder, series, altered, settings, look.same), encoder.parameters()

    return training.Learner(
        modules={"encoder": encoder, "augmenter": augmenter, "counter": counter},
        encoders={"series": encoder},
        views=views_of,
        updates=updates,
        after_step=counter.follow,
    )


def learner_with(change, settings, task):
    """A learner with the same losses and another change in place of what is learned."""
    encoder = task.encoders["series"]

    def look(batch, generator):
        series = encoder.plain(batch.choose(task.roles["series"], generator)[0][0])
        return series, change(series, generator)

    def loss(seen):
        return contrast(encoder, *seen, settings)  # type: ignore[call-arg]

    return training.Learner(modules={"encoder": encoder}, encoders={"series": encoder}, views=look, loss=loss)


def fixed_changes(settings, task):
    """The control with CoST's random scale, shift and noise."""
    return learner_with(views.SeriesViews(scale=0.5, shift=0.5, jitter=0.5, p=0.5), settings, task)


def random_gates(settings, task):
    """The control that leaves as many steps out, any of them."""
    import torch

    def change(series, generator):
        return series * (torch.rand(series[:, :1].shape, generator=generator) < settings.share)

    return learner_with(change, settings, task)


ITALY = Bed(set="aeon:ItalyPowerDemand")
RIVALS = ("TS2Vec", "fixed changes", "random gates")
CLAIM = Claim(
    sentence="What a network learns to leave out of each series is a better view than fixed random changes.",
    baseline="ts2vec",
    bed=Bed(set="aeon:JapaneseVowels"),
    encoder={"series": {"name": "dilated", "width": 64, "hidden": 32, "depth": 3}},
    training={"steps": 150, "batch_size": 16},
    tune={"learning_rate": (1e-3, 3e-3)},
    arms={
        "fixed changes": Arm(build=fixed_changes),
        "random gates": Arm(build=random_gates),
        "power": Arm(bed=ITALY),
        "power, TS2Vec": Arm(system="ts2vec", bed=ITALY),
        "power, fixed changes": Arm(build=fixed_changes, bed=ITALY),
        "power, random gates": Arm(build=random_gates, bed=ITALY),
    },
    measures=(
        Measure(name="accuracy on vowels, TS2Vec", metric="svm"),
        *(Measure(name=f"accuracy on vowels, {name}", metric="svm", against=name) for name in RIVALS[1:]),
        *(
            Measure(name=f"accuracy on power, {name}", metric="svm", arm="power", against=f"power, {name}")
            for name in RIVALS[:2]
        ),
        Measure(name="steps kept less those left out", metric=claims.kept_over_left_out, against=0.0, mechanism=True),
        *(
            Measure(
                name=f"forecast error on power, {name}",
                metric=claims.forecast_error,
                arm="power",
                against=f"power, {name}",
                better="lower",
                mechanism=name != "TS2Vec",
            )
            for name in RIVALS
        ),
    ),
)
