"""Pictures with texts in several languages: is what is found the same, whatever language asks?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unalike.errors import DataError
from unalike.evaluation.inputs import check_lengths
from unalike.evaluation.ranking import rank_relevant
from unalike.evaluation.relevance import Relevance
from unalike.search.blocks import Vectors


@dataclass(frozen=True)
class LanguageRanks:
    """Full ranks of the right answers, by row and language, in both directions; 0 where a row lacks the language.

    Args:
        languages: the K languages, in the order of the columns.
        texts: int64 ``(N, K)``: among all texts of language k, the rank of the one that belongs to picture i.
        pictures: int64 ``(N, K)``: among all pictures, the rank of the best that bears the text of row i in language k.
        sizes: how many texts, and how many pictures, were ranked for each language, ``(K,)`` each.
    """

    languages: tuple[str, ...]
    texts: np.ndarray
    pictures: np.ndarray
    sizes: tuple[np.ndarray, np.ndarray]

    def recall(self, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """For each language the share of queries whose answer is among the first k, ``(K,)``: texts, pictures."""
        texts, pictures = (
            np.array([(column[column > 0] <= k).mean() for column in ranks.T]) for ranks in (self.texts, self.pictures)
        )
        return texts, pictures


def language_ranks(
    pictures: Vectors,
    texts: Mapping[str, Vectors],
    *,
    present: Mapping[str, np.ndarray] | None = None,
    items: Mapping[str, np.ndarray] | None = None,
) -> LanguageRanks:
    """Rank the texts of each language for every picture, and the pictures for every text, exactly and to the end.

    Texts that rows share are one item: they are listed once, and every picture that bears one is a right answer.

    Args:
        pictures: ``(N, D)``.
        texts: by language ``(N, D)``, row i belonging to picture i; anything where the row lacks the language.
        present: by language bool ``(N,)``, false where a row lacks it; all there unless given.
        items: by language int64 ``(N,)``, equal where the texts are equal; all differ unless given.

    Raises:
        DataError: fewer than two languages, lengths that differ, or a language that no row has.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import language_ranks, rank_variance
        >>> space = np.eye(3)
        >>> ranks = language_ranks(space, {"en": space, "de": space[[1, 0, 2]]})
        >>> ranks.texts.tolist()
        [[1, 2], [1, 2], [1, 1]]
        >>> rank_variance(ranks.texts).tolist()
        [0.25, 0.25, 0.0]
    """
    if len(texts) < 2:
        raise DataError(f"got texts in {len(texts)} language(s); expected two or more to compare")
    present, items = present or {}, items or {}
    rows = np.arange(len(pictures))
    found = {
        "texts": np.zeros((len(rows), len(texts)), np.int64),
        "pictures": np.zeros((len(rows), len(texts)), np.int64),
    }
    sizes = np.zeros((2, len(texts)), np.int64)
    for number, (language, vectors) in enumerate(texts.items()):
        has = np.asarray(present.get(language, np.ones(len(rows), bool)), bool)
        item = np.asarray(items.get(language, rows))
        check_lengths(pictures=rows, texts=vectors, present=has, items=item)
        mine = np.flatnonzero(has)
        if not len(mine):
            raise DataError(f"no row has a text in {language!r}; leave the language out")
        listed = mine[np.unique(item[mine], return_index=True)[1]]
        asked, bearing = pictures[mine], np.where(has, item, -1)
        right = Relevance.from_groups(item[mine], item[listed]), Relevance.from_groups(item[mine], bearing)
        found["texts"][mine, number] = _best(asked, vectors[listed], right[0])
        found["pictures"][mine, number] = _best(vectors[mine], pictures, right[1])
        sizes[:, number] = len(listed), len(rows)
    return LanguageRanks(tuple(texts), found["texts"], found["pictures"], (sizes[0], sizes[1]))


def rank_variance(ranks: np.ndarray) -> np.ndarray:
    """How far a row's ranks lie apart over the languages: their variance, whose mean over rows is MRV, lower is better.

    ``(1/K) sum_k (r_k - mean_k r_k)^2`` of full ranks, for the rows that have all K languages: galleries of different
    sizes would vary a rank by themselves.

    Nie et al., *Improving the Consistency in Cross-Lingual Cross-Modal Retrieval with 1-to-K Contrastive Learning*
    (KDD 2024).

    Args:
        ranks: int ``(N, K)``, K >= 2, 0 where a row lacks the language.

    Returns:
        ``(Q,)``, a value for each row that has all languages; none may have.

    Raises:
        DataError: no matrix with two columns or more, or ranks below zero.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import rank_variance
        >>> rank_variance(np.array([[1, 1], [1, 5], [3, 0]])).tolist()
        [0.0, 4.0]
    """
    given = np.asarray(ranks)
    if given.ndim != 2 or given.shape[1] < 2 or (given < 0).any():
        raise DataError(f"got ranks of shape {given.shape}; expected (N, K) ranks from 1, K at least 2, 0 for missing")
    return np.asarray(given[(given > 0).all(axis=1)].astype(np.float64).var(axis=1))


def chance_rank_variance(sizes: np.ndarray) -> float:
    """What `rank_variance` is on average where each language ranks at random.

    Args:
        sizes: ``(K,)``, how many each language ranks.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import chance_rank_variance
        >>> chance_rank_variance(np.array([3, 3]))
        0.3333333333333333
    """
    sizes = np.asarray(sizes, np.float64)
    variances, means = (sizes**2 - 1) / 12, (sizes + 1) / 2
    return float((1 - 1 / len(sizes)) * variances.mean() + means.var())


def _best(queries: Vectors, corpus: Vectors, relevance: Relevance) -> np.ndarray:
    """The rank of each query's best answer."""
    return np.concatenate([strip.ranks[strip.offsets[:-1]] for strip in rank_relevant(queries, corpus, relevance)])
