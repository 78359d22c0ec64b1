"""Contriever: two pieces of one document, cut independently, are each other's positive; the negatives wait in a queue.

The pieces may overlap or lie apart, so that both the same words and the same subject are learned to match, as a search
needs; a piece against the rest of its document (the inverse cloze task) never shares a place. A slowly moving teacher
makes the keys, of which a queue keeps those of many batches. Of several columns of texts the first holds the documents;
the others, such as queries or titles, are embedded and never learned from.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import claims, encoders, objectives, pairing, training, views
from unalike.records import Arm, Claim, Measure, Paper, Recipe, SearchBed
from unalike.systems.text import bert

PAPER = Paper(
    number=29,
    slug="contriever",
    title="Unsupervised Dense Information Retrieval with Contrastive Learning",
    authors="Izacard, Caron, Hosseini, Riedel, Bojanowski, Joulin, Grave",
    year=2022,
    venue="TMLR",
    arxiv="2112.09118",
    modality="text",
    roles=("text",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.05  # appendix A.1
    shortest: float = 0.05  # appendix A.1: share of a document in a piece, at least
    longest: float = 0.5  # and at most
    delete: float = 0.1  # appendix A.1: share of a piece's tokens that are deleted
    momentum: float = 0.999  # as in its many languages; 0.9995 in appendix A.1. A fast teacher leaves its queue behind
    queue: int = 4096  # 131,072 in appendix A.1, 64 batches
    normalise: bool = True  # False in the released code: dot products; a search here compares directions


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-2, batch_size=64, epochs=5, clip_norm=1.0)


def build(settings: Settings, task: training.Task) -> training.Learner:
    piece = views.TextViews(crop=(settings.shortest, settings.longest), delete=settings.delete)
    return with_queue(settings, task, lambda texts, generator: (piece(texts, generator), piece(texts, generator)))


def with_queue(settings, task, pieces):
    """A student's queries among a slow teacher's keys, of this batch and of earlier ones."""
    import torch

    encoder = task.encoders["text"]
    teacher = encoders.EMATeacher(encoder, settings.momentum)
    queue = pairing.Queue(width=encoder.width, extra=("document",), **task.queue(settings.queue))

    def look(batch, generator):
        [(texts, codes)] = batch.choose(task.roles["text"][:1], generator)
        return training.Looks([*pieces(texts, generator), codes], batch.same)

    def loss(seen):
        first, second, codes = seen
        queries, keys = score_space(settings, encoder(first)), score_space(settings, teacher(second))
        # In a small collection the queue still holds this batch's documents: no negatives of themselves.
        others = ~torch.isin(queue.column("document"), codes) & queue.unlike(seen.same)
        value = objectives.info_nce(
            queries,
            keys,
            temperature=settings.temperature,
            pairing=pairing.PairsOnly(),  # released code: negatives are the queue's alone
            extra_negatives=queue.vectors()[others],
        )
        queue.push(keys, seen.same, document=codes)
        return value

    return training.Learner(
        modules={"encoder": encoder, "teacher": teacher, "queue": queue},
        encoders={"text": encoder},
        views=look,
        loss=loss,
        after_step=lambda step: teacher.update(),
        frozen=("teacher", "queue"),
    )


def score_space(settings, encoded):
    """Vectors whose dot products are compared: of length one, or in the length that the encoder gave them."""
    # Tokens are normalised to the square root of their width: divided by it, both ways begin at like temperatures.
    return encoders.unit(encoded.vector) if settings.normalise else encoded.vector / encoded.vector.shape[1] ** 0.5


def inverse_cloze(settings: Settings, task: training.Task) -> training.Learner:
    """The control: a span of a document among the rests of documents, with the same teacher and queue."""
    return with_queue(settings, task, views.InverseCloze(share=(settings.shortest, settings.longest)))


def untrained(settings: Settings, task: training.Task) -> training.Learner:
    """The same encoder and tokenizer with fresh weights, as its language model began."""
    encoder = task.encoders["text"]
    encoder.pretrained = False
    encoder.load_state_dict(encoders.fresh_encoder(encoder).state_dict())
    bert.build(bert.Settings(), task)
    return build(settings, task)


CLAIM = Claim(
    sentence="Pieces cut independently from a document teach a search of unseen queries, more than a piece against"
    " the rest does, and are the better start for learning from few labelled queries.",
    bed=SearchBed(set="descriptions", roles={"text": ("text",)}, rows=12_800),
    start=bert.BASE,
    training={"steps": 100, "batch_size": 64},
    # The paper's documents are of 256 tokens, these of 64: a twentieth of one is three tokens.
    tune={"learning_rate": (3e-4, 1e-3), "shortest": (0.05, 0.2)},
    arms={
        "baseline": Arm(build=inverse_cloze),
        "hidden words alone": Arm(training={"learning_rate": 0.0}),
        "from scratch": Arm(build=untrained, training={"learning_rate": 0.0}),
    },
    measures=(
        Measure(name="R@100, against the inverse cloze task", metric=claims.recall_at_100),
        Measure(name="R@100, against hidden words alone", metric=claims.recall_at_100, against="hidden words alone"),
        Measure(name="nDCG@10, against the inverse cloze task", metric=claims.ndcg_at_10),
        Measure(
            name="R@100 after 500 labelled queries, against hidden words alone",
            metric=claims.recall_after_500_pairs,
            against="hidden words alone",
            mechanism=True,
        ),
        Measure(
            name="R@100 after 500 labelled queries, against from scratch",
            metric=claims.recall_after_500_pairs,
            against="from scratch",
            mechanism=True,
        ),
    ),
    seeds=3,
)
