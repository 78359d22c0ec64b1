"""The moving covariance and the predictor set from it, against numpy and the paper's formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unalike.encoders import DirectPredictor, MovingCovariance


def batches(count: int, width: int = 5) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([3.0, 2.0, 1.0, 0.1, 0.0])[:width]
    return [torch.randn(16, width, generator=generator) * scales + 0.5 for _ in range(count)]


def average(given: list[torch.Tensor], rho: float) -> np.ndarray:
    found = None
    for vectors in given:
        rows = vectors.double().numpy()
        moment = sum(np.outer(row, row) for row in rows) / len(rows)
        found = moment if found is None else rho * found + (1 - rho) * moment
    return found


def expected_weight(matrix: np.ndarray, epsilon: float, floor: float, power: float) -> np.ndarray:
    values, directions = np.linalg.eigh(matrix)
    values = np.maximum(values, 0)
    roots = np.maximum((values / values.max()) ** power + epsilon, floor)
    return sum(root * np.outer(v, v) for root, v in zip(roots, directions.T, strict=True))


def test_covariance_is_the_moving_average_of_outer_products() -> None:
    covariance = MovingCovariance(5, rate=0.7)
    for vectors in batches(4):
        found = covariance.update(vectors.requires_grad_())
    assert not found.requires_grad
    np.testing.assert_allclose(found.numpy(), average([v.detach() for v in batches(4)], 0.3), rtol=1e-5)
    for rate in (0.0, 1.1):
        with pytest.raises(ValueError, match="rate"):
            MovingCovariance(2, rate)


@pytest.mark.parametrize(
    ("epsilon", "floor", "power"), [(0.1, 1e-4, 0.5), (0.0, 1e-4, 0.5), (0.0, 0.3, 0.5), (0.1, 1e-4, 1.0)]
)
def test_predictor_follows_its_formula(epsilon: float, floor: float, power: float) -> None:
    predictor = DirectPredictor(5, epsilon=epsilon, floor=floor, power=power)
    for vectors in batches(3):
        predictor.update(vectors)
    expected = expected_weight(average(batches(3), 0.3), epsilon, floor, power)
    np.testing.assert_allclose(predictor.weight.numpy(), expected, atol=1e-4)
    x = torch.randn(4, 5)
    np.testing.assert_allclose(predictor(x).numpy(), x.numpy() @ expected.T, atol=1e-3)
    # It has the eigenvectors of the covariance: the two commute.
    matrix = predictor.covariance.matrix
    torch.testing.assert_close(predictor.weight @ matrix, matrix @ predictor.weight, atol=1e-3, rtol=1e-3)


def test_the_predictor_is_set_every_k_batches_and_no_optimiser_sees_it() -> None:
    predictor = DirectPredictor(5, every=3)
    assert list(predictor.parameters()) == []
    seen = []
    for vectors in batches(7):
        predictor.update(vectors)
        seen.append(predictor.weight.clone())
    changed = [not torch.equal(a, b) for a, b in zip([torch.eye(5), *seen[:-1]], seen, strict=True)]
    assert changed == [True, False, False, True, False, False, True]
    again = DirectPredictor(5, every=3)
    for vectors in batches(7)[:4]:
        again.update(vectors)
    restored = DirectPredictor(5, every=3)
    restored.load_state_dict(again.state_dict())
    for vectors in batches(7)[4:]:
        restored.update(vectors)
    assert torch.equal(restored.weight, seen[-1])
    x = torch.randn(2, 5, requires_grad=True)
    predictor(x).sum().backward()
    assert x.grad is not None


def test_vectors_of_zero_give_no_nan() -> None:
    predictor = DirectPredictor(3)
    predictor.update(torch.zeros(4, 3))
    torch.testing.assert_close(predictor.weight, 0.1 * torch.eye(3))
    with pytest.raises(ValueError, match="every"):
        DirectPredictor(3, every=0)
