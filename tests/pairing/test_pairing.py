from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses import FakeTensor, FakeTensorMode

from unalike.encoders import ConvNet, projector, unit
from unalike.errors import DataError, SettingsError
from unalike.pairing import (
    Clusters,
    Dense,
    Edges,
    ExtraNegatives,
    Graph,
    MomentumDictionary,
    PerSampleState,
    Queue,
    SameIndex,
    SameLabel,
    SharedText,
    Soft,
    TopHardest,
    Without,
)


def whole(pairing, n, m):
    """Positive and negative weights by asking for every pair as a tile of its own."""
    q = torch.randn(n, 3, generator=torch.Generator().manual_seed(n))
    k = torch.randn(m, 3, generator=torch.Generator().manual_seed(m + 7))
    plan = pairing.plan(q, k)
    cells = [[plan.tile(slice(i, i + 1), slice(j, j + 1)) for j in range(m)] for i in range(n)]
    single = [torch.tensor([[float(cell[kind]) for cell in row] for row in cells]) for kind in (0, 1)]
    for kind in (0, 1):
        assert torch.equal(plan.whole()[kind], single[kind])
    return single[0], single[1], q, k


def test_same_index_with_an_offset():
    positive, negative, *_ = whole(SameIndex(offset=2), 3, 6)
    assert torch.equal(positive, torch.eye(6)[2:5]) and torch.equal(negative, 1 - positive)


