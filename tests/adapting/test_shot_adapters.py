"""Adapters against scikit-learn and against the papers' formulas, written out in float64."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from unalike import adapting, systems
from unalike.adapting import Entrant
from unalike.errors import DataError

CLASSES, WIDTH = 4, 12


def rows(each: int, seed: int = 0, looks: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors ``(V, N, D)`` of classes that share one long covariance, and their labels in a mixed order."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(CLASSES, WIDTH))
    labels = rng.permutation(np.repeat(np.arange(CLASSES), each))
    stretch = np.diag(np.linspace(0.2, 2.5, WIDTH))
    vectors = centres[labels] + rng.normal(size=(len(labels), WIDTH)) @ stretch
    seen = vectors + 0.2 * rng.normal(size=(looks, *vectors.shape))
    return seen / np.linalg.norm(seen, axis=2, keepdims=True), labels


def names(seed: int = 5) -> np.ndarray:
    texts = np.random.default_rng(99).normal(size=(CLASSES, WIDTH)) + np.random.default_rng(seed).normal(
        size=(CLASSES, WIDTH)
    )
    return texts / np.linalg.norm(texts, axis=1, keepdims=True)


def built(slug: str, **settings: object) -> adapting.Adapter:
    found = systems.find(slug, kind="adapter")
    return found.build(found.settings(**settings))


def test_precision_is_that_of_kubokawa_and_srivastava() -> None:
    centred = np.random.default_rng(0).normal(size=(7, 5))
    covariance = np.zeros((5, 5))
    mean = centred.sum(0) / 7
    for row in centred:
        covariance += np.outer(row - mean, row - mean) / 6
    expected = 5 * np.linalg.pinv(6 * covariance + np.trace(covariance) * np.eye(5))
    np.testing.assert_allclose(adapting.shrunk_precision(centred), expected, rtol=1e-10)


def test_precision_copes_with_fewer_samples_than_dimensions_and_not_with_none() -> None:
    few = adapting.shrunk_precision(np.random.default_rng(0).normal(size=(3, 40)))
    assert np.linalg.eigvalsh(few).min() > 0
    with pytest.raises(DataError, match="without any spread"):
        adapting.shrunk_precision(np.zeros((4, 3)))


def test_gaussian_rule_is_lda_where_the_covariance_is_the_same() -> None:
    seen, labels = rows(60)
    samples = seen[0]
    means = adapting.class_means(samples, labels, CLASSES)
    centred = samples - means[labels]
    pooled = centred.T @ centred / len(centred)
    weights, bias = adapting.gaussian_rule(means, np.linalg.inv(pooled))
    asked, _ = rows(50, seed=1)
    scores = asked[0] @ weights.T + bias
    lda = LinearDiscriminantAnalysis(solver="lsqr", priors=[1 / CLASSES] * CLASSES).fit(samples, labels)
    theirs = lda.decision_function(asked[0])
    # Up to a number for each row, which no posterior sees.
    np.testing.assert_allclose(
        scores - scores.mean(1, keepdims=True), theirs - theirs.mean(1, keepdims=True), rtol=1e-8, atol=1e-9
    )


@pytest.mark.parametrize("alpha", [0.01, 1.0, 100.0])
def test_gda_clip_scores_by_the_papers_formula(alpha: float) -> None:
    seen, labels = rows(5, looks=3)
    texts = names()
    asked, _ = rows(6, seed=2)
    adapter = built("gda-clip", alphas=(alpha,), alpha=alpha).fit(seen, labels, texts=texts)
    means = np.zeros((CLASSES, WIDTH))
    for code in range(CLASSES):
        of_class = [seen[v, n] for v in range(3) for n in range(len(labels)) if labels[n] == code]
        means[code] = sum(of_class) / len(of_class)
    centred = np.array([seen[v, n] - means[labels[n]] for v in range(3) for n in range(len(labels))])
    covariance = np.cov(centred.T)
    precision = WIDTH * np.linalg.pinv((len(centred) - 1) * covariance + np.trace(covariance) * np.eye(WIDTH))
    expected = np.zeros((len(asked[0]), CLASSES))
    for row, vector in enumerate(asked[0]):
        for code in range(CLASSES):
            rule = vector @ precision @ means[code] - means[code] @ precision @ means[code] / 2 - np.log(CLASSES)
            expected[row, code] = 100 * vector @ texts[code] + alpha * rule
    np.testing.assert_allclose(adapter.scores(asked[0]), expected, rtol=1e-9)


def test_tip_adapter_scores_by_the_papers_formula() -> None:
    seen, labels = rows(3, looks=4)
    texts = names()
    asked, _ = rows(4, seed=2)
    adapter = built("tip-adapter", points=1, largest=5.0).fit(seen, labels, texts=texts)
    assert adapter.choice == {"alpha": 1.17, "beta": 1.0}
    expected = 100 * asked[0] @ texts.T
    for row, vector in enumerate(asked[0]):
        for n, code in enumerate(labels):
            key = seen[:, n].mean(0)
            key /= np.linalg.norm(key)
            expected[row, code] += 1.17 * np.exp(-1.0 * (1 - vector @ key))
    np.testing.assert_allclose(adapter.scores(asked[0]), expected, rtol=1e-9)


def test_one_shot_of_one_look_is_the_nearest_mean() -> None:
    seen, labels = rows(1)
    asked, _ = rows(30, seed=3)
    adapter = built("gda-clip").fit(seen, labels)
    assert all(np.isfinite(each).all() for each in adapter.learnt.values())
    # All shots have unit length: the nearest is that of the largest cosine.
    nearest = labels[(asked[0] @ seen[0].T).argmax(1)]
    np.testing.assert_array_equal(adapter.predict(asked[0]), nearest)


def test_without_shrinkage_few_shots_collapse_and_with_it_they_do_not() -> None:
    from unalike.systems.image_text import gda_clip

    seen, labels = rows(3)
    asked, truth = rows(200, seed=4)
    right = {
        name: (build.fit(seen, labels).predict(asked[0]) == truth).mean()
        for name, build in {
            "shrunk": built("gda-clip"),
            "not": gda_clip.without_shrinkage(gda_clip.Settings(), None),
        }.items()
    }
    assert right["shrunk"] > right["not"] + 0.05


def test_the_weight_is_chosen_on_validation_and_else_by_turns() -> None:
    seen, labels = rows(8)
    asked, truth = rows(40, seed=6)
    # Names that are all wrong: a good choice lets the pictures decide.
    wrong = np.roll(names(), 1, axis=0)
    by_validation = built("gda-clip").fit(seen, labels, texts=wrong, validation=(asked[0], truth))
    scores = [
        (built("gda-clip", alphas=(a,), alpha=a).fit(seen, labels, texts=wrong).predict(asked[0]) == truth).sum()
        for a in systems.find("gda-clip").settings().alphas
    ]
    assert (by_validation.predict(asked[0]) == truth).sum() == max(scores)
    by_turns = built("gda-clip").fit(seen, labels, texts=wrong)
    assert by_turns.choice["alpha"] > 1
    assert built("gda-clip").fit(seen[:, np.unique(labels, return_index=True)[1]], np.arange(4)).choice == {
        "alpha": 1.0
    }


@pytest.mark.parametrize(
    ("labels", "match"),
    [([0, 1, 3, 3], "without a row of the classes 2"), ([0, 1, 2], "a label for each row"), ([0, -1, 1, 2], "from -1")],
)
def test_labels_that_do_not_do_are_refused(labels: list[int], match: str) -> None:
    with pytest.raises(DataError, match=match):
        built("gda-clip").fit(np.eye(4), np.array(labels))


def test_vectors_that_are_zero_or_missing_are_refused() -> None:
    for broken in (np.zeros((2, 3)), np.full((2, 3), np.nan)):
        with pytest.raises(DataError, match="zero or not finite"):
            built("tip-adapter").fit(broken, np.array([0, 1]))


@pytest.mark.parametrize("classes", [2, CLASSES])
def test_linear_probe_is_scikit_learns(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    seen, labels = rows(10)
    use = labels < classes
    asked, _ = rows(20, seed=8)
    adapter = adapting.linear_probe().fit(seen[:, use], labels[use])
    ours = adapter.scores(asked[0])
    strength, weight = adapter.choice["strength"], adapter.choice["weight"]
    model = LogisticRegression(C=strength, max_iter=2000).fit(seen[0, use], labels[use])
    theirs = model.decision_function(asked[0])
    theirs = np.stack([-theirs / 2, theirs / 2], 1) if classes == 2 else theirs
    centred = ours / weight - (ours / weight).mean(1, keepdims=True)
    np.testing.assert_allclose(centred, theirs - theirs.mean(1, keepdims=True), rtol=2e-2, atol=2e-2)


def test_table_gives_every_entrant_the_same_draws_and_leaves_rows_to_ask_about() -> None:
    seen, labels = rows(9)
    entrant = Entrant(build=adapting.nearest_mean, looks=seen, plain=seen[0])
    table = adapting.few_shot_table({"one": entrant, "other": entrant}, labels, shots=(1, 2, 8, 16), draws=4)
    assert list(table["one"]) == [1, 2, 8]
    for count in table["one"]:
        np.testing.assert_array_equal(table["one"][count], table["other"][count])
    assert table["one"][8].mean() > table["one"][1].mean() > 1 / CLASSES


def test_draws_are_of_each_class_alike_and_a_class_that_is_too_small_is_told() -> None:
    labels = np.array([0, 0, 0, 1, 1, -1])
    drawn = adapting.draw_shots(labels, 2, np.random.default_rng(0))
    assert sorted(labels[drawn]) == [0, 0, 1, 1]
    with pytest.raises(DataError, match="class 1 has 2 rows"):
        adapting.draw_shots(labels, 3, np.random.default_rng(0))
