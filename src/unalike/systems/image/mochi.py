"""MoCHi: on MoCo v2, mix new and harder negatives for each query from the hardest ones in the queue.

As training goes on ever fewer negatives of the queue still matter, and a longer queue adds mostly easy ones. MoCHi
makes hard ones where they are needed: mixtures of two of a query's hardest negatives, and mixtures of a hard negative
with the query itself, in which the negative has the larger share. They are made anew in each step and never stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, evaluation, objectives, pairing, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=37,
    slug="mochi",
    title="Hard Negative Mixing for Contrastive Learning",
    authors="Kalantidis, Sariyildiz, Pion, Weinzaepfel, Larlus",
    year=2020,
    venue="NeurIPS",
    arxiv="2010.01028",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.2  # as MoCo v2
    momentum: float = 0.99  # as our MoCo v2; 0.999 with 1.28 million pictures
    queue: int = 4096  # as our MoCo v2; 16,384 for ImageNet-100 in the paper, 65,536 for ImageNet
    hardest: int = 256  # N: 1,024 of 16,384 in the paper, a sixteenth of the queue
    mixtures: int = 256  # s: as many as N, of (N, s, s') = (1024, 1024, 128)
    query_mixtures: int = 32  # s': an eighth of N, of the same
    begin: float = 0.1  # share of the steps before mixing: about the first tenth of the epochs in the paper
    hidden: int = 256  # as our MoCo v2
    output: int = 128  # as MoCo v2


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=128, epochs=100)


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    dictionary = pairing.MomentumDictionary(
        encoder, projector, momentum=settings.momentum, width=settings.output, **task.queue(settings.queue)
    )
    view = views.moco_v2(encoder.size)
    look = task.random_views("image", view, view)

    def cost(queries, keys, negatives, generator):
        if not len(negatives) or dictionary.updates < settings.begin * task.steps:
            plain = {"pairing": pairing.PairsOnly(), "extra_negatives": negatives}  # MoCo's loss, of an empty queue too
            return objectives.info_nce(queries, keys, temperature=settings.temperature, **plain)
        return objectives.mochi(
            queries,
            keys,
            negatives,
            temperature=settings.temperature,
            generator=generator,
            hardest=min(settings.hardest, len(negatives)),
            mixtures=settings.mixtures,
            query_mixtures=settings.query_mixtures,
        )

    def loss(seen):
        (first, second), generator = seen
        queries, keys = encoders.unit(projector(encoder(first).vector)), dictionary.keys(second)
        value = cost(queries, keys, dictionary.negatives(seen[0].same), generator)
        dictionary.push(keys, seen[0].same)
        return value

    return training.Learner(
        modules={"encoder": encoder, "projector": projector, "dictionary": dictionary},
        encoders={"image": encoder},
        views=lambda batch, generator: (look(batch, generator), generator),
        loss=loss,
        after_step=dictionary.follow,
        frozen=("dictionary",),
    )


def scores(trial):
    """Of held-out queries: the positive's score, the queue's highest, and MoCHi's highest mixture with the query."""
    import torch

    modules, settings, found = trial.learner.modules, trial.settings, []
    queue = modules["dictionary"].negatives()
    for seen in trial.looks(128, 3, scored=True):
        (first, second), generator = seen if isinstance(settings, Settings) else (seen, None)
        with torch.no_grad():
            queries = encoders.unit(modules["projector"](modules["encoder"](first).vector))
            ranked = (queries @ queue.T).sort(dim=1, descending=True)
            columns = [(queries * modules["dictionary"].keys(second)).sum(dim=1), ranked.values[:, 0]]
            if generator is not None:
                drawn = torch.randint(settings.hardest, (settings.query_mixtures,), generator=generator)
                share = objectives.uniform_weights((len(queries), len(drawn), 1), 0.0, 0.5, generator=generator)
                mixed = objectives.mix(queries[:, None], queue[ranked.indices[:, drawn]], share, renormalize=True)
                columns.append((queries[:, None] * mixed).sum(dim=2).amax(dim=1))
        found.append(torch.stack(columns))
    return torch.cat(found, dim=1)


@needs("training")
def mixtures_beyond_the_hardest(trial):
    """Share of the queries for which a mixture with the query scores higher than every negative of the queue."""
    found = scores(trial)
    return (found[2] > found[1]).double().mean()


@needs("training")
def proxy_accuracy(trial):
    """How often the positive scores higher than the queue and, of MoCHi, the mixtures with the query."""
    found = scores(trial)
    return (found[0] > found[1:].amax(dim=0)).double().mean()


def found_in_the_other_style(trial):
    """Recall@1 of things that were never seen: asked by one vendor's picture, found among another's."""
    asked, searched = trial.scored.spaces.values()
    return evaluation.retrieval(asked, searched, measures=["recall@1"]).mean("recall@1")


CLAIM = Claim(
    sentence="Hard negatives mixed for each query make MoCo's space transfer better than more negatives do.",
    baseline="moco-v2",
    bed=Bed(set="emoji", roles={"image": ("image:google", "image:twitter")}),
    views="gentle",
    training={"batch_size": 64, "steps": 300},
    arms={
        "system": Arm(settings={"queue": 256, "hardest": 32, "mixtures": 32, "query_mixtures": 8}),
        "baseline": Arm(system="moco-v2", settings={"queue": 256}),
        "longer queue": Arm(system="moco-v2", settings={"queue": 1024}),
    },
    tune={"learning_rate": (1e-3, 3e-3)},
    measures=(
        Measure(name="the same thing in another style, R@1", metric=found_in_the_other_style),
        Measure(name="R@1 against a queue of 1,024", metric=found_in_the_other_style, against="longer queue"),
        Measure(name="linear probe, at most 0.02 below", metric="linear_probe", margin=-0.02),
        Measure(
            name="queries with a mixture beyond the hardest",
            metric=mixtures_beyond_the_hardest,
            against=0.5,
            mechanism=True,
        ),
        Measure(name="accuracy of the proxy task", metric=proxy_accuracy, better="lower", mechanism=True),
        Measure(name="uniformity", metric="uniformity", better="lower", mechanism=True),
    ),
)
