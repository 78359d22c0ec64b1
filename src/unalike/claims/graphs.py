"""Metrics of graph systems: the clusters to which a model assigns the scored nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from unalike import data, evaluation, pairing, training
from unalike.errors import DataError
from unalike.records import needs

if TYPE_CHECKING:
    from torch import Tensor

    from unalike.claims.trial import Side, Trial


def outputs(trial: Trial, side: Side) -> Tensor:
    """``(N, D)``: what the model gives of all nodes of a side together, before clusters are read from it.

    A graph network reads the edges among these nodes; others read the features alone.
    """
    import torch

    assert trial.learner is not None
    modules, [role, *_] = trial.learner.modules, side.inputs.prepared
    encoder = trial.learner.encoders["graph"]
    nodes = side.inputs.batch(np.arange(len(side))).role(role)
    with torch.no_grad(), training.evaluating(trial.learner.module):
        layers = encoder.hidden_layers(nodes)  # type: ignore[operator]
        if "gcn" not in modules:
            return layers[-1]
        graph = training.disturbed(nodes, trial.settings.random_edges)
        return modules["gcn"](nodes.features, layers, pairing.as_tensor(data.with_loops(graph, symmetric=True)))


def assigned(trial: Trial) -> np.ndarray:
    """Int64 ``(N,)``: the cluster of each scored node, in the way that the system finds it.

    Graph networks take their largest output, others the nearest of their learned centres; where there are none, the
    nearest of those that k-means finds among the training nodes.
    """
    import torch

    if "clusters of nodes" not in trial.scratch:
        assert trial.learner is not None
        modules, found = trial.learner.modules, outputs(trial, trial.scored)
        if "gcn" in modules:
            codes = found.argmax(1)
        elif "clusters" in modules:
            codes = modules["clusters"].assign(found)  # type: ignore[operator]
        else:
            known = trial.reference.labels()
            learnt = outputs(trial, trial.reference)
            centres = pairing.k_means(learnt, len(np.unique(known[known >= 0])), restarts=20, seed=trial.seed).centres
            codes = torch.cdist(found, centres).argmin(1)
        trial.scratch["clusters of nodes"] = codes.numpy()
    return np.asarray(trial.scratch["clusters of nodes"])


@needs("learner")
def cluster_accuracy(trial: Trial) -> float:
    """Share of the scored nodes in the right class, clusters and classes matched one to one as well as can be."""
    return evaluation.agreement(assigned(trial), trial.scored.labels()).accuracy


@needs("learner")
def cluster_nmi(trial: Trial) -> float:
    """Normalised mutual information of the scored nodes' clusters and classes."""
    return evaluation.agreement(assigned(trial), trial.scored.labels()).nmi


def edges_told(trial: Trial) -> float:
    """How often two joined nodes lie nearer to each other than two that are not (AUC of the cosines); 0.5 is chance.

    Of scored nodes, whose edges no training graph knows; of more than 1,500 a million pairs that are not joined stand
    for all of them.

    Raises:
        DataError: no edge joins two of them, or every two are joined.
    """
    from sklearn.metrics import roc_auc_score

    [role, *_], count = trial.scored.inputs.prepared, len(trial.scored)
    adjacency = trial.scored.inputs.batch(np.arange(count)).role(role).adjacency
    ends = np.stack(adjacency.nonzero(), axis=1)
    joined = ends[ends[:, 0] < ends[:, 1]]
    pairs = (
        np.stack(np.triu_indices(count, 1), axis=1)
        if count <= 1500
        else np.sort(np.random.default_rng(trial.seed).integers(count, size=(10**6, 2)), axis=1)
    )
    apart = pairs[(pairs[:, 0] < pairs[:, 1]) & ~np.isin(pairs @ [count, 1], joined @ [count, 1])]
    if not len(joined) or not len(apart):
        which = "no two" if not len(joined) else "all"
        raise DataError(
            f"{which} of the {count} nodes that were kept out of training are joined, so that nothing can be told of "
            "their edges: give more nodes and edges, or a column of classes (--label COLUMN)"
        )
    vectors = trial.scored.vectors(role)
    near = np.concatenate([(vectors[each[:, 0]] * vectors[each[:, 1]]).sum(axis=1) for each in (joined, apart)])
    return float(roc_auc_score(np.arange(len(near)) < len(joined), near))


@needs("learner")
def mean_cosine(trial: Trial) -> float:
    """Mean cosine of the outputs of two scored nodes: 1 where a graph has smoothed all of them into one."""
    from torch.nn.functional import normalize

    vectors = normalize(outputs(trial, trial.scored), dim=1)
    count = len(vectors)
    return float((vectors.sum(0).square().sum() - count) / (count * (count - 1)))


@needs("training")
def step_slope(trial: Trial, sizes: tuple[int, ...] = (2, 16)) -> float:
    """Log-log slope of the time of loss and gradient in the number of nodes: the training graph, several times over.

    The graph is repeated ``sizes`` times side by side, without edges between the copies, so that nodes and edges grow
    alike; each time is the best of three.
    """
    import time

    import torch
    from scipy.sparse import block_diag, csr_array

    from unalike.encoders import Nodes

    assert trial.learner is not None
    assert len(trial.log), "of what was trained: a floor has no training that could take time"
    stage, [role, *_] = trial.learner.phases[-1], trial.reference.inputs.prepared
    assert stage.loss is not None
    once = trial.reference.inputs.batch(np.arange(len(trial.reference))).role(role)
    near = pairing.influence(once.adjacency, trial.settings.hops)
    times = []
    for size in sizes:
        features = once.features.repeat(size, 1)
        features = features + 0.01 * torch.randn(features.shape, generator=torch.Generator().manual_seed(trial.seed))
        graph = pairing.as_tensor(csr_array(block_diag([near] * size)))
        seen = Nodes(features, once.graph, np.arange(len(features))), graph
        rounds = []
        for _ in range(3):
            began = time.perf_counter()
            torch.autograd.backward(stage.loss(seen))
            rounds.append(time.perf_counter() - began)
        times.append(min(rounds))
    trial.learner.module.zero_grad()
    return float(np.log(times[-1] / times[0]) / np.log(sizes[-1] / sizes[0]))


NODE_GROUPS: Mapping[str, Callable[[Trial], float]] = {
    "clustering accuracy of new nodes": cluster_accuracy,
    "NMI of the clusters of new nodes": cluster_nmi,
}
"""What systems that cluster nodes are compared by on a user's own graph, where its nodes have classes."""

NODE_EDGES: Mapping[str, Callable[[Trial], float]] = {"edges of new nodes told from other pairs, AUC": edges_told}
"""What they are compared by where there are no classes."""
