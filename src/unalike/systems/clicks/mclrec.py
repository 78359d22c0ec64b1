"""MCLRec: views of a sequence that are learned, by small networks which take turns with the encoder.

Cropping and shuffling a history may destroy what it meant, and altered copies soon become easy to match. Here two small
networks make further views out of the copies' vectors. They learn by how well the encoder does after its step, in turns
with it, and a regulariser keeps their views from becoming one.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, training, views
from unalike.records import Claim, Paper, Recipe

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
    """The modules, and the losses that both ways of training them share."""
    from torch import nn

    encoder = task.encoders["clicks"]
    whole, half, quarter = (encoder.width // share for share in (1, 2, 4))

    def extractor():
        layers = nn.Linear(whole, half), nn.GELU(), nn.Linear(half, quarter), nn.GELU(), nn.Linear(quarter, whole)
        return nn.Sequential(*layers)

    modules = {"encoder": encoder, "first extractor": extractor(), "second extractor": extractor()}
    alter = views.ClickViews(mask_id=encoder.mask_id, crop=settings.crop, mask=settings.mask, reorder=settings.reorder)

    def look(batch, generator):
        [(clicks, _)] = batch.choose(task.roles["clicks"], generator)
        return clicks, *alter.views(clicks, generator, count=2)

    def next_item(clicks):
        follows = clicks.mask[:, 1:]
        states = encoder(clicks).tokens[:, :-1][follows]
        return objectives.next_item(states, encoder.items, clicks.ids[:, 1:][follows] - 1)

    def contrasts(altered):
        """The contrast between altered copies, and the contrast with learned views."""
        first, second = altered
        one, other = learned_views(modules, altered)
        pairs = ((first, other), (second, one), (one, other))
        learned = sum(
            objectives.nt_xent(*pair, temperature=1.0) + settings.margin * objectives.view_margin(*pair)
            for pair in pairs
        )
        return objectives.nt_xent(first, second, temperature=1.0), learned

    def loss(looks):
        clicks, *copies = looks
        plain, learned = contrasts([encoder(each).vector for each in copies])
        return next_item(clicks) + settings.weight * plain + settings.learned * learned

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
        plain, learned = contrasts(altered)
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

    modules = trial.learner.modules
    with torch.no_grad():
        [(_, *copies)] = trial.looks(len(trial.scored), scored=True)
        return learned_views(modules, [modules["encoder"](each).vector for each in copies])


def likeness_of_learned_views(trial):
    first, second = held_out_views(trial)
    return float((first * second).sum(1).mean())


def rank_of_learned_views(trial):
    import numpy as np

    from unalike import evaluation

    return evaluation.effective_rank(np.concatenate([each.numpy() for each in held_out_views(trial)]))


CLAIM = Claim(
    sentence="Learned views, trained in turns with the encoder, make the next item easier to find than altered copies do.",
    baseline="cl4srec",
)
