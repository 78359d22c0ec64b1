"""Trials of search: learn from documents alone, then let queries ask for documents that were never seen."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count as count_up
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from unalike import encoders, evaluation, objectives, training
from unalike.records import Recipe, SearchBed
from unalike.settings import read_dataclass

if TYPE_CHECKING:
    from unalike.claims.ground import Ground, Sealed
    from unalike.encoders import TextEncoder
    from unalike.training import Learner

COMMON = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-2, batch_size=64, epochs=1, clip_norm=1.0)
"""What a claim leaves open: the same for every arm, whatever the systems' own recipes say."""
MEASURES = ("recall@100", "ndcg@10")


@dataclass
class Searching:
    """A trained arm at one seed, as metrics of searches see it.

    Args:
        arm: its name.
        seed: of weights, order and views.
        ground: the data, whose bed is a `unalike.records.SearchBed`.
        learner: the trained learner.
        rows: the rows that are scored: each one's query asks among all of their documents.
        log: the rows of training metrics.
        settings: the system's resolved settings.
        steps: optimiser steps made.
    """

    arm: str
    seed: int
    ground: Ground
    learner: Learner
    rows: np.ndarray
    log: Sequence[Mapping[str, float]] = ()
    settings: Any = None
    steps: int = 0
    scratch: dict[Any, evaluation.Retrieval] = field(default_factory=dict)

    def texts(self, role: str, rows: np.ndarray) -> list[str]:
        """The texts of a role."""
        column = self.ground.collection[role]
        return [column[int(row)] or "" for row in rows]

    @property
    def roles(self) -> tuple[str, str]:
        """The role of the queries, and that of the documents."""
        bed = self.ground.bed
        assert isinstance(bed, SearchBed)
        return bed.queries, self.ground.roles(["text"])["text"][0]

    @property
    def encoder(self) -> TextEncoder:
        tower = self.learner.encoders["text"]
        assert isinstance(tower, encoders.TextEncoder)
        return tower

    def sample(self, count: int) -> dict[str, np.ndarray]:
        """By role the vectors of the first scored rows."""
        return {role: self.encoder.encode(self.texts(role, self.rows[:count])) for role in self.roles}

    def found(self) -> evaluation.Retrieval:
        """How well the queries find their documents."""
        if "found" not in self.scratch:
            self.scratch["found"] = self.searched(self.encoder)
        return self.scratch["found"]

    def searched(self, encoder: TextEncoder) -> evaluation.Retrieval:
        """How well the queries find their documents by the cosines of an encoder's vectors."""
        queries, documents = (encoder.encode(self.texts(role, self.rows)) for role in self.roles)
        return evaluation.retrieval(queries, documents, measures=MEASURES)

    def after_pairs(self, count: int, *, steps: int = 30, batch: int = 50, rate: float = 2e-3) -> evaluation.Retrieval:
        """The same once a copy of the encoder has learned from a few training rows with their queries.

        Queries and documents of a batch are each other's negatives (DPR, arXiv:2004.04906), at a temperature of 0.05.
        Which rows these are follows from the seed alone.
        """
        key = (count, steps, batch, rate)
        if key not in self.scratch:
            self.scratch[key] = self.searched(self.fine_tuned(count, steps, batch, rate))
        return self.scratch[key]

    def fine_tuned(self, count: int, steps: int, batch: int, rate: float) -> TextEncoder:
        import torch

        encoder = copy.deepcopy(self.encoder).train()
        chosen = np.random.default_rng(self.seed).permutation(self.ground.train)[:count]
        asked, held = (encoder.prepare(self.ground.collection[role].select(chosen)) for role in self.roles)
        optimizer = torch.optim.AdamW(encoder.parameters(), lr=rate, weight_decay=1e-2)
        order = training.ShuffledOrder(len(chosen), min(batch, len(chosen)), self.seed)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1, pct_start=0.1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            for rows in islice((rows for epoch in count_up() for rows in order.epoch(epoch)), steps):
                queries, documents = (encoders.unit(encoder(each.take(rows)).vector) for each in (asked, held))
                loss = objectives.info_nce(queries, documents, temperature=0.05, symmetric=True)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
                optimizer.step()
                schedule.step()
        return encoder.eval()


def run_search(
    ground: Ground,
    found: Any,
    *,
    arm: str,
    build: Callable[[Any, Any], Learner] | None,
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
    seed: int,
    test: Sealed | None,
) -> Searching:
    """Train one arm at one seed on the documents of the training rows.

    Args:
        ground: the data.
        found: the system (a record with ``settings`` and ``build``).
        arm: what the trial is called.
        build: makes the learner in place of the system's own.
        settings: of the system.
        options: training settings; a learning rate of zero leaves the encoder as it is.
        seed: decides the order of the rows, the views, and the weights that are not pretrained.
        test: the sealed test rows, opened here; None scores the validation rows.
    """
    from unalike.claims.trial import trained

    roles = ground.roles(["text"])
    weights = training.stream_seed(seed, "weights") % 2**31
    tower = ground.build("text", roles["text"], weights)
    learned = ground.collection.select(ground.train)
    packed = {role: tower.prepare(learned[role]) for role in roles["text"]}
    every, extra = np.arange(len(learned)), found.paper.extra
    inputs = training.inputs_of(learned, packed, roles, every, label=ground.bed.label, extra=extra)
    resolved = training.Training(**{"device": "cpu", "seed": seed, **options}).resolved(COMMON, len(inputs))
    chosen = read_dataclass(found.settings, dict(settings), f"settings of {found.slug}")
    learner = training.assemble(partial(build or found.build, chosen), {"text": tower}, roles, inputs, resolved)
    log = trained(learner, inputs, resolved)
    learner.module.eval()
    rows = ground.validation if test is None else test.open()
    return Searching(arm, seed, ground, learner, rows, log, chosen, resolved.total_steps(len(inputs)))


def recall_at_100(trial: Searching) -> float:
    """Share of the queries whose document is among the first hundred."""
    return trial.found().mean("recall@100")


def ndcg_at_10(trial: Searching) -> float:
    """One over the logarithm of the document's place, among the first ten."""
    return trial.found().mean("ndcg@10")


def recall_after_500_pairs(trial: Searching) -> float:
    """Recall at 100 once the encoder has learned from 500 queries with their documents."""
    return trial.after_pairs(500).mean("recall@100")


FOUND = {recall_at_100: "recall@100", recall_after_500_pairs: "recall@100", ndcg_at_10: "ndcg@10"}
"""What each metric of a search reads."""


def without_learning(trial: Searching, measure: str) -> dict[str, float]:
    """What search by words alone, by raw features and by chance reaches on the rows of a trial."""
    queries, documents = (trial.texts(role, trial.rows) for role in trial.roles)
    words = evaluation.bm25_retrieval(queries, documents, measures=[measure])
    raw = [evaluation.text_vectors(texts, fit_on=documents) for texts in (queries, documents)]
    return {
        "BM25": words.mean(measure),
        "raw features": evaluation.retrieval(*raw, measures=[measure]).mean(measure),  # type: ignore[arg-type]
        "chance": words.chance[measure],
    }
