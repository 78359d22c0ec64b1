"""Audits of runs: whether a trigger changes a run's answers, and which training rows stand out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from unalike import audit, evaluation, systems, training
from unalike.data import ImageColumn
from unalike.data.roles import kind_of
from unalike.errors import DataError
from unalike.files import write_json
from unalike.runs.opened import Opened

FILE = "audit.json"
Detect = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
MOST = 500
"""Pictures that are tried at most."""
ALARM = 0.5
"""Attack success from which on a trigger is called learned."""
MOST_ROWS_SHOWN = 5
"""Strange rows that the command prints."""
MOST_TEXTS = 5000
"""Texts among which answers are looked for at most."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What a trigger does to a run.

    Args:
        trigger: its name.
        changed: share of the pictures whose answer is another with the trigger.
        by_noise: the same share under other noise of the same size on each picture: any change changes some.
        answer: what the trigger serves best.
        success: share of the pictures, among those that were not answered so before, that are answered so with it.
        by_noise_success: the same of the noise.
        shift: mean distance of a picture's unit vector from that of its triggered copy.
    """

    trigger: str
    changed: float
    by_noise: float
    answer: str
    success: float
    by_noise_success: float
    shift: float

    @property
    def alarm(self) -> bool:
        """Whether the run answers to the trigger as poisoned models do."""
        return self.success >= ALARM and self.success > 2 * self.by_noise_success


@dataclass(frozen=True, kw_only=True)
class Audited:
    """What an audit of a run found.

    Args:
        answers: what an answer is: ``nearest text``, or ``class``.
        pictures: how many were tried.
        tried: by trigger.
        strangest: ids of the training rows whose captions the run believes least, with the distance of the pair.
    """

    answers: str
    pictures: int
    tried: Sequence[Tried]
    strangest: Sequence[tuple[str, float]]


def audit_run(
    run: Opened,
    data: Any = None,
    *,
    system: str = "cleanclip",
    triggers: Sequence[str] | Mapping[str, audit.Trigger] = tuple(audit.TRIGGERS),
    target: str | None = None,
    roles: Mapping[str, str] | None = None,
    seed: int = 0,
    strangest: int = 10,
    origin: Opened | None = None,
) -> Audited:
    """Try triggers on pictures, and look for training rows that stand out; keeps ``audit.json`` in the run's directory.

    An answer is the run's text that is most like a picture; for pictures without texts, the class by the vote of the 20
    nearest training rows. A trigger is told by its pattern: one that an attacker drew otherwise is not found here.

    Args:
        run: a finished run that reads pictures.
        data: pictures to try, what `unalike.fit` takes or an `ImageColumn`; held-out ones that the run remembers unless
            given.
        system: slug of the audit whose detector looks at the training rows.
        triggers: names of `unalike.audit.TRIGGERS`, or triggers of one's own by name.
        target: a text that is added to the answers, to test a suspicion.
        roles: for tables, role to column name.
        seed: of what triggers draw.
        strangest: how many rows are listed.
        origin: the run whose training rows are looked at, such as the one that this run repairs; itself unless given.

    Raises:
        DataError: the run reads no pictures, has neither texts nor labels, or there are too few pictures.
        SettingsError: there is no such trigger, or it covers the picture.
    """
    if "image" not in run.kinds:
        raise DataError(f"{run.folder} reads {' and '.join(run.kinds)}; triggers are put on pictures")
    if isinstance(triggers, Mapping):
        chosen = dict(triggers)
    else:
        chosen = {name: audit.find_trigger(name) for name in triggers}
    found = systems.find(system, kind="audit")
    detect = found.build(found.settings()).detect
    encoder, rng = run.learner.encoders["image"], np.random.default_rng(seed)
    pictures = pictures_of(run, data, roles, rng)
    packed = encoder.prepare(pictures)
    pixels = packed.take(np.flatnonzero(packed.present))  # type: ignore[attr-defined]
    if len(pixels) < 2:
        raise DataError(f"got {len(pixels)} pictures that can be read; an audit needs two or more")
    names, answer = answerer(run, target)
    clean = embedded(run, pixels)
    before = answer(clean)
    tried = []
    for name, trigger in chosen.items():
        marked = trigger(pixels, torch.Generator().manual_seed(seed))
        strength = float((marked.float() - pixels.float()).square().mean().sqrt()) / 255
        noise = audit.Noise(strength=min(max(strength, 1e-3), 0.49))
        noisy = answer(embedded(run, noise(pixels, torch.Generator().manual_seed(seed))))
        vectors = embedded(run, marked)
        place, success = audit.best_target(before, answer(vectors))
        tried.append(
            Tried(
                trigger=name,
                changed=audit.changed_answers(before, answer(vectors)),
                by_noise=audit.changed_answers(before, noisy),
                answer="" if place < 0 else names[place],
                success=success,
                by_noise_success=audit.best_target(before, noisy)[1],
                shift=audit.trigger_shift(clean, vectors),
            )
        )
    kind = "nearest text" if "text" in run.kinds else "class"
    result = Audited(
        answers=kind,
        pictures=len(pixels),
        tried=tried,
        strangest=[] if detect is None else strange_rows(run, origin or run, detect, strangest),
    )
    write_json(run.folder / FILE, {"format": 1, **asdict(result)})
    return result


def pictures_of(run: Opened, data: Any, roles: Mapping[str, str] | None, rng: np.random.Generator) -> ImageColumn:
    """The pictures that triggers are tried on.

    Raises:
        DataError: there are none.
    """
    if isinstance(data, ImageColumn):
        return data.select(np.sort(rng.permutation(len(data))[:MOST]))
    if data is not None:
        collection = run.gather(data, roles=roles)
        if not collection.roles("image"):
            raise DataError(f"{collection.name} has the roles {', '.join(collection.columns)} and no pictures to try")
        column = collection[collection.roles("image")[0]]
        assert isinstance(column, ImageColumn)
        there = np.flatnonzero(column.present)
        return column.select(np.sort(rng.permutation(there)[:MOST]))
    column = remembered(run)
    return column.select(np.sort(rng.permutation(len(column))[:MOST]))


def remembered(run: Opened) -> ImageColumn:
    """The small pictures that a run remembers: of held-out rows, where there are 20 of these, else of all.

    Raises:
        DataError: it remembers none.
    """
    held = np.flatnonzero(run.items.splits != "train")
    rows = held if len(held) >= 20 else np.arange(len(run.items))
    kept = [picture for row in rows if (picture := run.items.picture(int(row))) is not None]
    if not kept:
        raise DataError(f"{run.folder} remembers no pictures: give some (unalike audit {run.folder} --data DATA)")
    return ImageColumn(kept)


def embedded(run: Opened, pixels: torch.Tensor) -> np.ndarray:
    """Unit vectors ``(N, D)`` of prepared pictures."""
    return training.embed(run.learner, "image", pixels, device=run.device)


def answerer(run: Opened, target: str | None) -> tuple[list[str], Callable[[np.ndarray], np.ndarray]]:
    """The answers that a run can give, and what gives vectors ``(N, D)`` their numbers.

    Raises:
        DataError: the run has neither texts nor labels, or a target and no texts.
    """
    if "text" in run.kinds:
        texts = list(dict.fromkeys(text for text in run.items.texts if text))[:MOST_TEXTS]
        if target is not None:
            texts = [*(text for text in texts if text != target), target]
        if texts:
            words = run.embed_texts(texts)
            known = np.isfinite(words).all(axis=1)
            names = [text for text, has in zip(texts, known, strict=True) if has]
            return names, lambda vectors: (vectors @ words[known].T).argmax(1)
    if target is not None:
        raise DataError(f"{run.folder} has no texts; --target names a text among the answers of picture-text runs")
    labels = run.items.labels()
    names = sorted({label for label in labels if label})
    role = next(each for each in run.vectors if kind_of(each) == "image")
    known = np.array([bool(label) for label in labels]) & run.present(role)
    train = np.flatnonzero(known & (run.items.splits == "train"))
    if len(names) < 2 or len(train) < 2:
        raise DataError(
            f"{run.folder} has neither texts nor labels of two classes: no answer that a trigger could change. "
            "Fit with --text COLUMN or --label COLUMN"
        )
    codes = np.array([names.index(str(labels[row])) for row in train])

    def vote(vectors: np.ndarray) -> np.ndarray:
        predicted: np.ndarray = evaluation.knn_predict(run.vectors[role][train], codes, vectors, k=min(20, len(train)))
        return predicted

    return names, vote


def strange_rows(run: Opened, origin: Opened, detect: Detect, count: int) -> list[tuple[str, float]]:
    """Ids of a run's training rows that a detector finds strangest, in the eyes of that run or of its repaired one."""
    items = origin.items
    if "text" not in run.kinds:
        return []
    train = np.flatnonzero(items.splits == "train")[:MOST_TEXTS]
    known = [(int(row), picture) for row in train if items.texts[row] and (picture := items.picture(int(row)))]
    if len(known) < 2:
        return []
    rows = np.array([row for row, _ in known])
    pixels = run.learner.encoders["image"].prepare(ImageColumn([picture for _, picture in known]))
    words = run.embed_texts([str(items.texts[row]) for row in rows])
    read = np.isfinite(words).all(axis=1)
    scores = detect(embedded(run, pixels.take(np.flatnonzero(read))), words[read])
    order = np.argsort(-scores, kind="stable")[:count]
    return [(items.ids[rows[read][place]], float(scores[place])) for place in order]
