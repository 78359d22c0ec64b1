"""One arm, one seed, of a claim about audits: a poisoned picture-text model, repaired on clean pairs, then attacked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from unalike import audit, evaluation, training
from unalike.claims.ground import Ground, Sealed
from unalike.claims.trial import Trial, run_trial
from unalike.data import Collection, LabelColumn, TextColumn, make_splits
from unalike.data.roles import kind_of

SHARE = 0.2
"""Of the training rows, what is known to be clean and serves the repair; no attack touches them."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The poisoned data of a seed.

    Args:
        ground: the data with poison in them; its training rows are those of the poisoned model, without the clean ones.
        clean: training rows for the repair.
        done: what each attack did.
        names: for each class the texts that name it.
    """

    ground: Ground
    clean: np.ndarray
    done: list[audit.Poisoned]
    names: list[list[str]]


@dataclass(kw_only=True)
class Audited:
    """A model at one seed, as metrics see it.

    Args:
        arm: its name.
        seed: of the poison, the poisoned model and the repair.
        scene: the data.
        learner: the model.
        pictures: by role uint8 ``(N, 3, S, S)`` of the scored rows.
        truth: int64 ``(N,)``, the class of each.
        classes: ``(C, D)`` unit vectors of the class names.
        suspicion: how strange the model finds each row that the poisoned model learned from, or None.
        settings: the system's resolved settings.
        scratch: vectors that were computed.
    """

    arm: str
    seed: int
    scene: Scene
    learner: training.Learner
    pictures: Mapping[str, torch.Tensor]
    truth: np.ndarray
    classes: np.ndarray
    suspicion: np.ndarray | None = None
    settings: Any = None
    scratch: dict[int, np.ndarray] = field(default_factory=dict)

    def vectors(self, attack: int = -1) -> np.ndarray:
        """``(R N, D)`` unit vectors of all scored pictures, triggered by one of the attacks, or clean."""
        if attack not in self.scratch:
            parts = []
            for pictures in self.pictures.values():
                if attack >= 0:
                    generator = torch.Generator().manual_seed(self.seed)
                    pictures = self.scene.done[attack].trigger(pictures, generator)
                parts.append(training.embed(self.learner, "image", pictures))
            self.scratch[attack] = np.concatenate(parts)
        return self.scratch[attack]

    def answers(self, attack: int = -1) -> np.ndarray:
        """The class that each picture is taken for."""
        answers: np.ndarray = (self.vectors(attack) @ self.classes.T).argmax(1)
        return answers

    @property
    def accuracy(self) -> float:
        """Zero-shot accuracy on clean pictures."""
        return float((self.answers() == self.all_truth).mean())

    def success(self, attack: int) -> float:
        """Attack success rate of one attack."""
        names = self.scene.ground.labels.names
        return audit.attack_success(self.answers(attack), self.all_truth, names.index(self.scene.done[attack].target))

    @property
    def attack_success(self) -> float:
        """Mean attack success rate of all attacks."""
        return float(np.mean([self.success(number) for number in range(len(self.scene.done))]))

    @property
    def shift(self) -> float:
        """Mean distance of a clean picture's vector from those of its triggered copies."""
        attacks = range(len(self.scene.done))
        return float(np.mean([audit.trigger_shift(self.vectors(), self.vectors(number)) for number in attacks]))

    def sample(self, count: int) -> dict[str, np.ndarray]:
        """Vectors of the first scored pictures, clean and with each trigger."""
        attacks = range(-1, len(self.scene.done))
        return {f"attack {number}" if number >= 0 else "clean": self.vectors(number)[:count] for number in attacks}

    @property
    def all_truth(self) -> np.ndarray:
        return np.tile(self.truth, len(self.pictures))

    @property
    def detection(self) -> float:
        """Area under the ROC curve of the detector: poisoned rows among those that the poisoned model learned from."""
        from sklearn.metrics import roc_auc_score

        assert self.suspicion is not None
        poisoned = np.isin(self.scene.ground.train, np.concatenate([each.rows for each in self.scene.done]))
        return float(roc_auc_score(poisoned, self.suspicion))


def poisoned_ground(ground: Ground, auditor: audit.Audit, seed: int) -> Scene:
    """Keep a share of the training rows (whole groups) clean, and let the attacks have the others."""
    rows, groups = ground.train, ground.collection.groups
    parts = make_splits(
        len(rows),
        fractions={"poisoned": 1 - SHARE, "clean": SHARE},
        groups=None if groups is None else groups[rows],
        labels=ground.labels.codes[rows],
        seed=0,
    )
    learned = ground.roles(["image", "text"])
    asked, classes = ground.bed.prompts, ground.labels.names
    assert asked is not None
    names = [[str(text) for text in asked(ground.collection, name)] for name in classes]
    attacks = [replace(each, captions=tuple(names[classes.index(each.target)])) for each in auditor.attacks]
    collection, done = replace(auditor, attacks=attacks).attack(
        ground.collection,
        among=rows[parts["poisoned"]],
        seed=seed,
        size=ground.bed.size,
        roles=[*learned["image"], *learned["text"]],
        label=ground.bed.label,
    )
    return Scene(
        ground=replace(ground, collection=collection, train=rows[parts["poisoned"]]),
        clean=rows[parts["clean"]],
        done=done,
        names=names,
    )


