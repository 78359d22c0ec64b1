"""Nodes of a graph through a multilayer perceptron, of their own features or of those of their neighbourhood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from unalike.data import ArrayColumn, Column, ImageColumn, TextColumn
from unalike.data.edges import small_pictures
from unalike.data.graphs import GraphColumn, with_loops
from unalike.errors import DataError, SettingsError

from .base import Encoded, Encoder, Prepared
from .packed import Indices
from .seeding import seeded

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BUCKETS, DIRECTIONS, MANY = 2**14, 128, 20_000
"""Of texts: hash buckets of n-grams, leading directions that are kept, texts that these are learnt on."""


@dataclass(frozen=True, eq=False)
class Nodes:
    """Some nodes of a graph: what an encoder reads, and the edges among them.

    Args:
        features: float32 ``(B, F)``.
        graph: scipy matrix of the whole prepared graph, of which these nodes are ``rows``.
        rows: int64 ``(B,)``.
    """

    features: Tensor
    graph: csr_array
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device | str) -> Nodes:
        return Nodes(self.features.to(device), self.graph, self.rows)

    @cached_property
    def adjacency(self) -> csr_array:
        """scipy matrix ``(B, B)``: the edges among these nodes, cut out when first asked for."""
        return self.graph[self.rows][:, self.rows]


class PackedNodes(Prepared):
    """A graph whose nodes are rows of numbers.

    Args:
        features: float32 ``(N, F)``.
        graph: scipy matrix ``(N, N)``, symmetric, without loops.
        present: bool ``(N,)``.

    Example:
        >>> import numpy as np
        >>> from scipy.sparse import csr_array
        >>> from unalike.encoders.nodes import PackedNodes
        >>> line = csr_array(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32))
        >>> packed = PackedNodes(np.eye(3, dtype=np.float32), line, np.ones(3, bool))
        >>> packed.take([0, 2]).features.shape, packed.take([0, 2]).adjacency.nnz
        (torch.Size([2, 3]), 0)
    """

    def __init__(self, features: np.ndarray, graph: csr_array, present: np.ndarray) -> None:
        self.features, self.graph, self.present = features, graph, present

    def __len__(self) -> int:
        return len(self.features)

    def take(self, indices: Indices) -> Nodes:
        """The nodes, with the edges among them alone."""
        rows = np.asarray(indices, np.int64)
        return Nodes(torch.from_numpy(self.features[rows]), self.graph, rows)

    def raw(self, indices: Indices) -> np.ndarray:
        """float32 ``(B, F)``: the features."""
        return self.features[np.asarray(indices, np.int64)]


class Describer:
    """Turns the features of nodes into rows of numbers, with what it learnt from the training nodes.

    Numbers are standardised, each by itself; pictures are small and grey, standardised together; texts are hashed
    n-grams of three to five characters, weighted by TF-IDF, of which the leading directions are kept (LSA).
    """

    def __init__(self, state: Mapping[str, np.ndarray], roles: Sequence[str]) -> None:
        self.state, self.roles = dict(state), list(roles)

    @classmethod
    def of(cls, columns: Sequence[GraphColumn]) -> Describer:
        """What the nodes of some graphs, with features of the same roles, have to teach."""
        if len({tuple(column.features) for column in columns}) != 1:
            raise DataError("the graphs differ in what describes their nodes")
        state: dict[str, np.ndarray] = {}
        roles = list(columns[0].features)
        texts = [role for role in roles if isinstance(columns[0].features[role], TextColumn)]
        for role in roles:
            parts = [column.features[role] for column in columns]
            if role not in texts:
                rows = np.concatenate([numbers(part)[part.present] for part in parts])
                if not len(rows):
                    raise DataError(f"no node has an entry for {role}")
                together = isinstance(parts[0], ImageColumn)
                deviation = np.full(rows.shape[1], rows.std()) if together else rows.std(0)
                state[f"{role}/mean"] = rows.mean(0).astype(np.float32)
                state[f"{role}/deviation"] = np.where(deviation > 1e-6, deviation, 1).astype(np.float32)
        if texts:
            from sklearn.decomposition import TruncatedSVD
            from sklearn.feature_extraction.text import TfidfTransformer

            counts = hashed([text for column in columns for text in joined(column, texts)])
            weigh = TfidfTransformer(sublinear_tf=True).fit(counts)
            sample = np.unique(np.linspace(0, counts.shape[0] - 1, MANY).astype(int))
            width = max(1, min(DIRECTIONS, len(sample) - 1))
            leading = TruncatedSVD(width, random_state=0).fit(weigh.transform(counts[sample]))
            state |= {"idf": weigh.idf_.astype(np.float32), "directions": leading.components_.astype(np.float32)}
        # Files of tensors keep what lies in memory, which is transposed where scikit-learn had it so.
        return cls({name: np.ascontiguousarray(values) for name, values in state.items()}, roles)

    @property
    def width(self) -> int:
        own = sum(len(values) for name, values in self.state.items() if name.endswith("/mean"))
        return own + (len(self.state["directions"]) if "directions" in self.state else 0)

    def __call__(self, column: GraphColumn) -> np.ndarray:
        """float32 ``(N, F)``, zeros where a node lacks an entry."""
        missing = [role for role in self.roles if role not in column.features]
        if missing:
            raise DataError(f"nodes are described by {', '.join(self.roles)}; missing: {', '.join(missing)}")
        parts, texts = [], []
        for role in self.roles:
            own = column.features[role]
            if isinstance(own, TextColumn):
                texts.append(role)
                continue
            values = numbers(own)
            if values.shape[1] != len(self.state[f"{role}/mean"]):
                raise DataError(
                    f"{role} has {values.shape[1]} numbers; this encoder reads {len(self.state[f'{role}/mean'])}"
                )
            values = (values - self.state[f"{role}/mean"]) / self.state[f"{role}/deviation"]
            parts.append(np.where(own.present[:, None], values, 0))
        if texts:
            from scipy.sparse import diags_array
            from sklearn.preprocessing import normalize

            counts = hashed(joined(column, texts))
            counts.data = np.log(counts.data) + 1
            leading = self.state["directions"]
            found = normalize(normalize(counts @ diags_array(self.state["idf"])) @ leading.T)
            parts.append(found * np.sqrt(len(leading)))
        return np.ascontiguousarray(np.concatenate(parts, axis=1), np.float32)


def numbers(column: Column) -> np.ndarray:
    """Float32 ``(N, F)`` of a column of numbers or pictures."""
    if isinstance(column, ArrayColumn):
        return np.where(column.present[:, None], column.values, 0)
    assert isinstance(column, ImageColumn)
    return small_pictures(column)


def joined(column: GraphColumn, roles: Sequence[str]) -> list[str]:
    """One text a node: those of all roles after each other."""
    return ["\n".join(filter(None, each)) for each in zip(*(column.features[role] for role in roles), strict=True)]


def hashed(texts: Sequence[str]) -> Any:
    """scipy matrix ``(N, BUCKETS)``: how often each n-gram occurs."""
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), n_features=BUCKETS, alternate_sign=False, norm=None, dtype=np.float32
    ).transform(texts)


class NodeMLP(Encoder):
    """The features of a node through linear layers with ReLU between; with ``hops`` those of its neighbourhood.

    Neighbourhoods are smoothed once, when a graph is prepared: ``hops`` times the symmetrically normalised adjacency
    with self-loops (SGC, Wu et al. 2019, arXiv:1902.07153). Without hops a node's vector needs no graph.

    Args:
        features: numbers that describe a node.
        width: length of the vectors.
        hidden: length of the hidden layers.
        depth: number of hidden layers.
        hops: how far the features are smoothed.
        describe: makes the numbers of a graph's columns; without it columns of numbers are read as they are.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        SettingsError: a length is below one.

    Example:
        >>> import numpy as np
        >>> from unalike.data import ArrayColumn
        >>> from unalike.data.graphs import GraphColumn
        >>> from unalike.encoders import build_encoder
        >>> graph = GraphColumn(np.array([[0, 1], [1, 2]]), {"array": ArrayColumn(np.eye(3))})
        >>> encoder = build_encoder("nodes", graph, width=10)
        >>> encoder(encoder.prepare(graph).take([0, 1])).vector.shape
        torch.Size([2, 10])
    """

    kind = "graph"

    def __init__(
        self,
        features: int,
        *,
        width: int = 10,
        hidden: int = 256,
        depth: int = 2,
        hops: int = 0,
        describe: Describer | None = None,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        if min(features, width, hidden) < 1 or min(depth, hops) < 0:
            raise SettingsError(
                f"an encoder of nodes has lengths of at least 1; given: features={features}, width={width}, "
                f"hidden={hidden}, depth={depth}, hops={hops}"
            )
        self.features, self.width, self.hidden, self.depth, self.hops = features, width, hidden, depth, hops
        self.describer = describe
        with seeded(seed):
            lengths = [features, *[hidden] * depth, width]
            self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(lengths))

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Self:
        graphs = [column for column in columns if isinstance(column, GraphColumn)]
        if given:
            if not given.isdigit():
                raise SettingsError(f"smooth:{given} names no number of steps; expected such as smooth:2")
            options = {"hops": int(given)} | options
        describer = Describer.of(graphs)
        return cls(describer.width, describe=describer, **options)

    @classmethod
    def options(cls) -> set[str]:
        return super().options() - {"describe"}

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedNodes:
        if not isinstance(column, GraphColumn):
            raise DataError(f"an encoder of nodes reads graphs; given: a column of the kind {column.kind!r}")
        describe = self.describer or Describer.of([column])
        features = describe(column)
        for _ in range(self.hops):
            features = with_loops(column.adjacency, symmetric=True) @ features
        return PackedNodes(np.ascontiguousarray(features, np.float32), column.adjacency, column.present)

    def hidden_layers(self, inputs: Nodes) -> list[Tensor]:
        """What each layer gives, the vector last: ``(B, hidden)`` and ``(B, width)``."""
        found, values = [], inputs.features
        for number, layer in enumerate(self.layers):
            values = layer(values if number == 0 else values.relu())
            found.append(values)
        return found

    def forward(self, inputs: Nodes) -> Encoded:
        return Encoded(self.hidden_layers(inputs)[-1])

    def config(self) -> dict[str, Any]:
        return {
            "name": "nodes",
            **{name: getattr(self, name) for name in ("features", "width", "hidden", "depth", "hops")},
            "roles": [] if self.describer is None else self.describer.roles,
        }

    def assets(self) -> dict[str, bytes]:
        if self.describer is None:
            return {}
        from safetensors.numpy import save

        return {"features.safetensors": save(self.describer.state)}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], assets: Mapping[str, bytes]) -> Self:
        from safetensors.numpy import load

        settings = dict(settings)
        roles = settings.pop("roles", [])
        describer = Describer(load(assets["features.safetensors"]), roles) if roles else None
        return cls(describe=describer, **settings)
