"""Search by words alone: what a learned space of texts must be compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from unalike.errors import DataError, MissingExtra
from unalike.evaluation.measures import Retrieval, _measure
from unalike.evaluation.ranking import Ranks, _strip
from unalike.evaluation.relevance import Relevance

_QUERIES_AT_ONCE = 256


def bm25_retrieval(
    queries: Sequence[str],
    documents: Sequence[str],
    relevance: Relevance | None = None,
    *,
    measures: Sequence[str] = ("recall@1", "recall@10", "recall@100", "ndcg@10"),
) -> Retrieval:
    """How well BM25 finds documents: by the words that a query and a document share, rare ones counting more.

    Paper: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009; here in Lucene's form
    with k1 = 1.5 and b = 0.75, by the package bm25s. English stop words are left out, and words are not stemmed.

    Args:
        queries: what is asked.
        documents: what is searched.
        relevance: what answers what; document i answers query i unless given.
        measures: as for `retrieval`.

    Raises:
        MissingExtra: bm25s is not installed.
        DataError: numbers of queries, documents and the relevance do not fit, or nothing is relevant.

    Example:
        >>> from unalike.evaluation import bm25_retrieval
        >>> documents = ["a red car on the road", "a boat sails on the lake", "the road to the lake"]
        >>> bm25_retrieval(["cars: a red one", "sails", "road lake"], documents, measures=["recall@1"]).mean("recall@1")
        1.0
    """
    known = {name: _measure(name) for name in measures}
    relevance = relevance or Relevance.diagonal(len(queries))
    if (len(relevance), relevance.corpus) != (len(queries), len(documents)):
        raise DataError(
            f"{len(queries)} queries and {len(documents)} documents, and a relevance of {len(relevance)} queries and "
            f"{relevance.corpus} documents; expected as many of each"
        )
    strips = list(_rank_by_words(queries, documents, relevance))
    if not strips:
        raise DataError("no query has a relevant document; expected at least one to score")
    return Retrieval(
        {name: np.concatenate([measure(strip) for strip in strips]) for name, (measure, _) in known.items()},
        {
            name: float(np.concatenate([chance(strip) for strip in strips]).mean())
            for name, (_, chance) in known.items()
        },
        np.concatenate([strip.queries for strip in strips]),
    )


def _rank_by_words(queries: Sequence[str], documents: Sequence[str], relevance: Relevance) -> Iterator[Ranks]:
    try:
        import bm25s
    except ImportError as error:
        raise MissingExtra("bm25s", "search") from error
    index = bm25s.BM25()
    index.index(bm25s.tokenize(list(documents), stopwords="en", show_progress=False), show_progress=False)
    asked = bm25s.tokenize(list(queries), stopwords="en", return_ids=False, show_progress=False)
    for start in range(0, len(asked), _QUERIES_AT_ONCE):
        some = asked[start : start + _QUERIES_AT_ONCE]
        pairs = relevance.pairs(start, start + len(some))
        if len(pairs[0]):
            nothing = np.zeros(len(documents), np.float32)
            scores = np.stack([index.get_scores(words) if words else nothing for words in some])
            yield _strip(torch.from_numpy(scores), pairs, start, len(documents))
