"""Measures of encoders of sentences: what people say about words, descriptions found, and how vectors lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from unalike import encoders, evaluation
from unalike.data import TextColumn, open_set

if TYPE_CHECKING:
    from unalike.claims.searches import Searching

SCORED = 1000
"""Rows that are looked at of those that are scored."""


@dataclass(frozen=True)
class Rated:
    """Pairs of words of one study whose senses WordNet lists: for each the rows of the senses, and the rating."""

    first: list[np.ndarray]
    second: list[np.ndarray]
    ratings: np.ndarray


@cache
def rated_words(split: str) -> tuple[list[str], dict[str, Rated]]:
    """Definitions of the words of some rated pairs, and by study the pairs; those with an unknown word are left out.

    Args:
        split: ``validation`` or ``test`` of the set ``word-similarity``.
    """
    pairs, wordnet = open_set("word-similarity"), open_set("wordnet")
    study, lemmas = pairs.label, wordnet["text:lemmas"]
    assert study is not None and isinstance(lemmas, TextColumn)
    rows = pairs.splits[split].tolist()
    texts = {role: [(pairs[role][row] or "").lower() for row in rows] for role in ("text", "text:second")}
    wanted = {word for column in texts.values() for word in column}
    senses: dict[str, list[int]] = {}
    for sense, words in enumerate(lemmas):
        for lemma in wanted.intersection((words or "").lower().split(", ")):
            senses.setdefault(lemma, []).append(sense)
    used = sorted({sense for found in senses.values() for sense in found})
    place = {sense: number for number, sense in enumerate(used)}
    rows_of = {word: np.array([place[sense] for sense in found]) for word, found in senses.items()}
    studies: dict[str, Rated] = {}
    for name in study.names:
        known = [
            (rows_of[one], rows_of[other], pairs["array"][row][0])
            for row, one, other in zip(rows, texts["text"], texts["text:second"], strict=True)
            if study[row] == name and one in rows_of and other in rows_of
        ]
        first, second, ratings = zip(*known, strict=True)
        studies[name] = Rated(list(first), list(second), np.array(ratings))
    return [wordnet["text"][sense] or "" for sense in used], studies


def gloss_correlation(trial: Searching) -> float:
    """Spearman's correlation of human ratings of word pairs with the cosine of the words' closest definitions.

    The mean of SimLex-999 and WordSim-353.
    """
    chosen = np.array_equal(trial.rows, trial.ground.validation)
    glosses, studies = rated_words("validation" if chosen else "test")
    vectors = encoders.embed_texts(trial.encoder, glosses)
    return float(
        np.mean([evaluation.sense_correlation(vectors, r.first, r.second, r.ratings) for r in studies.values()])
    )


def description_found(trial: Searching) -> float:
    """How often the short description of a package finds its long one among the first ten of 1,000."""
    rows = trial.rows[:SCORED]
    short, long = (encoders.embed_texts(trial.encoder, trial.texts(role, rows)) for role in ("text:query", "text"))
    return evaluation.retrieval(short, long, measures=["recall@10"]).mean("recall@10")


def sentence_uniformity(trial: Searching) -> float:
    """Of the sentences that are scored."""
    return float(evaluation.uniformity(sentences(trial)))


def sentence_rank(trial: Searching) -> float:
    """Exponential of the entropy of the singular values of the sentences that are scored."""
    return float(evaluation.effective_rank(sentences(trial)))


def alignment_of_passes(trial: Searching) -> float:
    """Mean squared distance of two passes with dropout over each scored sentence; lower is more aligned."""
    import torch

    encoder = trial.encoder
    packed = encoder.prepare(TextColumn(trial.texts(trial.roles[1], trial.rows[:SCORED])))
    looks: list[list[np.ndarray]] = [[], []]
    was = encoder.training
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(trial.seed)
        encoder.train()
        for start in range(0, len(packed), 500):
            tokens = packed.take(np.arange(start, min(start + 500, len(packed))))
            for look in looks:
                look.append(encoder(tokens).vector.numpy())
        encoder.train(was)
    return float(evaluation.alignment(np.concatenate(looks[0]), np.concatenate(looks[1])))


def sentences(trial: Searching) -> np.ndarray:
    """Vectors of the scored texts of the role that was learned from."""
    return encoders.embed_texts(trial.encoder, trial.texts(trial.roles[1], trial.rows[:SCORED]))