@given(views=st.integers(2, 4), samples=st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_several_looks(views, samples):
    n = views * samples
    positive, negative, *_ = whole(SameIndex(views=views), n, n)
    for i in range(n):
        for j in range(n):
            assert positive[i, j] == (i != j and i % samples == j % samples)
            assert negative[i, j] == (i % samples != j % samples)
    plan = SameIndex(views=views).plan(torch.ones(n, 1), torch.ones(n, 1))
    if views == 2:
        assert torch.equal(plan.apart.rows[plan.apart.only], torch.arange(n))
        assert torch.equal(plan.apart.weights[plan.apart.only], torch.ones(n))


def test_a_plan_is_made_once_for_a_shape_and_serves_training_after_inference():
    with torch.inference_mode():
        made = SameIndex(views=2).plan(torch.ones(6, 1), torch.ones(6, 1))
    again = SameIndex(views=2).plan(torch.zeros(6, 1), torch.zeros(6, 1))
    assert again is made
    assert not made.apart.rows.is_inference() and not made.apart.only.is_inference()
    assert SameIndex(views=3).plan(torch.ones(6, 1), torch.ones(6, 1)) is not made
    with pytest.raises(DataError, match="2 looks"):
        SameIndex(views=2).plan(torch.ones(5, 1), torch.ones(5, 1))


def test_what_stands_for_a_tensor_is_not_remembered():
    with FakeTensorMode():
        made = SameIndex().plan(torch.ones(11, 1), torch.ones(11, 1))
    assert isinstance(made.apart.rows, FakeTensor)
    assert type(SameIndex().plan(torch.ones(11, 1), torch.ones(11, 1)).apart.rows) is torch.Tensor


def test_labels_and_missing_ones():
    rows, columns = torch.tensor([0, -1, 1]), torch.tensor([1, 0, -1, 0])
    positive, negative, *_ = whole(SameLabel(rows, columns), 3, 4)
    assert positive.tolist() == [[0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert torch.equal(negative, 1 - positive)
    positive, negative, *_ = whole(SameLabel(torch.tensor([2, 2, -1])), 3, 3)
    assert positive.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert negative.tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]


@pytest.mark.parametrize("repeats", ["positive", "ignored"])
def test_a_repeated_caption_is_never_a_negative(repeats):
    pairing = SharedText.of(["a", "b", "a", "a"], repeats=repeats)
    positive, negative, *_ = whole(pairing, 4, 4)
    alike = pairing.codes[:, None] == pairing.codes
    assert not negative[alike].any() and negative[~alike].all()
    assert torch.equal(positive, alike.float() if repeats == "positive" else torch.eye(4))


def test_graph_and_what_is_left_out():
    weights = torch.tensor([[0.0, 0.5, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    for sparse in (weights.to_sparse(), weights.to_sparse_csr()):
        positive, negative, *_ = whole(Graph(sparse), 3, 3)
        assert torch.equal(positive, weights) and torch.equal(negative, (weights == 0).float())
    positive, negative, *_ = whole(Graph(weights.to_sparse(), ignore_self=True), 3, 3)
    assert positive[2, 2] == negative[2, 2] == 0
    with pytest.raises(DataError, match="weight -1"):
        whole(Graph((-torch.eye(3)).to_sparse()), 3, 3)


def test_without_wins_over_any_other_word():
    for pairing in (SameIndex(), Dense(torch.ones(3, 3)), SameLabel(torch.zeros(3), torch.zeros(3))):
        before = whole(pairing, 3, 3)
        after = whole(Without(pairing, torch.tensor([[0, 0], [2, 1], [2, 1]])), 3, 3)
        for old, new in zip(before[:2], after[:2], strict=True):
            expected = old.clone()
            expected[0, 0] = expected[2, 1] = 0
            assert torch.equal(new, expected)
    with pytest.raises(DataError, match="outside"):
        whole(Without(SameIndex(), torch.tensor([[0, 3]])), 3, 3)


def test_extra_negatives():
    for pairing in (SameIndex(), SameLabel(torch.tensor([0, 1]), torch.tensor([1, 1])), Dense(torch.eye(2))):
        positive, negative, *_ = whole(pairing, 2, 2)
        more_positive, more_negative, *_ = whole(ExtraNegatives(pairing, 3), 2, 5)
        assert torch.equal(more_positive, torch.cat([positive, torch.zeros(2, 3)], 1))
        assert torch.equal(more_negative, torch.cat([negative, torch.ones(2, 3)], 1))


@pytest.mark.parametrize("k", [1, 2, 9])
def test_the_hardest_negatives(k):
    for base in (SameIndex(), SameLabel(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2, 1]))):
        positive, negative, *_ = whole(base, 4, 5)
        kept_positive, kept, q, keys = whole(TopHardest(k, base), 4, 5)
        assert torch.equal(positive, kept_positive)
        scores = (q @ keys.T).masked_fill(negative == 0, -torch.inf)
        for i in range(4):
            best = [j for j in scores[i].argsort(descending=True)[:k].tolist() if negative[i, j]]
            assert sorted(best) == kept[i].nonzero().flatten().tolist()


def test_soft_targets_are_the_teachers_softmax():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(4, 6, generator=generator), torch.randn(5, 6, generator=generator)
    plan = Soft(a, b, temperature=0.7).plan(torch.ones(4, 2), torch.ones(5, 2))
    assert torch.allclose(plan.whole().positive, torch.softmax(a @ b.T / 0.7, 1), atol=1e-6)
    assert plan.joint and plan.whole().negative.all()


def test_edges_know_their_mirror():
    edges = Edges.from_pairs(torch.tensor([0, 2, 1]), torch.tensor([2, 0, 1]), torch.ones(3), (3, 3))
    assert torch.equal(edges.rows[edges.mirror], edges.columns)
    with pytest.raises(DataError, match="both directions"):
        _ = Edges.from_pairs(torch.tensor([0]), torch.tensor([2]), torch.ones(1), (3, 3)).mirror


@given(pushes=st.lists(st.integers(0, 9), max_size=8), size=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_a_queue_holds_the_last_ones(pushes, size):
    queue, seen = Queue(size, 2, extra=("label",)), []
    for count in pushes:
        fresh = list(range(len(seen), len(seen) + count))
        seen += fresh
        queue.push(torch.tensor(fresh, dtype=torch.float32)[:, None].expand(count, 2), label=torch.tensor(fresh))
    assert sorted(queue.vectors()[:, 0].tolist()) == seen[-size:]
    assert torch.equal(queue.column("label").float(), queue.vectors()[:, 0]) and len(queue) == min(len(seen), size)
    again = Queue(size, 2, extra=("label",))
    again.load_state_dict(queue.state_dict())
    assert torch.equal(again.vectors(), queue.vectors())


def test_a_queue_refuses_what_it_does_not_keep():
    with pytest.raises(DataError, match="width 2"):
        Queue(3, 2).push(torch.ones(1, 3))
    with pytest.raises(DataError, match="label"):
        Queue(3, 2, extra=("label",)).push(torch.ones(1, 2))


def test_a_momentum_dictionary_follows_and_keeps_keys_of_earlier_batches():
    encoder = ConvNet(size=16, widths=(4, 8), depths=(0, 0))
    head = projector(encoder.width, 8, 4, seed=0)
    dictionary = MomentumDictionary(encoder, head, momentum=0.75, size=5, width=4)
    assert dictionary.negatives().shape == (0, 4)
    pictures = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    first = dictionary.keys(pictures)
    assert torch.allclose(first, unit(head(encoder(pictures).vector)).detach(), atol=1e-6) and not first.requires_grad
    with torch.no_grad():
        encoder.requires_grad_(False), head[0].weight.add_(1.0)
    before = dictionary.projector.module[0].weight.clone()
    dictionary.follow(0)
    assert torch.allclose(dictionary.projector.module[0].weight, before + 0.25, atol=1e-6)
    dictionary.push(first)
    second = dictionary.keys(pictures)
    assert not torch.allclose(first, second, atol=1e-3)
    dictionary.push(second)
    held = {tuple(row) for row in dictionary.negatives().tolist()}
    assert held == {tuple(row) for row in torch.cat([first[1:], second]).tolist()}
    again = MomentumDictionary(encoder, head, momentum=0.75, size=5, width=4)
    again.load_state_dict(dictionary.state_dict())
    assert int(again.updates) == 1 and torch.equal(again.negatives(), dictionary.negatives())


def test_per_sample_state():
    state = PerSampleState(5, initial=2.0)
    index = torch.tensor([3, 0])
    first = state.average(index, torch.tensor([4.0, 6.0]), rate=0.25, start=True)
    assert first.tolist() == [4.0, 6.0]
    assert state.average(index, torch.tensor([8.0, 6.0]), rate=0.25, start=True).tolist() == [5.0, 6.0]
    assert state.values.tolist() == [6.0, 2.0, 2.0, 5.0, 2.0] and state.seen.tolist() == [
        True,
        False,
        False,
        True,
        False,
    ]
    for rate in (0.0, 1.5):
        with pytest.raises(SettingsError, match="rate"):
            state.average(index, torch.ones(2), rate=rate)


def test_clusters_are_kept_and_refined():
    clusters = Clusters(5)
    assert clusters.codes.tolist() == [-1] * 5
    clusters.refine(torch.tensor([2, 2, 5, 5, 5]))
    assert clusters.codes.tolist() == [0, 0, 1, 1, 1]
    clusters.refine(torch.tensor([0, 1, 0, 1, 1]))
    together = clusters.codes[:, None] == clusters.codes[None]
    assert together.long().sum() == 7 and together[3, 4] and sorted(set(clusters.codes.tolist())) == [0, 1, 2, 3]
    assert clusters.get(torch.tensor([3, 4])).unique().numel() == 1
    again = Clusters(5)
    again.load_state_dict(clusters.state_dict())
    assert torch.equal(again.codes, clusters.codes)
    with pytest.raises(DataError, match="5 samples"):
        clusters.set(torch.zeros(4, dtype=torch.int64))
    with pytest.raises(SettingsError):
        Clusters(0)


def test_labels_that_are_floats_are_classes_only_where_they_are_whole():
    assert torch.equal(
        whole(SameLabel(torch.tensor([0.0, 1, 0])), 3, 3)[0], whole(SameLabel(torch.tensor([0, 1, 0])), 3, 3)[0]
    )
    halves = torch.tensor([0.0, 0.5, 0.5])
    for pairing in (SameLabel(halves), SameLabel(torch.tensor([0, 1, 1]), halves), SharedText(halves)):
        with pytest.raises(DataError, match=r"2 of 3 are not, such as 0.5.* supremix .* --target COLUMN"):
            pairing.plan(torch.eye(3), torch.eye(3))