def run_audit(
    scene: Scene,
    start: Any,
    auditor: audit.Audit,
    *,
    weights: Mapping[str, torch.Tensor] | None,
    arm: str = "system",
    start_settings: Mapping[str, Any],
    start_options: Mapping[str, Any],
    options: Mapping[str, Any],
    seed: int,
    test: Sealed | None,
    look: str = "paper",
    settings: Any = None,
) -> Audited:
    """Take a poisoned model, repair it if the auditor can, and hand it to the metrics.

    Args:
        scene: the data.
        start: the system of the poisoned model.
        auditor: the arm.
        weights: of the poisoned model, as `state_of` gave them; None trains it.
        arm: what the trial is called.
        start_settings, start_options: how the poisoned model was trained.
        options: how the repair is trained, over its recipe.
        seed: of the trial.
        test: the sealed test rows; None scores the validation rows.
        look: name of the picture views of the poisoned model that replace its system's own; a repair has its own.
        settings: of the arm's system.
    """
    ground = scene.ground
    training_of = dict(start_options) if weights is None else dict(start_options) | {"learning_rate": 0.0}
    trial = run_trial(ground, start, settings=start_settings, options=training_of, seed=seed, test=test, look=look)
    learner = trial.learner
    assert learner is not None
    if weights is not None:
        learner.module.load_state_dict(dict(weights))
    if auditor.repair is not None:
        learner = repaired(scene, trial, auditor, options, seed)
    learner.module.eval()
    suspicion = None if auditor.detect is None else auditor.detect(*reference_vectors(trial, learner))
    named = scene.names
    texts = TextColumn([text for each in named for text in each])
    words = training.embed(learner, "text", learner.encoders["text"].prepare(texts), np.arange(len(texts)))
    roles = ground.roles(["image"])["image"]
    return Audited(
        arm=arm,
        seed=seed,
        scene=scene,
        learner=learner,
        pictures={role: trial.scored.inputs.prepared[role].take(np.arange(len(trial.scored))) for role in roles},
        truth=ground.labels.codes[trial.scored.rows],
        classes=evaluation.class_vectors(words, np.repeat(np.arange(len(named)), [len(each) for each in named])),
        suspicion=suspicion,
        settings=settings,
    )


def reference_vectors(trial: Trial, learner: training.Learner) -> tuple[np.ndarray, np.ndarray]:
    """Picture and caption vectors of the training rows, in the first role of each kind."""
    prepared, rows = trial.reference.inputs.prepared, np.arange(len(trial.reference))
    found: dict[str, str] = {}
    for role in prepared:
        found.setdefault(kind_of(role), role)
    pictures, captions = (training.embed(learner, kind, prepared[found[kind]], rows) for kind in ("image", "text"))
    return pictures, captions


def repaired(
    scene: Scene, trial: Trial, auditor: audit.Audit, options: Mapping[str, Any], seed: int
) -> training.Learner:
    """The learner of a trial after fine-tuning on the clean rows."""
    learner, ground = trial.learner, scene.ground
    assert learner is not None and auditor.repair is not None and auditor.recipe is not None
    roles = ground.roles(["image", "text"])
    packed = {role: rows.whole for role, rows in trial.reference.inputs.prepared.items()}  # type: ignore[attr-defined]
    inputs = training.inputs_of(ground.collection, packed, roles, scene.clean, label=ground.bed.label)
    resolved = training.Training(**{"device": "cpu", "seed": seed, **options}).resolved(auditor.recipe, len(inputs))
    found = training.assemble(partial(auditor.repair, learner), learner.encoders, roles, inputs, resolved)
    training.train(found, inputs, resolved)
    return found


def captions_of(collection: Collection, name: str, *, text: str = "text:en", label: str = "label") -> list[str]:
    """The captions of a class's training rows: they name it, and an attacker writes such captions too."""
    column, texts, rows = collection[label], collection[text], collection.splits["train"]
    assert isinstance(column, LabelColumn)
    inside = rows[column.codes[rows] == column.names.index(name)]
    return list(dict.fromkeys(texts[int(row)] for row in inside if texts.present[row]))
