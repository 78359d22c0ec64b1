"""SwAV: each crop of a picture predicts the cluster to which another crop was assigned; no pair is ever compared.

Crops are scored against prototypes, which are learned with the encoder. Codes, the soft assignments that the other
crops predict, are made under the condition that every prototype gets the same share of the batch (Sinkhorn's
iterations), so that not all pictures end in one cluster. Only two large crops get codes; many small and cheap crops
predict them as well (multi-crop).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from unalike import encoders, objectives, pairing, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=38,
    probe={"steps": 8},
    slug="swav",
    title="Unsupervised Learning of Visual Features by Contrasting Cluster Assignments",
    authors="Caron, Misra, Mairal, Goyal, Bojanowski, Joulin",
    year=2020,
    venue="NeurIPS",
    arxiv="2006.09882",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    prototypes: int = 60  # 3000 in the paper, three times ImageNet's classes
    temperature: float = 0.1  # appendix A
    epsilon: float = (
        0.03  # weight of the entropy: 0.05 in appendix A; the authors' code advises 0.03 if learning stalls
    )
    iterations: int = 3  # section 3.1: "3 iterations"
    small_crops: int = 4  # section 4: 2 x 224 + 6 x 96 pixels
    queue: int = (
        0  # section 4: 3,840 past vectors for batches of 256 and 3,000 prototypes; needed if batch < prototypes
    )
    queue_after: float = 0.04  # share of the training without it: 15 of 400 epochs in the authors' code
    frozen_epochs: int = 1  # appendix A: the prototypes rest in the first epoch
    hidden: int = 256  # as SimCLR
    output: int = 128  # as SimCLR


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=64, epochs=100)


def build(settings: Settings, task: training.Task) -> training.Learner:
    return compose(settings, task)


def compose(settings: Settings, task: training.Task, codes=None, scales=((0.14, 1.0), (0.05, 0.14)), base=None):
    """The learner with another rule that makes codes of scores, or with other crops."""
    import torch

    codes = codes or partial(objectives.sinkhorn_codes, epsilon=settings.epsilon, iterations=settings.iterations)
    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    prototypes = encoders.Prototypes(settings.prototypes, settings.output)
    sizes = [settings.queue, settings.queue] if settings.queue else []
    queues = torch.nn.ModuleList(pairing.Queue(size, settings.output) for size in sizes)
    counter = training.StepCounter()
    # A grid net reads one size only; other encoders read small crops as they are, which makes them cheap.
    small = encoder.size if isinstance(encoder, encoders.GridNet) else max(8, round(encoder.size * 96 / 224))
    # The colours are SimCLR's, at the strength for small pictures; the areas of the crops are the paper's.
    base = base or views.simclr(encoder.size, strength=0.5)
    crops = views.multi_crop((encoder.size, small), (2, settings.small_crops), scales, base)

    def loss(looks):
        vectors = torch.cat([encoder(torch.cat(crops)).vector for crops in (looks[:2], looks[2:]) if crops])
        vectors = encoders.unit(projector(vectors)).split(len(looks[0]))
        centres = prototypes.unit()
        if int(counter) < settings.frozen_epochs * task.steps_per_epoch:
            centres = centres.detach()
        scores = [each @ centres.T for each in vectors]
        rows = [score.detach() for score in scores[:2]]
        for crop, queue in enumerate(queues):
            if len(queue) == settings.queue:  # type: ignore[arg-type]
                rows[crop] = torch.cat([queue.vectors() @ centres.detach().T, rows[crop]])  # type: ignore[operator]
            if int(counter) >= settings.queue_after * task.steps:
                queue.push(vectors[crop])  # type: ignore[operator]
        assigned = [codes(each)[-len(looks[0]) :] for each in rows]
        return objectives.swapped_prediction(scores, assigned, temperature=settings.temperature)

    def follow(step):
        prototypes.normalize()
        counter.follow(step)

    modules = {"encoder": encoder, "projector": projector, "prototypes": prototypes}
    return training.Learner(
        modules=modules | {"queues": queues, "counter": counter},
        encoders={"image": encoder},
        views=task.random_views("image", *crops),
        loss=loss,
        after_step=follow,
    )


def without_balance(settings: Settings, task: training.Task) -> training.Learner:
    """The control: codes are the softmax of the scores, whatever share of the batch a prototype gets."""
    return compose(settings, task, lambda scores: (scores / settings.epsilon).softmax(dim=1))


def with_parts(settings: Settings, task: training.Task) -> training.Learner:
    """Multi-crop for letters: the large crops are `views.gentle`'s, the small ones show a part."""
    base = views.gentle(task.encoders["image"].size)
    return compose(settings, replace(task, view={}), scales=((0.7, 1.0), (0.3, 0.7)), base=base)


@needs("learner")
def evenness_of_use(trial):
    """Entropy of the training rows' nearest prototypes, over that of an even use: 0 if all choose the same one."""
    import torch

    parts = trial.learner.modules
    role, inputs = next(iter(trial.reference.spaces)), trial.reference.inputs
    scores = training.embed_inputs(inputs, role, parts["encoder"], parts["projector"], parts["prototypes"])
    shares = torch.bincount(scores.argmax(dim=1), minlength=scores.shape[1]) / len(scores)
    return torch.special.entr(shares).sum() / torch.tensor(float(scores.shape[1])).log()


TWO_CROPS = {"small_crops": 0}

CLAIM = Claim(
    sentence="Contrasting balanced cluster assignments of views learns better features than contrasting pairs.",
    baseline="simclr",
    bed=Bed(set="glyph-24", rows=2000),
    views="gentle",
    training={"batch_size": 64, "steps": 400},
    arms={
        "system": Arm(settings=TWO_CROPS),
        "without balance": Arm(build=without_balance, settings=TWO_CROPS, like="system"),
        # A step with four more crops takes 1.65 times as long.
        "small crops, equal time": Arm(build=with_parts, training={"steps": 240}, like="system"),
    },
    tune={"learning_rate": (1e-3, 2e-3)},
    measures=(
        Measure(name="kNN accuracy, batch 64", metric="knn"),
        Measure(name="evenness of use", metric=evenness_of_use, against="without balance", mechanism=True),
        Measure(name="kNN accuracy, balance", metric="knn", against="without balance", mechanism=True),
        Measure(
            name="kNN accuracy, small crops at equal time",
            metric="knn",
            arm="small crops, equal time",
            against="system",
        ),
    ),
)
