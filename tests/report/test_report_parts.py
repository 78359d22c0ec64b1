"""The parts of a page against plain references: neighbours, ranks, histograms, bars, verdicts, pictures."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unalike.errors import DataError
from unalike.evaluation import Score
from unalike.report import Item, ReportInputs
from unalike.report.charts import histogram, line_charts
from unalike.report.embedding_map import lay_out, payload
from unalike.report.gallery import Cards, mistakes, rows
from unalike.report.neighbours import directions, find, normalised, pair_scores, sample
from unalike.report.pictures import Thumbnails, sprite, thumbnail
from unalike.report.scoring import bar, verdict
from unalike.report.wording import clean


def made(count: int, kinds: int, instances: int, labels: int, seed: int) -> tuple[list[Item], np.ndarray]:
    rng = np.random.default_rng(seed)
    items = [
        Item(
            id=str(row),
            kind=["text:de", "image", "audio"][rng.integers(kinds)],
            instance=None if rng.random() < 0.1 else f"thing {rng.integers(instances)}",
            label=None if rng.random() < 0.1 else f"class {rng.integers(labels)}",
        )
        for row in range(count)
    ]
    # Few distinct vectors, so that ties are common.
    return items, normalised(rng.integers(-1, 2, (count, 3)).astype(np.float32))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(1, 3), st.integers(1, 12), st.integers(1, 4), st.integers(0, 999))
def test_neighbours_and_ranks_are_those_of_a_plain_loop(
    count: int, kinds: int, instances: int, labels: int, seed: int
) -> None:
    items, vectors = made(count, kinds, instances, labels, seed)
    for direction in directions(items):
        found = find(direction, vectors, k=4)
        for place, query in enumerate(direction.queries):
            others = [target for target in direction.targets if target != query]
            score = {target: float(vectors[query] @ vectors[target]) for target in others}
            expected = sorted(score.values(), reverse=True)[:4]
            np.testing.assert_allclose(found.scores[place], expected, atol=1e-6)
            assert len(set(found.nearest[place])) == len(expected)
            for target, value in zip(found.nearest[place], found.scores[place], strict=True):
                assert score[target] == pytest.approx(value, abs=1e-6)

            def name(row: int, by: str | None = direction.by) -> str | None:
                return getattr(items[row], by) if by else None

            right = [target for target in others if name(query) is not None and name(target) == name(query)]
            if not right:
                assert found.rank[place] == 0 and found.match[place] == -1
                continue
            best = max(score[target] for target in right)
            ahead = sum(value >= best - 1e-6 for target, value in score.items() if target not in right)
            assert found.rank[place] == 1 + ahead
            assert score[found.match[place]] == pytest.approx(best, abs=1e-6)
            assert found.match[place] in right


def test_a_collapsed_space_earns_nothing() -> None:
    items = [Item(id=str(row), instance=str(row // 2)) for row in range(20)]
    found = find(directions(items)[0], np.ones((20, 4), np.float32) / 2, k=3)
    assert (found.rank == 19).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(1, 60), st.integers(1, 150), st.integers(0, 99))
def test_a_sample_keeps_instances_whole(count: int, instances: int, limit: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    items = [
        Item(id=str(row), instance=None if rng.random() < 0.2 else str(rng.integers(instances))) for row in range(count)
    ]
    kept = sample(items, limit, np.random.default_rng(seed))
    assert len(kept) <= limit and (np.diff(kept) > 0).all()
    assert len(kept) == count if count <= limit else len(kept) > 0
    for item in items:
        members = [row for row, other in enumerate(items) if other.instance == item.instance]
        if item.instance is not None and len(members) <= limit and len(kept) < limit:
            assert len(np.intersect1d(members, kept)) in (0, len(members))


def test_drawn_pairs_are_what_they_are_called() -> None:
    items, _ = made(300, 2, 40, 4, 0)
    # One-hot vectors: the similarity is one for the same instance and zero for any other.
    names = sorted({item.instance or f"alone {item.id}" for item in items})
    vectors = np.eye(len(names), dtype=np.float32)[[names.index(i.instance or f"alone {i.id}") for i in items]]
    for direction in directions(items):
        assert direction.by == "instance"
        right, wrong = pair_scores(direction, vectors, 5_000, np.random.default_rng(0))
        assert len(right) > 50 and (right == 1).all()
        assert len(wrong) > 1_000 and (wrong == 0).all()


def test_a_row_is_no_true_pair_with_itself() -> None:
    items = [Item(id=str(row), instance=str(row // 2)) for row in range(60)]
    right, _ = pair_scores(directions(items)[0], np.eye(60, dtype=np.float32), 5_000, np.random.default_rng(0))
    assert len(right) == 60 and (right == 0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.floats(-0.5, 0.5), st.integers(0, 99))
def test_a_histogram_is_counted_as_by_hand(rights: int, wrongs: int, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    right, wrong = np.round(rng.normal(shift, 0.3, rights), 2), np.round(rng.normal(0, 0.3, wrongs), 2)
    chart = histogram(right, wrong, bins=10)
    ordered = np.mean([(a > b) + 0.5 * (a == b) for a in right for b in wrong])
    assert chart.ordered == pytest.approx(ordered)
    low, high = min(right.min(), wrong.min()), max(right.max(), wrong.max())
    if high - low < 1e-6:
        assert chart.overlap == pytest.approx(1)
        return
    edges = np.linspace(low, high, 11)
    shared = sum(
        min(np.mean((side >= a) & ((side < b) if b < high else (side <= high))) for side in (right, wrong))
        for a, b in pairwise(edges)
    )
    assert chart.overlap == pytest.approx(shared)


def test_of_few_steps_each_is_named_once() -> None:
    (chart,) = line_charts([{"step": 1, "loss": 4.0}, {"step": 2, "loss": 3.0}], {})
    assert [tick.text for tick in chart.across] == ["1", "2"]


def test_a_curve_goes_through_its_points() -> None:
    chart = line_charts([{"step": 0, "loss": 4.0}, {"step": 10, "loss": 0.0}, {"step": 20, "loss": 2.0}], {})[0]
    places = [tuple(map(float, pair.split())) for pair in chart.line[1:].split("L")]
    top = 4.0 * 1.05
    np.testing.assert_allclose(places, [(0, 100 * (top - 4) / top), (50, 100), (100, 100 * (top - 2) / top)], atol=0.01)
    assert [tick.text for tick in chart.across] == ["0", "5", "10", "15", "20"]
    assert chart.band == "" and chart.zone is None


def test_curves_skip_what_is_no_number_and_come_in_their_order() -> None:
    history = [
        {"step": step, "grad_norm": 1.0 + step, "loss": float("nan") if step == 2 else 3.0 - step, "rank.image": 9.0}
        for step in range(5)
    ]
    history += [{"step": 5, "loss": float("inf")}]
    charts = line_charts([row | {"note": "text", "done": True} for row in history], {"rank.image": 2.0})  # type: ignore[dict-item]
    assert [chart.title for chart in charts] == ["loss", "effective rank, image", "grad norm"]
    assert len(charts[0].points) == 4
    zone = charts[1].zone
    assert zone is not None and zone == pytest.approx(100 * (1 - 2 / (9 * 1.05)))


def test_a_long_curve_stays_small_and_keeps_its_extremes() -> None:
    history = [{"step": step, "loss": 50.0 if step == 777 else 1.0} for step in range(20_000)]
    chart = line_charts(history, {})[0]
    assert len(chart.points) <= 150
    heights = [float(pair.split()[1]) for pair in re.split("[ML]", chart.band.rstrip("Z")) if pair]
    assert min(heights) == pytest.approx(100 * (1 - 50 / (50 + 0.05 * 50)), abs=0.01)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (Score("a", 0.5), "unrated"),
        (Score("a", 0.5, {"chance": 0.1, "raw": 0.4}), "above"),
        (Score("a", 0.5, {"chance": 0.1, "raw": 0.5}), "below"),
        (Score("a", 0.5, {"raw": 0.4}, interval=(0.45, 0.55)), "above"),
        (Score("a", 0.5, {"raw": 0.4}, interval=(0.39, 0.55)), "unclear"),
        (Score("a", 0.5, {"raw": 0.6}, interval=(0.4, 0.7)), "below"),
        (Score("a", 5.0, {"raw": 7.0, "chance": 90.0}, higher_is_better=False), "above"),
        (Score("a", 5.0, {"raw": 7.0}, higher_is_better=False, interval=(4.0, 7.5)), "unclear"),
        (Score("a", 8.0, {"raw": 7.0}, higher_is_better=False), "below"),
    ],
)
def test_verdicts(score: Score, expected: str) -> None:
    assert verdict(score) == expected


@settings(max_examples=80, deadline=None)
@given(
    st.floats(-1e6, 1e6),
    st.lists(st.floats(-1e6, 1e6), max_size=4),
    st.one_of(st.none(), st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)).map(sorted)),
)
def test_bars_stay_on_their_scale(value: float, floors: list[float], interval: list[float] | None) -> None:
    drawn = bar(Score("a", value, {str(place): floor for place, floor in enumerate(floors)}, interval=interval))  # type: ignore[arg-type]
    places = [drawn.start, drawn.start + drawn.width, *(floor.place for floor in drawn.floors)]
    places += [] if drawn.low is None or drawn.high is None else [drawn.low, drawn.high]
    assert all(-0.02 <= place <= 100.02 for place in places)
    order = np.argsort(floors, kind="stable")
    assert (np.diff([drawn.floors[place].place for place in order]) >= 0).all()


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.sampled_from(["RGB", "L", "P", "RGBA", "LA", "1", "CMYK", "I;16"]),
    st.integers(24, 96),
)
def test_thumbnails_keep_the_shape_and_fit(width: int, height: int, mode: str, side: int) -> None:
    small = thumbnail(Image.new(mode, (width, height)), side)
    assert small.mode == "RGB" and max(small.size) <= side
    factor = max(small.size) / max(width, height)
    assert abs(small.width - factor * width) <= 1 and abs(small.height - factor * height) <= 1
    assert sprite([small] * 3, tile=16, quality=50)[1] == 2


def test_tiny_pictures_grow_without_smoothing() -> None:
    pixels = np.array([[0, 255], [255, 0]], np.uint8)
    np.testing.assert_array_equal(
        np.asarray(thumbnail(Image.fromarray(pixels), 9))[..., 0], pixels.repeat(4, 0).repeat(4, 1)
    )


def test_unreadable_pictures_are_counted_not_fatal() -> None:
    def missing() -> Image.Image:
        raise FileNotFoundError("gone.png")

    thumbnails = Thumbnails([Item(id="a", thumbnail=missing), Item(id="b", thumbnail=Image.new("RGB", (9, 9)))], 32)
    assert thumbnails[0] is None and thumbnails[0] is None and thumbnails[1] is not None
    assert thumbnails.unreadable == {0: "gone.png"}


def test_mistakes_are_the_worst_and_not_shown_twice() -> None:
    #                a    a     b    b    b       the first b lies among the a
    angles = np.array([0.0, 0.10, 0.02, 1.5, 1.56])
    items = [Item(id=str(row), label=label) for row, label in enumerate("aabbb")]
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    search = directions(items)[0]
    found = find(search, vectors, k=3)
    cards = Cards(items, Thumbnails(items, 32), quality=70, words=80)
    worst = mistakes(search, found, cards, count=5)
    assert [(each.query.id, each.instead.id) for each in worst] == [("0", "2"), ("1", "2")]
    assert worst[0].match.id == "1" and worst[0].rank == 2
    shown = rows(search, found, cards, count=99, k=3, generator=np.random.default_rng(0))
    assert [tile.mark for tile in shown[0].found] == ["wrong", "right", "wrong"]


def test_the_map_holds_every_point_and_its_true_neighbours() -> None:
    items, vectors = made(80, 3, 20, 3, 1)
    vectors = normalised(np.random.default_rng(0).standard_normal((80, 6)))
    places, note = lay_out(vectors, "pca", 0)
    made_of = payload(
        items, np.arange(80), [("PCA", note, places)], vectors, Thumbnails(items, 32), tile=32, quality=50, words=40
    )
    scores = vectors @ vectors.T - 2 * np.eye(80)
    assert made_of["near"] == np.argsort(-scores, axis=1)[:, :5].tolist()
    assert made_of["count"] == 80 and made_of["sprite"] == "" and set(made_of["slot"]) == {-1}
    label = made_of["colours"][0]
    assert label["counts"] == sorted(label["counts"], reverse=True)
    names = [None if code < 0 else label["names"][code] for code in label["codes"]]
    assert names == [item.label for item in items]
    # The layout is a rotation of the centred vectors cut to the two widest directions.
    centred = vectors - vectors.mean(0)
    wide = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(places), np.abs(wide.U[:, :2] * wide.S[:2]), atol=1e-4)


@pytest.mark.parametrize("vectors", [np.ones((9, 4)), np.arange(9.0)[:, None], np.zeros((9, 3))])
def test_spaces_without_two_directions_have_a_map(vectors: np.ndarray) -> None:
    places, note = lay_out(normalised(vectors), "pca", 0)
    assert places.shape == (9, 2) and np.isfinite(places).all() and note


def test_inputs_refuse_what_does_not_fit() -> None:
    items = [Item(id=str(row)) for row in range(3)]
    with pytest.raises(DataError, match="3 items and vectors of shape"):
        ReportInputs(title="", summary=[], items=items, vectors=np.zeros((2, 4)))
    with pytest.raises(DataError, match="first in row 1"):
        ReportInputs(title="", summary=[], items=items, vectors=np.array([[0.0], [np.nan], [0.0]]))
    with pytest.raises(DataError, match="umap"):
        ReportInputs(title="", summary=[], projections=("umap",))  # type: ignore[arg-type]


@given(st.text(st.characters(exclude_categories=())), st.integers(1, 50))
def test_any_text_can_be_written(text: str, limit: int) -> None:
    short = clean(text, limit)
    assert len(short) <= limit and "\x00" not in short
    short.encode("utf-8")
