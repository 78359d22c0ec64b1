"""The index: what it answers, what it keeps on the disk, and what it refuses to open."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from unalike.errors import DataError, MissingExtra, RunError, SettingsError
from unalike.search import Hit, Index, top_k


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(400, 12)).astype(np.float32)


def test_hits_are_those_of_top_k(vectors):
    index = Index(vectors, [f"row {row}" for row in range(400)], "image")
    answers = index.search(3 * vectors[:7], 5)
    scores, indices = top_k(vectors[:7], vectors, 5)
    for row, hits in enumerate(answers):
        assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]
        assert [hit.index for hit in hits] == indices[row].tolist()
        np.testing.assert_allclose([hit.score for hit in hits], scores[row], atol=1e-6)
        assert hits[0].id == f"row {row}" and hits[0].role == "image"
    assert index.search_one(torch.from_numpy(vectors[3]), 2) == answers[3][:2]


def test_a_role_or_a_kind_narrows_the_search():
    index = Index(np.eye(4), ["a", "b", "c", "d"], ["image", "text:en", "text:de", "image"])
    query = np.array([1.0, 0.5, 0.7, 0.1])
    assert [hit.id for hit in index.search_one(query, 9)] == ["a", "c", "b", "d"]
    assert [hit.id for hit in index.search_one(query, 9, role="text")] == ["c", "b"]
    assert index.search_one(query, 9, role="text:en")[0].index == 1
    with pytest.raises(DataError, match="'audio'; this index has image, text:de, text:en"):
        index.search_one(query, role="audio")


def test_saved_and_loaded_it_answers_the_same(vectors, tmp_path):
    index = Index(vectors, [f"röw/{row}" for row in range(400)], ["image"] * 200 + ["text:de"] * 200)
    assert [path.name for path in index.save(tmp_path)] == ["index.safetensors", "index.json"]
    again = Index.load(tmp_path)
    assert (again.vectors == index.vectors).all()
    assert (again.ids, again.roles, again.kind) == (index.ids, index.roles, "exact")
    assert again.search(vectors[:3], 4) == index.search(vectors[:3], 4)
    assert {path.name for path in tmp_path.iterdir()} == {"index.safetensors", "index.json"}


def damage(content, key, value):
    content[key] = value
    return content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: damage(content, "format", 99), "update unalike"),
        (lambda content: damage(content, "ids", content["ids"][:-1]), "damaged"),
        (lambda content: damage(content, "role", [5] * 400), "damaged"),
        (lambda content: damage(content, "kind", "magic"), "damaged"),
        (lambda content: [content], "damaged"),
        (lambda content: {}, "damaged"),
    ],
)
def test_damaged_names_are_refused(vectors, tmp_path, change, words):
    Index(vectors).save(tmp_path)
    names = tmp_path / "index.json"
    names.write_text(json.dumps(change(json.loads(names.read_text()))))
    with pytest.raises(RunError, match=words):
        Index.load(tmp_path)


def test_damaged_vectors_are_refused(vectors, tmp_path):
    weights, names = Index(vectors).save(tmp_path)
    content = weights.read_bytes()
    weights.write_bytes(content[:-100])
    with pytest.raises(RunError, match="damaged"):
        Index.load(tmp_path)
    weights.write_bytes(content[:-4] + np.array([np.nan], dtype=np.float32).tobytes())
    with pytest.raises(RunError, match="row 399 of vectors holds NaN"):
        Index.load(tmp_path)
    weights.unlink()
    with pytest.raises(RunError, match="is missing"):
        Index.load(tmp_path)
    names.unlink()
    with pytest.raises(RunError, match="is missing"):
        Index.load(tmp_path)


def test_refuses_what_does_not_fit(vectors):
    with pytest.raises(DataError, match="got 2 ids for 400 vectors"):
        Index(vectors, ["a", "b"])
    with pytest.raises(DataError, match="got 1 roles for 400 vectors"):
        Index(vectors, roles=["image"])
    with pytest.raises(SettingsError, match="'exact', 'hnsw' or 'ivf'"):
        Index(vectors, kind="annoy")
    with pytest.raises(DataError, match="one and the same space"):
        Index(vectors).search(np.ones((1, 3)))
    with pytest.raises(SettingsError, match="k=0"):
        Index(vectors).search(vectors, 0)


def test_an_exact_index_finds_everything(vectors):
    assert Index(vectors).recall(10, sample=50) == 1.0
    assert Index(vectors).recall(1000, queries=vectors[:3]) == 1.0
    with pytest.raises(DataError, match="one row"):
        Index(vectors[:1]).recall()


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_approximate_indexes_find_nearly_all_by_cosine(kind, tmp_path):
    pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 24))
    rows = (centres[rng.integers(0, 40, 6000)] + 0.5 * rng.normal(size=(6000, 24))) * rng.uniform(0.1, 9, (6000, 1))
    index = Index(rows, kind=kind)
    assert index.recall(10, sample=200) > 0.9
    queries = rows[:20] + 0.1
    found = index.search(queries, 10)
    exact = Index(rows).search(queries, 10)
    assert [hits[0].score for hits in found] == pytest.approx([hits[0].score for hits in exact], abs=1e-5)
    shares = [len({hit.index for hit in a} & {hit.index for hit in b}) / 10 for a, b in zip(found, exact, strict=True)]
    assert np.mean(shares) > 0.9
    index.save(tmp_path)
    assert Index.load(tmp_path).kind == kind
    assert Index.load(tmp_path, kind="exact").search(queries, 10) == exact
    with pytest.raises(DataError, match="one and the same space"):
        index.search(np.ones((1, 3)))
    with pytest.raises(SettingsError, match="k=0"):
        index.search(queries, 0)


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_approximate_indexes_of_a_few_rows(kind):
    pytest.importorskip("faiss")
    index = Index(np.eye(3), kind=kind)
    assert [hit.id for hit in index.search_one(np.array([0.1, 1.0, 0.2]), 50)] == ["1", "2", "0"]
    assert index.recall(10) == 1.0


def test_a_vector_that_is_lost_lowers_the_recall(vectors):
    index = Index(vectors, kind="hnsw")

    class Forgetful:
        def search(self, queries, k):
            scores, indices = top_k(queries, index.vectors, k)
            indices[:, -1] = -1
            return scores, indices

    index._faiss = Forgetful()
    assert index.recall(9, queries=vectors[:10]) == pytest.approx(8 / 9)
    assert [len(hits) for hits in index.search(vectors[:2], 5)] == [4, 4]


def test_without_faiss_the_extra_is_named(vectors, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match=r"unalike\[search\]"):
        Index(vectors, kind="hnsw").search(vectors[:1])


def test_hits_are_plain_records():
    hit = Index(np.eye(2), ["sun", "sea"]).search_one(np.array([1.0, 0.0]), 1)[0]
    assert hit == Hit(rank=1, id="sun", score=1.0, index=0, role="item")
    assert isinstance(hit.score, float) and isinstance(hit.index, int)
