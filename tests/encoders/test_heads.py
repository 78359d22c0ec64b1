"""Heads and the moving-average teacher, checked against their formulas."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from unalike.encoders import (
    ConvNet,
    EMATeacher,
    LogitBias,
    LogitScale,
    Prototypes,
    linear,
    predictor,
    projector,
    seeded,
    unit,
)


def test_seeded_leaves_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    projector(4, 8, 2, seed=1)
    Prototypes(3, 4, seed=1)
    with seeded(7):
        torch.rand(10)
    assert torch.equal(torch.rand(3), expected)


def test_without_a_seed_heads_differ_from_each_other():
    with seeded(0):
        first, second = predictor(4, 4), predictor(4, 4)
    with seeded(0):
        again = predictor(4, 4)
    assert not torch.equal(first[0].weight, second[0].weight)
    assert torch.equal(first[0].weight, again[0].weight)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("last_batch_norm", [False, True])
def test_projector_is_linear_norm_relu_in_turn(layers, batch_norm, last_batch_norm):
    head = projector(5, 7, 3, layers=layers, batch_norm=batch_norm, last_batch_norm=last_batch_norm, seed=0)
    x = expected = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    linears = [module for module in head if isinstance(module, nn.Linear)]
    assert len(linears) == layers
    for i, module in enumerate(linears):
        last = i == layers - 1
        normed = last_batch_norm if last else batch_norm
        assert (module.bias is None) == normed
        expected = expected @ module.weight.T + (0 if module.bias is None else module.bias)
        if normed:
            expected = (expected - expected.mean(0)) / (expected.var(0, unbiased=False) + 1e-5).sqrt()
        expected = expected if last else expected.relu()
    torch.testing.assert_close(head(x), expected)


def test_a_projector_without_layers_is_refused():
    with pytest.raises(ValueError, match="layers=0"):
        projector(4, 4, 4, layers=0)


def test_unit_has_length_one():
    torch.testing.assert_close(unit(torch.tensor([[3.0, -4.0]])), torch.tensor([[0.6, -0.8]]))


def test_linear_is_one_matrix():
    head = linear(4, 2, bias=True, seed=3)
    x = torch.randn(3, 4)
    torch.testing.assert_close(head(x), x @ head.weight.T + head.bias)
    assert linear(4, 2).bias is None


def test_scale_stops_at_its_maximum_and_can_come_back():
    scale = LogitScale(init=99.0, maximum=100.0)
    optimizer = torch.optim.SGD(scale.parameters(), lr=1.0)
    (-scale()).mul(1.0).backward()  # pushes far above the maximum
    optimizer.step()
    assert scale().item() == pytest.approx(100.0, rel=1e-6)
    optimizer.zero_grad()
    (scale() / 1000).backward()
    assert scale.log.grad.item() == pytest.approx(0.1, rel=1e-5)  # d exp(x) / dx: not cut off at the bound
    optimizer.step()
    assert scale().item() == pytest.approx(100 * math.exp(-0.1), rel=1e-5)


def test_scale_may_serve_twice_in_one_step():
    scale = LogitScale(init=10.0)
    (scale() + scale()).backward()
    assert scale.log.grad.item() == pytest.approx(20.0, rel=1e-5)


@pytest.mark.parametrize("init", [0.0, -1.0, 101.0])
def test_scale_refuses_impossible_starts(init):
    with pytest.raises(ValueError, match=str(init)):
        LogitScale(init=init)


def test_bias_learns():
    bias = LogitBias(-3.0)
    (2 * bias()).backward()
    assert bias().item() == -3.0
    assert bias.bias.grad.item() == 2.0


def test_prototypes_give_cosines_whatever_training_did_to_lengths():
    head = Prototypes(5, 3, seed=0)
    head.weight.data.mul_(7.0)
    x = torch.randn(4, 3)
    expected = torch.stack([nn.functional.cosine_similarity(x, p[None], dim=1) for p in head.weight], 1)
    torch.testing.assert_close(head(x), expected)
    torch.testing.assert_close(head.unit().norm(dim=1), torch.ones(5))


def test_prototypes_move_to_what_is_assigned_to_them():
    prototypes = Prototypes(3, 2, learned=False, seed=1)
    assert not list(prototypes.parameters()) and "weight" in prototypes.state_dict()
    before = prototypes.weight.clone()
    prototypes.average(torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]]), torch.tensor([0, 0, -1]), rate=1.0)
    torch.testing.assert_close(prototypes.weight[0], torch.full((2,), 0.5).sqrt())
    assert torch.equal(prototypes.weight[1:], before[1:])
    prototypes.set(torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]]))
    torch.testing.assert_close(prototypes.weight, torch.tensor([[0.6, 0.8], [0.0, 1.0], [1.0, 0.0]]))
    prototypes.average(torch.tensor([[0.0, 1.0]]), torch.tensor([2]), rate=0.25)
    torch.testing.assert_close(prototypes.weight[2], unit(torch.tensor([0.75, 0.25])))
    for rate in (0.0, 1.5):
        with pytest.raises(ValueError, match="rate"):
            prototypes.average(torch.ones(1, 2), torch.tensor([0]), rate=rate)
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        prototypes.set(torch.ones(2, 2))


def test_learned_prototypes_get_gradient_and_can_be_normalized():
    learned = Prototypes(3, 2, seed=0)
    learned(torch.ones(1, 2)).sum().backward()
    assert learned.weight.grad is not None
    learned.weight.data.mul_(3)
    learned.normalize()
    torch.testing.assert_close(learned.weight.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99, 1.0])
def test_teacher_follows_the_formula(momentum):
    student = ConvNet(size=8, widths=(4, 8), depths=(0, 1))
    teacher = EMATeacher(student, momentum)
    before = copy.deepcopy(teacher.module.state_dict())
    for parameter in student.parameters():
        parameter.data.add_(torch.randn_like(parameter))
    student.train()(torch.randn(4, 3, 8, 8))  # moves the statistics of batch normalisation
    teacher.update()
    names = {name for name, _ in student.named_parameters()}
    for name, value in teacher.module.state_dict().items():
        new = student.state_dict()[name]
        expected = momentum * before[name] + (1 - momentum) * new if name in names else new
        torch.testing.assert_close(value, expected)


def test_momentum_of_one_step_can_be_given():
    student = nn.Linear(1, 1, bias=False)
    teacher = EMATeacher(student, momentum=1.0)
    teacher.module.weight.data.fill_(1.0)
    student.weight.data.fill_(3.0)
    teacher.update(0.75)
    assert teacher.module.weight.item() == pytest.approx(1.5)


def test_teacher_learns_nothing_by_gradient_and_saves_itself_alone():
    student = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    teacher = EMATeacher(student)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(parameter.requires_grad for parameter in student.parameters())
    assert not teacher(torch.randn(3, 2)).requires_grad
    assert sorted(teacher.state_dict()) == sorted(f"module.{name}" for name in student.state_dict())
    assert {id(p) for p in teacher.parameters()}.isdisjoint(id(p) for p in student.parameters())


def test_a_loaded_teacher_goes_on_following_its_student():
    student = nn.Linear(2, 2)
    saved = EMATeacher(student).state_dict()
    teacher = EMATeacher(student, momentum=0.5)
    teacher.load_state_dict(saved)
    student.weight.data.add_(1.0)
    teacher.update()
    torch.testing.assert_close(teacher.module.weight.data, student.weight.data - 0.5)


@pytest.mark.parametrize("momentum", [-0.1, 1.1, math.nan])
def test_momentum_lies_between_zero_and_one(momentum):
    with pytest.raises(ValueError, match="between 0 and 1"):
        EMATeacher(nn.Linear(1, 1), momentum)
