"""What can be reached without learning anything: raw features to put beside every score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from unalike.data import Column, TextColumn
from unalike.errors import DataError, SettingsError
from unalike.evaluation.inputs import matrix, mean_and_deviation
from unalike.search.blocks import Vectors

if TYPE_CHECKING:
    from unalike.encoders import Prepared

Given = TypeVar("Given")

# Texts whose vectors are filled in together.
_TEXTS_AT_ONCE = 4096

# Beyond so many texts so many directions of their n-grams are kept.
_MANY_TEXTS, _DIRECTIONS = 20_000, 256


def with_floors(
    metric: Callable[[Given], float], model: Given, floors: Mapping[str, Given]
) -> tuple[float, dict[str, float]]:
    """A metric of a model's vectors, and of each floor's.

    Args:
        metric: takes what the model or a floor gives, returns a number.
        model: the vectors that were learnt, in the form ``metric`` takes.
        floors: by name, the same of raw features, of a random encoder, and so on.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import effective_rank, with_floors
        >>> with_floors(effective_rank, np.eye(4), {"constant": np.ones((4, 4))})
        (4.0, {'constant': 1.0})
    """
    return float(metric(model)), {name: float(metric(floor)) for name, floor in floors.items()}


def pixel_vectors(pictures: Sequence[Any], *, size: int = 16, fit_on: Sequence[Any] | None = None) -> np.ndarray:
    """Pictures as vectors without a model: small, flat, and each pixel standardised over the pictures.

    Args:
        pictures: PIL pictures, such as an `ImageColumn`; None where one is missing, which becomes a row of zeros.
        size: side in pixels that each picture is brought to.
        fit_on: pictures that give mean and deviation, such as the training split; these pictures unless given.

    Returns:
        ``(N, 3 * size * size)`` float32, of unit length.

    Raises:
        DataError: no pictures.
        SettingsError: a size below one.

    Example:
        >>> from PIL import Image
        >>> from unalike.evaluation import pixel_vectors
        >>> pixel_vectors([Image.new("RGB", (9, 9), name) for name in ("red", "blue")], size=2).shape
        (2, 12)
    """
    if size < 1:
        raise SettingsError(f"got size={size}; expected at least 1")
    present, pixels = _small(pictures, size)
    known, learnt = (present, pixels) if fit_on is None else _small(fit_on, size)
    return standard_vectors(pixels, fit_on=learnt[known]) * present[:, None]


def text_vectors(
    texts: Sequence[str | None], *, dimensions: int = 2048, fit_on: Sequence[str | None] | None = None
) -> np.ndarray:
    """Texts as vectors without a model: hashed n-grams of three to five characters, weighted by TF-IDF.

    Of more than 20,000 texts, here or in ``fit_on``, only the 256 leading directions are kept (latent semantic
    analysis, learnt on 20,000 of ``fit_on``): all of them would need gigabytes.

    Args:
        texts: such as a `TextColumn`; a missing or empty one becomes a row of zeros.
        dimensions: hash buckets.
        fit_on: texts that say how common each n-gram is, such as the training split; these unless given.

    Returns:
        ``(N, dimensions)`` float32, of unit length; of very many texts ``(N, 256)``.

    Raises:
        DataError: no texts.
        SettingsError: fewer than one dimension.

    Example:
        >>> from unalike.evaluation import text_vectors
        >>> vectors = text_vectors(["red bicycle", "a red bicycle", "stormy sea"])
        >>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
        True
    """
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    if dimensions < 1:
        raise SettingsError(f"got dimensions={dimensions}; expected at least 1")
    hashing = HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), n_features=dimensions, alternate_sign=False, norm=None, dtype=np.float32
    )
    asked = _texts(texts)
    counts = hashing.transform(asked)
    learnt = counts if fit_on is None else hashing.transform(_texts(fit_on))
    weigh = TfidfTransformer(sublinear_tf=True).fit(learnt)
    leading = None
    if max(counts.shape[0], learnt.shape[0]) > _MANY_TEXTS and dimensions > _DIRECTIONS:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.preprocessing import normalize

        sample = np.unique(np.linspace(0, learnt.shape[0] - 1, _MANY_TEXTS).astype(int))
        leading = TruncatedSVD(_DIRECTIONS, random_state=0).fit(weigh.transform(learnt[sample]))
    found = np.zeros((counts.shape[0], dimensions if leading is None else _DIRECTIONS), dtype=np.float32)
    for start in range(0, len(found), _TEXTS_AT_ONCE):
        rows = slice(start, start + _TEXTS_AT_ONCE)
        weighted = weigh.transform(counts[rows])
        if leading is None:
            weighted.toarray(out=found[rows])
        else:
            found[rows] = normalize(leading.transform(weighted))
    return found


def standard_vectors(vectors: Vectors, *, fit_on: Vectors | None = None) -> np.ndarray:
    """Features as they come, each standardised, each row of unit length: the floor for arrays.

    Args:
        vectors: ``(N, F)`` numbers.
        fit_on: ``(M, F)``, what gives mean and deviation, such as the training split; the vectors unless given.

    Returns:
        ``(N, F)`` float32. A feature that does not vary becomes zero.

    Raises:
        DataError: no matrix, or numbers that are not finite.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import standard_vectors
        >>> standard_vectors(np.array([[1.0, 7], [3, 7]])).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """
    values = matrix(vectors, "vectors").numpy()
    learnt = values if fit_on is None else matrix(fit_on, "fit_on").numpy()
    mean, deviation = mean_and_deviation(learnt)
    scaled = (values - mean) / deviation
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.maximum(lengths, 1e-12)


def raw(
    column: Column, prepared: Prepared, rows: np.ndarray | None = None, *, fit_on: np.ndarray | None = None
) -> np.ndarray:
    """Vectors without a model of any column: n-grams of texts, else what its entries are, standardised.

    Args:
        column: the column.
        prepared: the same, prepared by an encoder.
        rows: which of its rows; all unless given.
        fit_on: rows that give mean and deviation, or say how common n-grams are, such as the training split; ``rows``
            unless given.

    Returns:
        ``(N, F)`` float32, of unit length.

    Example:
        >>> import numpy as np
        >>> from unalike.data import TextColumn
        >>> from unalike.encoders import build_encoder
        >>> from unalike.evaluation import raw
        >>> texts = TextColumn(["red bicycle", "stormy sea"])
        >>> raw(texts, build_encoder("ngram", [texts]).prepare(texts)).shape
        (2, 2048)
    """
    every = np.arange(len(column))
    which = every if rows is None else rows
    if isinstance(column, TextColumn):
        texts = [column[int(row)] for row in which]
        learnt = None if fit_on is None else [column[int(row)] for row in fit_on]
        return text_vectors(texts, fit_on=learnt)
    entries = described(prepared, which)
    if fit_on is None:
        return standard_vectors(entries)
    return standard_vectors(entries, fit_on=entries[fit_on] if rows is None else described(prepared, fit_on))


def described(prepared: Prepared, rows: np.ndarray) -> np.ndarray:
    """Some prepared rows as ``(N, F)`` float32 without a model: as the column describes itself, or flat.

    What is missing is 0.
    """
    found = prepared.raw(rows)
    return np.nan_to_num(np.asarray(found, np.float32).reshape(len(rows), -1))


def _small(pictures: Sequence[Any], size: int) -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image

    if not len(pictures):
        raise DataError("got no pictures; expected one at least")
    present = np.zeros(len(pictures), dtype=bool)
    pixels = np.zeros((len(pictures), 3 * size * size), dtype=np.float32)
    for row in range(len(pictures)):
        picture = pictures[row]
        if picture is not None:
            small = picture.convert("RGB").resize((size, size), Image.Resampling.BOX)
            present[row], pixels[row] = True, np.asarray(small, dtype=np.float32).ravel() / 255
    if not present.any():
        raise DataError(f"all of {len(pictures)} pictures are missing; expected one at least")
    return present, pixels


def _texts(texts: Sequence[str | None]) -> list[str]:
    if not len(texts):
        raise DataError("got no texts; expected one at least")
    return [texts[row] or "" for row in range(len(texts))]
