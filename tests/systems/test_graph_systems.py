"""The parts of graph systems against plain references, and what a shortcut would get wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from unalike import encoders, evaluation, pairing, systems, training
from unalike.data import ArrayColumn, GraphColumn, TextColumn
from unalike.training import Inputs, Rows, Task, Training, train

pytestmark = pytest.mark.systems("sdcn", "scgc", "pamc")


def ring(count: int) -> np.ndarray:
    return np.stack([np.arange(count), (np.arange(count) + 1) % count], axis=1)


def graph(count: int = 24) -> GraphColumn:
    return GraphColumn(ring(count), {"array": ArrayColumn(np.random.default_rng(0).normal(size=(count, 5)))})


def test_influence_is_the_sum_of_powers() -> None:
    generator = np.random.default_rng(0)
    dense = np.triu(generator.random((12, 12)) < 0.3, 1)
    dense = (dense | dense.T).astype(float)
    step = dense + np.eye(12)
    step /= step.sum(1, keepdims=True)
    powers = [np.linalg.matrix_power(step, power) for power in (1, 2, 3)]
    found = pairing.influence(csr_array(dense.astype(np.float32)), 3, least=0.0)
    np.testing.assert_allclose(found.toarray(), sum(powers), atol=1e-6)
    last = pairing.influence(csr_array(dense.astype(np.float32)), 3, cumulative=False, least=0.0)
    np.testing.assert_allclose(last.toarray(), powers[-1], atol=1e-6)


def test_a_hub_does_not_make_the_influence_dense() -> None:
    count = 5000
    star = np.stack([np.zeros(count - 1, int), np.arange(1, count)], axis=1)
    column = GraphColumn(star, {"array": ArrayColumn(np.zeros((count, 1)))})
    found = pairing.influence(column.adjacency, 3)
    assert found.nnz < 10 * count
    # All edges of the graph itself stay, however rarely the hub's are walked.
    assert (found[[0]].toarray() > 0).all()


def test_student_clusters_against_plain_loops() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(7, 3)
    clusters = pairing.StudentClusters(2, 3)
    clusters.begin(vectors, seed=0)
    centres = clusters.centres.detach().double().numpy()
    q = np.zeros((7, 2))
    for i, vector in enumerate(vectors.double().numpy()):
        for k in range(2):
            q[i, k] = 1 / (1 + np.square(vector - centres[k]).sum())
        q[i] /= q[i].sum()
    p = q**2 / q.sum(0)
    p /= p.sum(1, keepdims=True)
    soft = clusters.soft(vectors)
    np.testing.assert_allclose(soft.detach().numpy(), q, atol=1e-6)
    np.testing.assert_allclose(clusters.targets(soft).numpy(), p, atol=1e-5)
    assert clusters.loss(soft).item() == pytest.approx((p * np.log(p / q)).sum() / 7, abs=1e-6)
    assert not clusters.targets(soft).requires_grad


def test_delivery_gcn_against_dense_matrices() -> None:
    torch.manual_seed(0)
    adjacency, features = torch.rand(6, 6), torch.randn(6, 4)
    hidden, vectors = torch.randn(6, 3), torch.randn(6, 2)
    gcn = encoders.DeliveryGCN([4, 3, 2, 5], share=0.3)
    w = [layer.weight.T for layer in gcn.layers]
    first = (adjacency @ features @ w[0]).relu()
    second = (adjacency @ (0.7 * first + 0.3 * hidden.relu()) @ w[1]).relu()
    third = adjacency @ (0.7 * second + 0.3 * vectors) @ w[2]
    torch.testing.assert_close(gcn(features, [hidden, vectors], adjacency.to_sparse()), third)


def test_smoothed_features_are_powers_of_the_normalised_adjacency() -> None:
    column = graph(6)
    plain, smooth = (encoders.build_encoder(name, column).prepare(column) for name in ("nodes", "smooth:2"))
    loops = column.adjacency.toarray() + np.eye(6)
    normal = loops / np.sqrt(np.outer(loops.sum(0), loops.sum(0)))
    np.testing.assert_allclose(smooth.features, normal @ normal @ plain.features, atol=1e-5)


def test_texts_of_nodes_become_numbers_learnt_on_training_nodes() -> None:
    texts = TextColumn(["red bicycle", "a red bicycle", "stormy sea", "the stormy sea", "blue bicycle"])
    column = GraphColumn(ring(5), {"text": texts})
    encoder = encoders.build_encoder("nodes", column.select([0, 1, 2, 3]))
    features = encoder.prepare(column).features
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    assert features[0] @ features[1] > features[0] @ features[2]
    again = encoders.restore_encoder(encoder.config(), encoder.assets())
    np.testing.assert_array_equal(again.prepare(column).features, encoder.prepare(column).features)


def test_a_batch_of_training_nodes_has_no_edge_of_a_held_out_node() -> None:
    column = graph(10)
    encoder = encoders.build_encoder("nodes", column)
    rows = np.array([0, 1, 2, 5, 7])
    inputs = Inputs({"graph": Rows(encoder.prepare(column), rows)})
    nodes = inputs.batch(np.arange(5)).role("graph")
    local = {(int(rows[i]), int(rows[j])) for i, j in zip(*nodes.adjacency.nonzero(), strict=True)}
    assert local == {(0, 1), (1, 0), (1, 2), (2, 1)}
    near = training.Influence(3)(nodes).to_dense()
    assert near[3].tolist() == [0, 0, 0, pytest.approx(3.0), 0]  # node 5 has lost both neighbours and keeps itself


@pytest.mark.parametrize("slug", ["scgc", "pamc"])
def test_a_graph_of_two_halves_is_clustered_into_them_without_labels(slug: str) -> None:
    generator = np.random.default_rng(0)
    truth = np.repeat([0, 1], 30)
    pairs = np.array([(i, j) for i in range(60) for j in range(i) if truth[i] == truth[j] and generator.random() < 0.3])
    # The features of a node say little on their own: what tells is the graph.
    values = generator.normal(size=(60, 6)) + 0.7 * truth[:, None]
    column = GraphColumn(pairs, {"array": ArrayColumn(values)})
    encoder = encoders.build_encoder("nodes", column, hidden=32, width=4)
    found = systems.find(slug)
    task = Task(encoders={"graph": encoder}, roles={"graph": ("graph",)}, rows=60, steps=300, classes=2)
    learner = found.build(found.settings(), task)
    inputs = Inputs({"graph": encoder.prepare(column)})
    options = Training(steps=300, batch_size=60, learning_rate=3e-3, device="cpu").resolved(found.recipe, 60)
    train(learner, inputs, options)
    vectors = training.embed_inputs(inputs, "graph", encoder)
    codes = learner.modules["clusters"].assign(vectors).numpy()
    alone = evaluation.agreement(evaluation.cluster(inputs.prepared["graph"].features, 2), truth).accuracy
    assert evaluation.agreement(codes, truth).accuracy >= max(0.85, alone + 0.05)


def test_predicting_needs_no_graph() -> None:
    column = graph()
    encoder = encoders.build_encoder("nodes", column)
    without = GraphColumn(np.zeros((0, 2), int), column.features)
    with torch.no_grad():
        ours = encoder(encoder.prepare(column).take([3, 4])).vector
        theirs = encoder(encoder.prepare(without).take([3, 4])).vector
    assert torch.equal(ours, theirs)
