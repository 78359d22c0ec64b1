"""Contriever: independent pieces, keys of a slow teacher in a queue, and searches measured as others measure them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import unalike
from unalike import claims, encoders, evaluation, systems, training
from unalike.claims import Ground, Sealed
from unalike.data import Collection, TextColumn, open_set
from unalike.errors import DataError, MissingExtra, SettingsError
from unalike.records import SearchBed
from unalike.systems.text import bert, contriever
from unalike.views import InverseCloze, TextViews, Tokens

THINGS = ["boat", "car", "lamp", "fish", "tree", "road"]
DOCUMENTS = [
    f"the {a} {b} number {n} is here and it does what a {b} does: {a} things, with {n} parts"
    for n, (a, b) in enumerate((a, b) for a in ("red", "old", "quick") for b in THINGS)
]
TINY = {"vocabulary": 300, "width": 16, "depth": 1, "heads": 2, "length": 32, "dropout": 0.0}


def made(build=contriever.build, **settings: object) -> tuple[training.Learner, training.Inputs]:
    column = TextColumn(DOCUMENTS)
    encoder = encoders.build_encoder("transformer", column, seed=0, **TINY)
    rows = np.arange(len(DOCUMENTS))
    inputs = training.inputs_of(
        Collection({"text": column}, name="x"), {"text": encoder.prepare(column)}, {"text": ("text",)}, rows
    )
    task = training.Task(encoders={"text": encoder}, roles={"text": ("text",)}, rows=len(rows), steps=10)
    return build(contriever.Settings(**settings), task), inputs


def test_two_pieces_are_cut_independently() -> None:
    ids = torch.arange(1, 101).repeat(4000, 1)
    look, generator = TextViews(crop=(0.05, 0.5)), torch.Generator().manual_seed(0)
    first, second = (look(Tokens(ids, torch.ones_like(ids).bool()), generator) for _ in range(2))
    sizes = [each.mask.sum(1).double() for each in (first, second)]
    starts = [each.ids[:, 0].double() for each in (first, second)]
    for one, other in (sizes, starts):
        assert abs(float(torch.corrcoef(torch.stack([one, other]))[0, 1])) < 0.05
    for size in sizes:
        assert size.min() == 5 and size.max() == 50 and abs(float(size.mean()) - 27.5) < 0.7
    ends = [start + size for start, size in zip(starts, sizes, strict=True)]
    overlap = (torch.minimum(*ends) > torch.maximum(*starts)).double().mean()
    assert 0.3 < float(overlap) < 0.9  # some overlap, some lie apart
    assert float((starts[0] == starts[1]).double().mean()) < 0.1  # no prefixes


def test_a_span_and_the_rest_make_the_document() -> None:
    lengths = torch.randint(0, 40, (500, 1), generator=torch.Generator().manual_seed(1))
    mask = torch.arange(40) < lengths
    texts = Tokens(torch.arange(1, 41) * mask, mask)
    span, rest = InverseCloze(keep=0.0)(texts, torch.Generator().manual_seed(0))
    assert torch.equal(span.mask.sum(1) + rest.mask.sum(1), lengths[:, 0])
    assert torch.equal(span.mask.any(1), mask.any(1))
    for row in range(0, 500, 7):
        cut = span.ids[row][span.mask[row]]
        assert torch.equal(torch.cat([cut, rest.ids[row][rest.mask[row]]]).sort().values, texts.ids[row][mask[row]])
        assert len(cut) < 2 or bool((cut.diff() == 1).all())
    _, kept = InverseCloze(keep=1.0)(texts, torch.Generator().manual_seed(0))
    assert torch.equal(kept.mask.sum(1), lengths[:, 0])
    with pytest.raises(SettingsError, match="keep=2"):
        InverseCloze(keep=2)


@pytest.mark.parametrize("normalise", [True, False])
def test_the_loss_by_plain_loops(normalise: bool) -> None:
    learner, inputs = made(normalise=normalise, queue=12, momentum=0.5)
    encoder, teacher, queue = (learner.modules[name] for name in ("encoder", "teacher", "queue"))
    assert learner.views is not None and learner.loss is not None and learner.after_step is not None
    held: list[tuple[int, np.ndarray]] = []
    for step, rows in enumerate(([0, 1, 2, 3], [4, 5, 6, 7], [2, 8, 9, 10], [0, 11, 12, 13])):
        first, second, codes = learner.views(inputs.batch(np.array(rows)), torch.Generator().manual_seed(step))

        def vectors(module, tokens):
            found = module(tokens).vector.detach().double().numpy()
            return found / np.linalg.norm(found, axis=1, keepdims=True) if normalise else found / 4.0

        queries, keys = vectors(encoder, first), vectors(teacher, second)
        expected = 0.0
        for i in range(4):
            own = queries[i] @ keys[i] / 0.05
            others = [queries[i] @ key / 0.05 for code, key in held if code not in codes.tolist()]
            expected += np.log(sum(np.exp(score - own) for score in (own, *others))) / 4
        value = learner.loss(training.Looks([first, second, codes], None))
        assert abs(float(value.detach()) - expected) < 1e-4 * max(1, expected)
        held = (held + list(zip(codes.tolist(), keys, strict=True)))[-12:]
        # What waits in the queue is the teacher's, and no gradient reaches either.
        stored = queue.vectors().double().numpy()
        assert all(np.abs(stored - key).max(1).min() < 1e-5 for _, key in held)
        value.backward()
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.add_(0.01)
        assert all(parameter.grad is None for parameter in teacher.parameters())
        before = [p.clone() for p in teacher.parameters()]
        learner.after_step(step)
        for old, new, student in zip(before, teacher.parameters(), encoder.parameters(), strict=True):
            torch.testing.assert_close(new, 0.5 * old + 0.5 * student)


def test_untrained_is_neither_pretrained_nor_the_same_for_every_seed(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    encoders.save_tower(folder, encoders.build_encoder("transformer", TextColumn(DOCUMENTS), seed=1, **TINY))
    tables = []
    for seed in (0, 1):
        encoder = encoders.load_tower(folder, "text")
        before = encoder.table.weight.clone()
        task = training.Task(encoders={"text": encoder}, roles={"text": ("text",)}, rows=9, steps=1)
        torch.manual_seed(seed)
        contriever.untrained(contriever.Settings(), task)
        assert not torch.allclose(encoder.table.weight, before)
        assert abs(float(encoder.table.weight.std().detach()) - bert.Settings().scale) < 0.02
        tables.append(encoder.table.weight)
    assert not torch.equal(*tables)


def ground() -> Ground:
    collection = Collection(
        {
            "text": TextColumn(DOCUMENTS),
            "text:query": TextColumn([f"{text.split()[1]} {text.split()[2]}" for text in DOCUMENTS]),
        },
        name="things",
        splits={"train": np.arange(10), "validation": np.arange(10, 12), "test": np.arange(12, 18)},
        groups=np.arange(18),
    )
    bed = SearchBed(set="things", roles={"text": ("text",)})
    return Ground.of(bed, collection, {"text": {"name": "transformer", **TINY}})


def test_a_trial_scores_unseen_queries_as_trec_eval_does() -> None:
    import pytrec_eval

    here, test = ground(), Sealed(np.arange(12, 18))
    trial = claims.run_search(
        here,
        systems.find("contriever"),
        arm="system",
        build=None,
        settings={},
        options={"steps": 3, "batch_size": 4},
        seed=0,
        test=test,
    )
    assert test.reads == 1 and trial.rows.tolist() == list(range(12, 18)) and len(trial.log) == 3
    queries, documents = (trial.encoder.encode(trial.texts(role, trial.rows)) for role in trial.roles)
    scores = encoders.unit(torch.from_numpy(queries)) @ encoders.unit(torch.from_numpy(documents)).T
    run = {f"q{i}": {f"d{j}": float(scores[i, j]) for j in range(6)} for i in range(6)}
    judge = pytrec_eval.RelevanceEvaluator({f"q{i}": {f"d{i}": 1} for i in range(6)}, {"recall.100", "ndcg_cut.10"})
    found = judge.evaluate(run)
    assert abs(np.mean([each["ndcg_cut_10"] for each in found.values()]) - claims.ndcg_at_10(trial)) < 1e-6
    assert abs(np.mean([each["recall_100"] for each in found.values()]) - claims.recall_at_100(trial)) < 1e-6
    # Few labelled queries: a copy learns, from training rows alone; the trial's own encoder stays as it was.
    before = trial.encoder.encode(DOCUMENTS)
    tuned = trial.fine_tuned(6, steps=20, batch=3, rate=5e-3)
    np.testing.assert_array_equal(trial.encoder.encode(DOCUMENTS), before)
    assert not np.allclose(tuned.encode(DOCUMENTS), before)
    np.testing.assert_array_equal(
        trial.fine_tuned(6, steps=20, batch=3, rate=5e-3).encode(DOCUMENTS), tuned.encode(DOCUMENTS)
    )


def test_no_document_crosses_the_splits() -> None:
    try:
        collection = open_set("descriptions")
    except DataError:
        pytest.skip("descriptions has not been fetched")
    words = np.array([hash(" ".join((text or "").lower().split())) for text in collection["text"]])
    for what in (words, np.asarray(collection.groups)):
        sides = [set(what[rows].tolist()) for rows in collection.splits.values()]
        assert len(set.union(*sides)) == sum(map(len, sides))


def test_words_alone_against_a_plain_formula() -> None:
    pytest.importorskip("bm25s")
    documents = ["red car car road", "blue boat", "old road road road lake", "car"]
    queries = ["car road", "boat lake", "nothing shared"]
    split = [text.split() for text in documents]
    mean = np.mean([len(words) for words in split])
    scores = np.zeros((3, 4))
    for q, query in enumerate(queries):
        for word in query.split():
            held = sum(word in words for words in split)
            rarity = np.log(1 + (4 - held + 0.5) / (held + 0.5))
            for d, words in enumerate(split):
                count = words.count(word)
                scores[q, d] += rarity * count / (count + 1.5 * (1 - 0.75 + 0.75 * len(words) / mean))
    relevance = evaluation.Relevance.from_pairs(np.array([0, 1, 2]), np.array([3, 2, 3]), (3, 4))
    found = evaluation.bm25_retrieval(queries, documents, relevance, measures=["mrr"])
    ranks = [
        1 + sum((scores[q] > scores[q, d]) | ((scores[q] == scores[q, d]) & (np.arange(4) < d)))
        for q, d in ((0, 3), (1, 2), (2, 3))
    ]
    np.testing.assert_allclose(found.values["mrr"], 1 / np.array(ranks))


def test_without_bm25s_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(MissingExtra, match=r"unalike\[search\]"):
        evaluation.bm25_retrieval(["a b"], ["a b c"])


ODD = [
    "",
    " ",
    "x",
    "שלום עולם, זה ארוך יותר",
    "日本語の文章です。検索します。",
    "🙂" * 30,
    "word " * 200_000,
    "\x00\x01 \ufeff",
]


def test_odd_texts_are_learned_from_and_found(tmp_path: Path) -> None:
    texts = [*ODD, *(["the very same text again and again"] * 4), *DOCUMENTS]
    run = unalike.fit(
        texts, system="contriever", encoder={"text": "transformer"}, steps=3, batch_size=8, out=tmp_path / "run"
    )
    assert all(np.isfinite(row["loss"]) for row in run.metrics())
    assert np.isfinite(run.embed([text for text in texts if text.strip()]).vectors).all()
    hits = run.search("日本語の文章です。検索します。", k=3)
    assert hits[0].text is not None and hits[0].text.startswith("日本語")
