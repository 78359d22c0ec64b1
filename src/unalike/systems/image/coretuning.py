"""Core-tuning: fine-tune a contrastively pretrained encoder with cross-entropy and contrast of mined, mixed features.

Cross-entropy asks that classes can be told apart, and not that they are compact. Core-tuning adds a supervised
contrastive loss in which pairs that fit already weigh less, and mixes features to make it harder: the farthest of a
picture's class with the nearest of another as a positive, almost whole other pictures as negatives; the classifier
learns from them too. Here the first stage is SimCLR on all pictures, the second learns from those with a label. As in
the paper, unlike the release, a hard positive is a positive of its picture and unmixed features get a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, evaluation, objectives, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, Start, needs

PAPER = Paper(
    number=116,
    probe={"steps": 8},
    slug="coretuning",
    title="Unleashing the Power of Contrastive Self-Supervised Visual Models via Contrast-Regularized Fine-Tuning",
    authors="Zhang, Hooi, Hu, Liang, Feng",
    year=2021,
    venue="NeurIPS",
    arxiv="2102.06605",
    modality="image",
    roles=("image",),
    labels=True,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    pretraining: float = 0.7  # share of the steps that SimCLR takes, ours; 0 for an encoder that is pretrained
    contrast: float = 1.0  # eta: the paper chooses among 0.1, 1 and 10; 0 for none
    mixtures: bool = True  # whether hard pairs are made at all
    temperature: float = 0.07  # authors' release
    alpha: float = 1.0  # release: shares from Beta(1, 1)
    least: float = 0.8  # release: a semi-hard negative is at least so much of the other picture
    output: int = 256  # release: of the contrast head, which has one hidden layer
    each: int = 4  # pictures of a class in a batch, ours
    view_temperature: float = 0.2  # of the pretraining, as our SimCLR, and so are its projector's 256 and 128


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=128, epochs=100)


def build(settings: Settings, task: training.Task) -> training.Learner:
    import torch
    from torch.nn.functional import cross_entropy, one_hot

    encoder = task.encoders["image"]
    classifier = encoders.linear(encoder.width, task.classes)
    head = encoders.projector(encoder.width, encoder.width, settings.output, batch_norm=False)
    modules = {"encoder": encoder, "classifier": classifier, "head": head}
    crop = views.ImageViews(encoder.size, crop_scale=(0.88, 1.0), jitter_p=0.0, gray=0.0, blur=0.0)  # as the release
    look = task.random_views("image", crop)

    def loss(seen):
        (pictures,), labels, generator = seen
        features = encoder(pictures).vector
        parts, targets = [features], [one_hot(labels, task.classes).to(features.dtype)]
        if settings.mixtures:
            drawn = {"classes": task.classes, "alpha": settings.alpha, "least": settings.least, "generator": generator}
            made = objectives.core_mixtures(features, labels, **drawn)
            parts += [made.positives, made.negatives]
            targets += [made.positive_labels, made.negative_labels]
        own, *hard = encoders.unit(head(torch.cat(parts))).split(len(labels))
        pairs = dict(zip(("positives", "negatives"), hard, strict=False))
        contrast = objectives.core_tuning(own, labels, temperature=settings.temperature, **pairs)
        return cross_entropy(classifier(torch.cat(parts)), torch.cat(targets)) + settings.contrast * contrast

    tuning = training.Stage(
        share=1 - settings.pretraining,
        views=lambda batch, generator: (look(batch, generator), batch.labels, generator),
        loss=loss,
        order=lambda inputs, batch, seed: training.ClassBalanced(inputs.labels, batch, seed, each=settings.each),  # type: ignore[arg-type]
        trains=("encoder", "classifier", "head"),
    )
    stages = [tuning]
    if settings.pretraining:
        modules["projector"] = projector = encoders.projector(encoder.width, 256, 128)
        view = views.simclr(encoder.size, strength=0.5)

        def agreement(pair):
            first, second = (encoders.unit(projector(encoder(pictures).vector)) for pictures in pair)
            return objectives.nt_xent(first, second, temperature=settings.view_temperature, same=pair.same)

        look_twice, trains = task.random_views("image", view, view), ("encoder", "projector")
        stages.insert(0, training.Stage(share=settings.pretraining, views=look_twice, loss=agreement, trains=trains))
    serves = (training.Embeds(), training.Classifies("image", lambda x: classifier(encoder(encoder.plain(x)).vector)))
    return training.Learner(modules=modules, encoders={"image": encoder}, stages=tuple(stages), serves=serves)


@needs("learner")
def accuracy(trial):  # the classifier has no bias, so that vectors of unit length do
    scores = trial.scored.vectors() @ trial.learner.modules["classifier"].weight.detach().numpy().T
    return (scores.argmax(axis=1) == trial.scored.labels()).mean()


@needs("learner")
def attacked_accuracy(trial):
    """The same after each pixel was moved by 4/255 to where the cross-entropy rises (fast gradient sign method)."""
    import torch
    from torch.nn.functional import cross_entropy

    modules, scored, right = trial.learner.modules, trial.scored, []
    labels, entries = torch.from_numpy(scored.labels()), next(iter(scored.inputs.prepared.values()))
    step = 4 / 255 / torch.tensor(views.ImageViews(24).std)[:, None, None]  # pixels are standardised
    for rows in torch.arange(len(scored)).split(512):
        pictures = modules["encoder"].plain(entries.take(rows.numpy())).requires_grad_()
        with torch.enable_grad():
            cost = cross_entropy(modules["classifier"](modules["encoder"](pictures).vector), labels[rows])
        moved = pictures + step * torch.autograd.grad(cost, pictures)[0].sign()
        with torch.no_grad():
            right.append(modules["classifier"](modules["encoder"](moved).vector).argmax(dim=1) == labels[rows])
    return torch.cat(right).double().mean()


def scatter(trial):
    return evaluation.scatter_ratio(trial.scored.vectors(), trial.scored.labels())


FEW = Bed(set="glyph-24", rows=240)
RATES = {"learning_rate": (1e-3, 3e-3, 1e-2, 3e-2)}
WEIGHTS = {"learning_rate": (3e-3, 1e-2), "contrast": (0.1, 1.0)}


def arm(tune, **settings):
    return Arm(bed=FEW, settings={"pretraining": 0.0, **settings}, tune=tune)


CLAIM = Claim(
    sentence="With few labels, contrast of hard mixtures beside cross-entropy fine-tunes better than cross-entropy.",
    bed=Bed(set="glyph-24"),
    views="gentle",
    start=Start(system="simclr", training={"batch_size": 128, "steps": 300, "learning_rate": 2e-3}),
    training={"batch_size": 96, "steps": 200},
    seeds=12,  # scatter differs much from seed to seed
    arms={
        "system": arm(WEIGHTS),
        "baseline": arm(RATES, contrast=0.0, mixtures=False),
        "contrast alone": arm(WEIGHTS, mixtures=False),
        "mixtures alone": arm(RATES, contrast=0.0),
    },
    measures=(
        Measure(name="accuracy, 10 labels a class", metric=accuracy),
        Measure(name="accuracy, against contrast without mixtures", metric=accuracy, against="contrast alone"),
        Measure(name="accuracy, against mixtures without contrast", metric=accuracy, against="mixtures alone"),
        Measure(name="accuracy under attack", metric=attacked_accuracy),
        Measure(name="kNN accuracy of the vectors", metric="knn"),
        Measure(name="scatter within over between classes", metric=scatter, better="lower", mechanism=True),
    ),
)
