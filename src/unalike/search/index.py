"""The index of a run: vectors, what they stand for, and the search over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unalike.data.roles import kind_of
from unalike.errors import DataError, RunError, SettingsError
from unalike.files import read_json, write_bytes, write_json
from unalike.search.approximate import Kind, build
from unalike.search.blocks import Vectors, block, check_matrix
from unalike.search.exact import top_k

_FORMAT = 1


@dataclass(frozen=True)
class Hit:
    """One answer of a search.

    rank: 1 for the best; id: the row's own name; score: cosine; index: place in the index; role: role of the row.
    """

    rank: int
    id: str
    score: float
    index: int
    role: str


class Index:
    """Vectors that can be searched, each with an id and a role; exact unless asked otherwise.

    Args:
        vectors: ``(N, D)``; brought to unit length, so that every kind of index scores by cosine.
        ids: a name for each row, ``"0"``, ``"1"``, ... unless given. Rows of different roles may share one.
        roles: the role of each row (``"image"``, ``"text:de"``), or one role for all.
        kind: ``"exact"``, or ``"hnsw"`` or ``"ivf"`` for FAISS's approximate search in large sets, built at the
            first search and never saved.

    Raises:
        DataError: vectors that are no finite matrix, or names of another number.
        SettingsError: an unknown kind.

    Example:
        >>> import numpy as np
        >>> from unalike.search import Index
        >>> index = Index(np.eye(3, dtype=np.float32), ids=["sun", "moon", "sea"])
        >>> [hit.id for hit in index.search_one(np.array([0.1, 0.9, 0.5]), k=2)]
        ['moon', 'sea']
    """

    def __init__(
        self,
        vectors: Vectors,
        ids: Sequence[str] | None = None,
        roles: Sequence[str] | str = "item",
        *,
        kind: Kind = "exact",
    ) -> None:
        check_matrix(vectors, "vectors")
        if kind not in ("exact", "hnsw", "ivf"):
            raise SettingsError(f"got the kind of index {kind!r}; expected 'exact', 'hnsw' or 'ivf'")
        count = len(vectors)
        self.vectors = block(vectors, 0, count, "vectors", unit=True).cpu().numpy()
        self.ids = [str(row) for row in range(count)] if ids is None else [str(name) for name in ids]
        self.roles = [roles] * count if isinstance(roles, str) else list(roles)
        for name, values in (("ids", self.ids), ("roles", self.roles)):
            if len(values) != count:
                raise DataError(f"got {len(values)} {name} for {count} vectors; expected one for each")
        self.kind = kind
        self._faiss: Any = None
        self._by_role: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, queries: Vectors, k: int = 10, *, role: str | None = None) -> list[list[Hit]]:
        """The k most alike rows for each query, best first.

        Args:
            queries: ``(Q, D)``, of any length.
            k: how many; fewer come back where the index has fewer.
            role: only rows of this role, or of this kind (``"text"`` takes in ``"text:de"``); searched exactly.

        Raises:
            DataError: queries of another width or not finite; a role that no row has.
            SettingsError: a ``k`` below one.
            MissingExtra: the index is approximate and FAISS is not installed.
        """
        if role is None:
            scores, indices = self._search(queries, k)
        else:
            rows = self._rows(role)
            scores, within = top_k(_unit(queries), self.vectors[rows], k, metric="dot")
            indices = rows[within]
        return [
            [
                Hit(rank, self.ids[index], float(score), int(index), self.roles[index])
                for rank, (score, index) in enumerate(zip(*answer, strict=True), 1)
                if index >= 0
            ]
            for answer in zip(scores, indices, strict=True)
        ]

    def search_one(self, query: Vectors, k: int = 10, *, role: str | None = None) -> list[Hit]:
        """The k rows most like one query ``(D,)``; see `search`."""
        return self.search(query[None], k, role=role)[0]

    def recall(self, k: int = 10, *, queries: Vectors | None = None, sample: int = 256, seed: int = 0) -> float:
        """Share of the exact k best that this index finds: 1 for an exact index, the price of speed for others.

        Args:
            k: how many answers are compared.
            queries: ``(Q, D)``; without them, ``sample`` rows of the index, each not counted as its own answer.
            sample: how many rows to ask for.
            seed: which rows.

        Raises:
            DataError, SettingsError, MissingExtra: as `search`; an index of one row has nothing to find.
        """
        own = np.empty(0, dtype=np.int64)
        if queries is None:
            if len(self) < 2:
                raise DataError("the index has one row; expected two or more to compare answers among themselves")
            own = np.random.default_rng(seed).choice(len(self), min(sample, len(self)), replace=False)
            queries = self.vectors[own]
        k = min(k, len(self) - bool(len(own)))
        exact = top_k(_unit(queries), self.vectors, k + bool(len(own)), metric="dot")[1]
        found = self._search(queries, k + bool(len(own)))[1]
        shares = []
        for row in range(len(exact)):
            skip = own[row] if len(own) else -1
            wanted = [index for index in exact[row] if index != skip][:k]
            shares.append(len(set(wanted) & {index for index in found[row] if index != skip}) / k)
        return float(np.mean(shares))

    def save(self, folder: Path) -> list[Path]:
        """Write ``index.safetensors`` and ``index.json`` into a folder, each whole or not at all.

        Returns:
            The files written, for the caller's checksums.

        Raises:
            RunError: the disk is full or cannot be written.
        """
        from safetensors.numpy import save

        weights, names = _files(folder)
        write_bytes(weights, save({"vectors": self.vectors}))
        known = sorted(set(self.roles))
        codes = {role: code for code, role in enumerate(known)}
        write_json(
            names,
            {
                "format": _FORMAT,
                "kind": self.kind,
                "ids": self.ids,
                "roles": known,
                "role": [codes[role] for role in self.roles],
            },
        )
        return [weights, names]

    @classmethod
    def load(cls, folder: Path, *, kind: Kind | None = None) -> Index:
        """Read what `save` wrote. Nothing in the folder is executed.

        Args:
            folder: the run directory.
            kind: another kind of index than the one saved.

        Raises:
            RunError: a file is missing, damaged, of a newer version, or the two do not belong together.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        weights, names = _files(folder)
        content = read_json(names)
        try:
            if content["format"] > _FORMAT:
                raise RunError(
                    f"{names} has the format {content['format']} and this version reads up to {_FORMAT}; update unalike"
                )
            vectors = load_file(weights)["vectors"]
            roles = [content["roles"][code] for code in content["role"]]
            return cls(vectors, content["ids"], roles, kind=kind or content["kind"])
        except FileNotFoundError:
            raise RunError(f"{weights} is missing; build the index again by embedding the data") from None
        except (SafetensorError, KeyError, IndexError, TypeError, DataError, SettingsError) as error:
            raise RunError(f"the index in {folder} is damaged: {error}; embed the data again") from error

    def _rows(self, role: str) -> np.ndarray:
        if role not in self._by_role:
            rows = [row for row, own in enumerate(self.roles) if role in (own, kind_of(own))]
            if not rows:
                raise DataError(f"no row has the role {role!r}; this index has {', '.join(sorted(set(self.roles)))}")
            self._by_role[role] = np.array(rows)
        return self._by_role[role]

    def _search(self, queries: Vectors, k: int) -> tuple[np.ndarray, np.ndarray]:
        unit = _unit(queries)
        if self.kind == "exact":
            return top_k(unit, self.vectors, k, metric="dot")
        if queries.shape[1] != self.vectors.shape[1]:
            raise DataError(
                f"queries have {queries.shape[1]} dimensions and the index {self.vectors.shape[1]}; "
                "expected vectors of one and the same space"
            )
        if k < 1:
            raise SettingsError(f"got k={k}; expected at least 1")
        if self._faiss is None:
            self._faiss = build(self.vectors, self.kind)
        # Where it finds too few, FAISS fills up with the index -1.
        scores, indices = self._faiss.search(unit, min(k, len(self)))
        return scores, indices


def _unit(queries: Vectors) -> np.ndarray:
    check_matrix(queries, "queries")
    return block(queries, 0, len(queries), "queries", unit=True).cpu().numpy()


def _files(folder: Path) -> tuple[Path, Path]:
    return folder / "index.safetensors", folder / "index.json"
