"""MCLRec: views of a sequence that are learned, by small networks which take turns with the encoder.

Cropping and shuffling a history may destroy what it meant, and altered copies soon become easy to match. Here two small
networks make further views out of the copies' vectors. They learn by how well the encoder does after its step, in turns
with it, and a regulariser keeps their views from becoming one.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import claims, encoders, evaluation, objectives, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=35,
    slug="mclrec",
    title="Meta-optimized Contrastive Learning for Sequential Recommendation",
    authors="Qin, Yuan, Zhao, Fang, Zhuang, Liu, Sheng",
    year=2023,
    venue="SIGIR",
    arxiv="2304.07763",
    modality="clicks",
    roles=("clicks",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    weight: float = 0.03  # the release's command for Yelp: of the contrast between altered copies
    learned: float = 0.1  # the same: of the contrast with learned views
    margin: float = 0.1  # the release: of the regulariser
    crop: float = 0.5  # the release: share that a crop keeps
    mask: float = 0.5  # the release: share that is masked
    reorder: float = 0.8  # the release: share that is shuffled


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=128, epochs=60)


def parts(settings, task):
    """The modules, what the loss looks at, and the losses that both ways of training share."""
    from torch import nn

    encoder = task.encoders["clicks"]
    alter = views.ClickViews(mask_id=encoder.mask_id, crop=settings.crop, mask=settings.mask, reorder=settings.reorder)
    whole, half, quarter = (encoder.width // share for share in (1, 2, 4))

    def extractor():
        layers = nn.Linear(whole, half), nn.GELU(), nn.Linear(half, quarter), nn.GELU(), nn.Linear(quarter, whole)
        return nn.Sequential(*layers)

    modules = {"encoder": encoder, "first extractor": extractor(), "second extractor": extractor()}

    def look(batch, generator):
        [(clicks, _)] = batch.choose(task.roles["clicks"], generator)
        return training.Looks([clicks, *alter.views(clicks, generator, count=2)], batch.same)

    def contrasts(first, second, same):
        """The contrast between altered copies, and the contrast with learned views."""
        one, other = learned_views(modules, (first, second))
        pairs = ((first, other), (second, one), (one, other))
        learned = sum(
            objectives.nt_xent(*pair, temperature=1.0, same=same) + settings.margin * objectives.view_margin(*pair)
            for pair in pairs
        )
        return objectives.nt_xent(first, second, temperature=1.0, same=same), learned

    def loss(looks):
        states, items = encoder.lessons(looks[0])
        first, second = (encoder(each).vector for each in looks[1:])
        plain, learned = contrasts(first, second, looks.same)
        return objectives.next_item(states, encoder.items, items) + settings.weight * plain + settings.learned * learned

    return modules, look, contrasts, loss


def learned_views(modules, altered):
    """The extractors' views of the vectors of two altered copies, of unit length."""
    extractors = (modules["first extractor"], modules["second extractor"])
    return [encoders.unit(extractor(vector)) for extractor, vector in zip(extractors, altered, strict=True)]


def build(settings: Settings, task: training.Task) -> training.Learner:
    import torch

    modules, look, contrasts, loss = parts(settings, task)
    encoder = modules["encoder"]
    extractors = [*modules["first extractor"].parameters(), *modules["second extractor"].parameters()]

    def updates(looks):
        yield loss(looks), encoder.parameters()
        with torch.no_grad():
            altered = [encoder(each).vector for each in looks[1:]]
        plain, learned = contrasts(*altered, looks.same)
        yield settings.weight * plain + learned, extractors
        yield loss(looks), encoder.parameters()

    return training.Learner(modules=modules, encoders={"clicks": encoder}, views=look, updates=updates)


def together(settings, task):
    """The control: encoder and extractors move in one step, by one loss."""
    modules, look, _, loss = parts(settings, task)
    return training.Learner(modules=modules, encoders={"clicks": modules["encoder"]}, views=look, loss=loss)


def held_out_views(trial):
    """Learned views of two altered copies of the scored rows."""
    import torch

    with torch.no_grad():
        [(_, *copies)] = trial.looks(len(trial.scored), scored=True)
        return learned_views(trial.learner.modules, [trial.learner.modules["encoder"](each).vector for each in copies])


@needs("training")
def likeness_of_views(trial):
    first, second = held_out_views(trial)
    return (first * second).sum(1).mean()


@needs("training")
def rank_of_views(trial):
    return evaluation.effective_rank(held_out_views(trial)[0].numpy())


SAME = {"crop": 0.5, "mask": 0.5, "reorder": 0.8}

CLAIM = Claim(
    sentence="Learned views, trained in turns with the encoder, find the next item more often than altered copies do.",
    baseline="cl4srec",
    bed=Bed(set="movielens", columns={"user": "person", "item": "film", "time": "time"}),
    encoder={"clicks": {"name": "sasrec", "width": 32, "depth": 1, "length": 10, "dropout": 0.3}},
    training={"steps": 200, "batch_size": 128, "learning_rate": 3e-3},
    arms={
        "system": Arm(tune={"learned": (0.01, 0.1)}),
        "baseline": Arm(system="cl4srec", settings=SAME, tune={"weight": (0.01, 0.1)}),
        "twice the steps": Arm(system="cl4srec", settings=SAME, training={"steps": 400}, like="baseline"),
        "sasrec": Arm(system="sasrec", tune={"learning_rate": (1e-3, 3e-3)}),
        "in one step": Arm(build=together, like="system"),
    },
    measures=(
        Measure(name="HR@10", metric=claims.hr_at_10),
        Measure(name="NDCG@10", metric=claims.next_item_ndcg_at_10),
        Measure(name="HR@10, CL4SRec in twice the steps", metric=claims.hr_at_10, against="twice the steps"),
        Measure(name="HR@10 against SASRec", metric=claims.hr_at_10, against="sasrec"),
        Measure(name="effective rank of learned views", metric=rank_of_views, against="in one step", mechanism=True),
        Measure(name="their likeness", metric=likeness_of_views, against="in one step", better="lower", mechanism=True),
    ),
    seeds=3,
)
