"""Symile: one score for a tuple of any number of modalities, so that what only all of them together say is learned.

CLIP's loss over pairs of modalities sees what two of them have in common. Here the score of a tuple is the sum over the
coordinates of the product of all its vectors, and each modality in turn tells its true tuple from tuples whose members
were shuffled independently: a bound on everything that the modalities say of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from unalike import claims, encoders, objectives, training, views
from unalike.errors import DataError
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe

PAPER = Paper(
    number=61,
    slug="symile",
    title="Contrasting with Symile: Simple Model-Agnostic Representation Learning for Unlimited Modalities",
    authors="Saporta, Puli, Goldstein, Ranganath",
    year=2024,
    venue="NeurIPS",
    arxiv="2411.01053",
    modality="image-text",
    roles=(),  # two or more modalities, whichever the data have
    spares=False,  # a tuple is a negative unless all of it is right, which happens now and then, as in the paper
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.07  # where it starts, as CLIP's; learned
    negatives: Literal["shuffled", "all"] = "shuffled"  # released code: "n", or "n_squared" of three modalities
    drop: float = 0.2  # probability that a row hides a modality that it has; the paper drops at random too
    output: int = 256  # as CLIP


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=0.1, batch_size=256, epochs=60, clip_norm=1.0)


def build(settings: Settings, task: training.Task) -> training.JointLearner:
    import torch

    towers = dict(task.encoders)
    if len(towers) < 2:
        raise DataError(f"symile compares two or more modalities; given: {', '.join(towers) or 'none'}")
    heads = torch.nn.ModuleDict({kind: encoders.linear(each.width, settings.output) for kind, each in towers.items()})
    absent = encoders.Absent(list(towers), settings.output)
    # Of unit vectors each further factor shrinks the score by the root of their length: begin where CLIP does.
    shrunk = settings.output ** ((len(towers) - 2) / 2)
    scale = encoders.LogitScale(shrunk / settings.temperature, maximum=100 * shrunk)
    own = {"image": views.gentle(towers["image"].size)} if "image" in towers else {}

    def views_of(batch, generator):
        seen = training.every_kind(task, batch, generator, own=own, drop=settings.drop)
        return seen, int(torch.randint(2**62, (), generator=generator))

    def loss(seen):
        shown, seed = seen
        vectors = []
        for kind, each in shown.items():
            found = None
            if each.entries is not None:
                found = encoders.unit(heads[kind](towers[kind](each.entries).vector))
            vectors.append(absent.fill(kind, found, each.rows, each.count))
        return objectives.symile(
            vectors,
            logit_scale=scale(),
            negatives=settings.negatives,
            generator=torch.Generator().manual_seed(seed),
        )

    def join(given, target):
        count = len(next(iter(given.values())))
        there = {kind: absent.replace(kind, vectors) for kind, vectors in given.items()}
        return prod(
            (there.get(kind, absent(kind).expand(count, -1)) for kind in towers if kind != target),
            start=torch.ones(()),
        )

    return training.JointLearner(
        modules={**towers, "heads": heads, "absent": absent, "scale": scale},
        encoders=towers,
        views=views_of,
        loss=loss,
        project=dict(heads.items()),
        join=join,
    )


def xor(share: str) -> Bed:
    """The paper's simulation: the third row of bits is the exclusive or of two with this probability."""
    return Bed(set=f"xor:{share}", roles={kind: (kind,) for kind in ("array", "points", "series")})


def on_xor(share: str, system: str | None = None, drop: float = 0.0) -> Arm:
    return Arm(
        system=system,
        bed=xor(share),
        settings={"output": 16, "drop": drop},  # with affine encoders, as in the paper
        training={"steps": 150, "batch_size": 256},
        tune={"learning_rate": (3e-3, 1e-2)},
    )


WHOLE = {"output": 64, "drop": 0.0}  # nothing is missing in this set

CLAIM = Claim(
    sentence="What only three modalities together say is learned from their joint score and not from pairs.",
    baseline="audioclip",
    bed=Bed(set="three-names", roles={kind: (kind,) for kind in ("image", "text", "audio")}),
    encoder={
        "text": {"name": "ngram", "buckets": 4096, "table": 64, "hidden": 128, "width": 128},
        "image": {"name": "grid", "widths": (16, 32, 64), "width": 128},
        "audio": {"name": "mel", "mels": 40, "width": 32, "depth": 1, "seconds": 0.8},
        **{kind: {"name": "affine", "width": 16} for kind in ("array", "points", "series")},
    },
    training={"steps": 300, "batch_size": 128, "weight_decay": 0.1, "clip_norm": 1.0},
    tune={"learning_rate": (1e-3, 3e-3)},
    arms={
        "system": Arm(settings=WHOLE),
        "baseline": Arm(system="audioclip", settings=WHOLE),
        "xor 1": on_xor("1"),
        "xor 1, pairs": on_xor("1", "audioclip"),
        "xor 0.6": on_xor("0.6"),
        "xor 0.6, pairs": on_xor("0.6", "audioclip"),
        "xor 1, cells missing": on_xor("1", drop=0.3),
        "xor 1, cells missing, pairs": on_xor("1", "audioclip", drop=0.3),
    },
    measures=(
        Measure(name="the picture meant, of three named", metric=claims.completed, mechanism=True),
        Measure(
            name="pairs alone: 1/3 by chance", metric=claims.completed, arm="baseline", against=0.38, better="lower"
        ),
        *(
            Measure(name=f"{arm}: one of 32", metric=claims.completed, arm=arm, against=f"{arm}, pairs", mechanism=True)
            for arm in ("xor 1", "xor 0.6", "xor 1, cells missing")
        ),
    ),
    seeds=3,
)
