"""What is measured of a run: on rows, and in roles, that were not trained on, each beside its floors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from unalike import encoders, evaluation, training, views
from unalike.data import ArrayColumn, Collection, LabelColumn, StackColumn, TextColumn
from unalike.evaluation import Relevance, Score, Space
from unalike.runs.spec import Spec
from unalike.training import text_codes

if TYPE_CHECKING:
    from unalike.run import Run

MOST_QUERIES = 5000
"""Rows that ask for themselves in the scores without labels."""


@dataclass(frozen=True)
class Scene:
    """A collection in the eyes of a model and of its floors.

    Args:
        learner: the model.
        collection: the rows.
        packed: its prepared roles.
        spaces: by name the vectors by role: the model's under ``""``, those of the floors under theirs.
        device: where vectors are computed.
    """

    learner: training.Learner
    collection: Collection
    packed: Mapping[str, encoders.Prepared]
    spaces: Mapping[str, Mapping[str, np.ndarray]]
    device: torch.device

    def present(self, role: str) -> np.ndarray:
        return self.collection[role].present

    def embed(self, kind: str, prepared: encoders.Prepared) -> np.ndarray:
        from unalike.runs.vectors import embed_prepared

        return embed_prepared(self.learner, kind, prepared, self.device)


class Pictures(Sequence[Image.Image]):
    """Prepared pictures as PIL pictures, made when asked for."""

    def __init__(self, prepared: encoders.Prepared) -> None:
        self.prepared = prepared

    def __len__(self) -> int:
        return len(self.prepared)

    def __getitem__(self, row):  # type: ignore[no-untyped-def]
        return Image.fromarray(np.ascontiguousarray(self.prepared.take([row])[0].permute(1, 2, 0).numpy()))


def raw_features(collection: Collection, role: str, prepared: encoders.Prepared) -> np.ndarray:
    """Vectors without a model: small pictures, weighted n-grams, standardised numbers."""
    column = collection[role]
    train = collection.splits.get("train", np.arange(len(collection)))
    if column.kind == "image":
        return evaluation.pixel_vectors(Pictures(prepared))
    if isinstance(column, TextColumn):
        return evaluation.text_vectors(column)  # type: ignore[arg-type]
    if isinstance(prepared, encoders.PackedNodes):
        return evaluation.standard_vectors(prepared.features, fit_on=prepared.features[train])
    if isinstance(prepared, encoders.PackedSound) or column.kind == "audio":
        values = raw_sound(prepared, np.arange(len(column)))
        return evaluation.standard_vectors(values, fit_on=values[train])
    if column.kind == "video":
        values = np.concatenate([mean_frame(prepared, row) for row in range(len(column))])
        return evaluation.standard_vectors(values, fit_on=values[train])
    assert isinstance(column, ArrayColumn | StackColumn)
    values = np.nan_to_num(prepared.take(np.arange(len(column))).flatten(1).numpy())
    return evaluation.standard_vectors(values, fit_on=values[train])


def raw_sound(prepared: encoders.Prepared, rows: np.ndarray) -> np.ndarray:
    """Mean and deviation of every band of some recordings' spectrograms."""
    if isinstance(prepared, training.Rows):
        return raw_sound(prepared.whole, prepared.rows[rows])
    assert isinstance(prepared, encoders.PackedSound)
    return prepared.raw(rows).numpy()


def mean_frame(prepared: encoders.Prepared, row: int) -> np.ndarray:
    """What a clip shows without its motion, as ``(1, 768)`` numbers: the mean of its frames, made small."""
    frame = prepared.take([row]).float().mean(1)
    return torch.nn.functional.adaptive_avg_pool2d(frame, 16).flatten(1).numpy()


RAW = {
    "image": "raw pixels",
    "text": "n-gram counts",
    "array": "raw features",
    "graph": "raw features",
    "series": "raw values",
    "video": "mean frame",
    "audio": "mean spectrum",
}


def score(
    learner: training.Learner,
    collection: Collection,
    packed: Mapping[str, encoders.Prepared],
    vectors: Mapping[str, np.ndarray],
    untrained: Mapping[str, np.ndarray],
    spec: Spec,
    device: torch.device,
) -> list[Score]:
    """All scores of a run on its held-out rows, or on its training rows where nothing was held out."""
    if "clicks" in spec.roles:
        from unalike import recommendation

        return recommendation.score(learner, collection, packed["clicks"], device)  # type: ignore[arg-type]
    if "labels" in spec.roles:
        from unalike import labelling

        role = spec.roles["text"][0]
        return labelling.score(learner, collection, vectors[role], role, device)
    main = main_roles(collection, spec)
    raw = {role: raw_features(collection, role, packed[role]) for role in main}
    spaces: dict[str, Mapping[str, np.ndarray]] = {"": vectors, "untrained encoder": untrained}
    for kind in dict.fromkeys(role.split(":")[0] for role in main):
        spaces[RAW[kind]] = {role: raw[role] for role in main if role.split(":")[0] == kind}
    scene = Scene(learner, collection, packed, spaces, device)
    return [
        *from_all_others(scene, main, held_out_rows(collection)),
        *across_roles(scene, spec),
        *named_classes(scene, main, spec),
        *own_views(scene, main),
        *predicted(scene, main, spec),
        *across_languages(scene, held_out_rows(collection), spec),
        *held_out(scene, main),
    ]


def held_out_rows(collection: Collection) -> np.ndarray:
    """The rows that are scored: of the test split, or where nothing was held out those of training."""
    splits = collection.splits
    return splits.get("test", splits.get("train", np.arange(len(collection))))


def main_roles(collection: Collection, spec: Spec) -> list[str]:
    """One role of each kind, and every role that was not trained on: what the tables speak of."""
    from unalike.runs.vectors import choose_text_role

    chosen = []
    for kind, trained in spec.roles.items():
        if kind == "text":
            role = choose_text_role(collection)
            chosen.append(role if role in trained else trained[0])
        else:
            unseen = [role for role in spec.unseen if collection[role].kind == kind]
            chosen.extend(unseen or trained[:1])
    return [role for role in chosen if role is not None]


def held_out(scene: Scene, main: Sequence[str]) -> list[Score]:
    """Probes, clusters, retrieval between roles, and geometry, on the test rows alone."""
    splits = scene.collection.splits
    test = held_out_rows(scene.collection)
    train = splits["train"] if "test" in splits else None
    label = scene.collection.label

    def space(vectors: Mapping[str, np.ndarray]) -> Space:
        roles = [role for role in main if role in vectors]
        return Space(
            vectors={role: vectors[role][test] for role in roles},
            train={} if train is None or label is None else {role: vectors[role][train] for role in roles},
        )

    texts = [role for role in main if role.split(":")[0] == "text"]
    codes = text_codes(scene.collection, tuple(texts))
    return evaluation.evaluate_vectors(
        space(scene.spaces[""]),
        pairs=[] if isinstance(scene.learner, training.JointLearner) else None,
        floors={name: space(vectors) for name, vectors in scene.spaces.items() if name},
        labels=None if label is None else LabelColumn(label.codes[test], label.names),
        train_labels=None if label is None or train is None else LabelColumn(label.codes[train], label.names),
        items={role: codes[role][test] for role in texts},
        present={role: scene.present(role)[test] for role in main},
        train_present={} if train is None or label is None else {role: scene.present(role)[train] for role in main},
    )


def from_all_others(scene: Scene, main: Sequence[str], rows: np.ndarray) -> list[Score]:
    """Where there are three modalities or more, or their score is joint: each is found from all the others."""
    kinds = {role.split(":")[0]: role for role in reversed(main)}
    if len(kinds) < 2 or (len(kinds) < 3 and not isinstance(scene.learner, training.JointLearner)):
        return []
    scores = []
    for target, role in reversed(kinds.items()):
        others = [kind for kind in reversed(kinds) if kind != target]
        asking = rows[scene.present(role)[rows] & np.any([scene.present(kinds[k])[rows] for k in others], axis=0)]
        asking = asking[:MOST_QUERIES]
        if len(asking) < 2:
            continue
        codes = text_codes(scene.collection, (role,))[role] if target == "text" else np.arange(len(scene.collection))
        relevance = Relevance.from_groups(codes[asking], codes[asking])
        found = {}
        for name, space in scene.spaces.items():
            if not set(kinds.values()) <= set(space):
                continue
            # Rows of zeros stand for what is missing.
            given = {kind: torch.from_numpy(np.asarray(space[kinds[kind]][asking], np.float32)) for kind in others}
            with torch.no_grad():
                given = {kind: each.to(scene.device) for kind, each in given.items()}
                asked = training.joined_vectors(scene.learner, given, target).cpu().numpy()
            found[name] = evaluation.retrieval(
                asked, space[role][asking], relevance, measures=["recall@1", "recall@10"]
            )
        for measure in ("recall@1", "recall@10"):
            mine = found[""]
            value, short = mine.mean(measure), measure.replace("recall", "R")
            scores.append(
                Score(
                    f"{' and '.join(others)} find the {target}, {short}",
                    value,
                    {"chance": mine.chance[measure]}
                    | {name: each.mean(measure) for name, each in found.items() if name},
                    n=len(asking),
                    reading=f"For {100 * value:.0f}% of the rows what they have of {' and '.join(others)} puts their "
                    f"own {target} among the first {measure.partition('@')[2]} of {len(asking):,}.",
                    interval=evaluation.bootstrap_interval(mine.values[measure]),
                )
            )
    return scores


def across_roles(scene: Scene, spec: Spec) -> list[Score]:
    """Where some picture roles were kept out of training: how things are found across them, in the whole gallery."""
    scores: list[Score] = []
    collection = scene.collection
    seen, fresh = np.zeros((2, len(collection)), bool)
    seen[collection.splits.get("train", np.arange(0))] = True
    fresh[collection.splits.get("test", np.arange(0))] = True
    for unseen in spec.unseen:
        kind = collection[unseen].kind
        if kind != "image":
            continue
        values: list[np.ndarray] = []
        floors: dict[str, list[float]] = {"chance": []}
        count = 0
        for role in spec.roles["image"]:
            both = np.flatnonzero(scene.present(unseen) & scene.present(role))
            count = len(both)
            for name, vectors in scene.spaces.items():
                if unseen not in vectors:
                    continue
                gallery = vectors.get(role)
                if gallery is None:
                    gallery = raw_features(collection, role, scene.packed[role])
                found = evaluation.retrieval(vectors[unseen][both], gallery[both], measures=["recall@1"])
                if name:
                    floors.setdefault(name, []).append(found.mean("recall@1"))
                else:
                    values.append(found.values["recall@1"])
                    floors["chance"].append(found.chance["recall@1"])
        each = np.mean(values, axis=0)
        scores.append(
            Score(
                f"picture to picture: {unseen} (unseen) to the seen, R@1",
                float(each.mean()),
                {name: float(np.mean(found)) for name, found in floors.items()},
                n=count,
                reading=f"{100 * each.mean():.0f}% of the pictures find the picture of the same row in another style "
                f"first, among {count:,}.",
                interval=evaluation.bootstrap_interval(each),
            )
        )
        if "text" in spec.roles:
            gallery_rows = np.flatnonzero(scene.present(unseen))
            for rows, which in ((seen, "trained rows"), (fresh, "new rows")):
                scores += names_find_pictures(scene, spec, unseen, gallery_rows, rows, which)
    return scores


def names_find_pictures(
    scene: Scene, spec: Spec, pictures: str, gallery: np.ndarray, rows: np.ndarray, which: str
) -> list[Score]:
    """Texts of some rows ask for their pictures in the whole gallery: in the main language, and in all of them."""
    vectors = scene.spaces[""]
    main = main_roles(scene.collection, spec)
    first = next(role for role in main if role.split(":")[0] == "text")
    codes = text_codes(scene.collection, spec.roles["text"])
    by_role = {}
    for role in spec.roles["text"]:
        asked = gallery[(rows & scene.present(role))[gallery]]
        if len(asked) < 2:
            continue
        # Pictures whose row bears the same text are right answers too.
        relevance = Relevance.from_groups(codes[role][asked], codes[role][gallery])
        by_role[role] = evaluation.retrieval(
            vectors[role][asked], vectors[pictures][gallery], relevance, measures=["recall@1", "recall@10"]
        )
    scores = []
    for measure in ("recall@1", "recall@10"):
        short = measure.replace("recall", "R")
        if first in by_role:
            found = by_role[first]
            value = found.mean(measure)
            scores.append(
                Score(
                    f"{first} to {pictures} (unseen), {which}, {short}",
                    value,
                    {"chance": found.chance[measure]},
                    n=len(found.queries),
                    reading=f"For {100 * value:.0f}% of the names the right picture is among the first "
                    f"{measure.partition('@')[2]} of {len(gallery):,}.",
                    interval=evaluation.bootstrap_interval(found.values[measure]),
                )
            )
        if len(by_role) > 1:
            means = [found.mean(measure) for found in by_role.values()]
            chance = [found.chance[measure] for found in by_role.values()]
            scores.append(
                Score(
                    f"all {len(by_role)} texts to {pictures} (unseen), {which}, {short}",
                    float(np.mean(means)),
                    {"chance": float(np.mean(chance))},
                    n=sum(len(found.queries) for found in by_role.values()),
                    reading=f"The mean over {len(by_role)} roles of texts; they range from {min(means):.2f} to "
                    f"{max(means):.2f}.",
                )
            )
    return scores


def across_languages(scene: Scene, rows: np.ndarray, spec: Spec) -> list[Score]:
    """Where rows have texts in several roles: how well each is found and finds, and how far their ranks lie apart."""
    collection, learnt = scene.collection, scene.spaces[""]
    pictures = next((role for role in learnt if role.split(":")[0] == "image" and role not in spec.unseen), None)
    if pictures is None or "text" not in scene.learner.encoders:
        return []
    if isinstance(scene.learner, training.JointLearner):  # its score is none of two
        return []
    rows = rows[scene.present(pictures)[rows]][:MOST_QUERIES]
    texts = [role for role in learnt if role.split(":")[0] == "text" and scene.present(role)[rows].sum() > 1]
    if len(texts) < 2:
        return []
    codes = text_codes(collection, tuple(texts))
    ranks = {
        name: evaluation.language_ranks(
            space[pictures][rows],
            {role: space[role][rows] for role in texts},
            present={role: scene.present(role)[rows] for role in texts},
            items={role: codes[role][rows] for role in texts},
        )
        for name, space in scene.spaces.items()
        if {pictures, *texts} <= set(space)
    }
    counts = [int(scene.present(role)[rows].sum()) for role in texts]
    scores = []
    for side, way in enumerate((f"{pictures}>{len(texts)} texts", f"{len(texts)} texts>{pictures}")):
        found = {name: each.recall(1)[side] for name, each in ranks.items()}
        mine, order = found[""], np.argsort(found[""], kind="stable")
        worst, best = (f"{texts[i]} ({mine[i]:.2f})" for i in (order[0], order[-1]))
        scores.append(
            Score(
                f"recall@1/{way}",
                float(mine.mean()),
                {"chance": float((1 / ranks[""].sizes[side]).mean())}
                | {name: float(each.mean()) for name, each in found.items() if name},
                n=sum(counts),
                reading=f"The mean over {len(texts)} roles of texts; the least is {worst}, the most {best}.",
            )
        )
        apart = {name: evaluation.rank_variance((each.texts, each.pictures)[side]) for name, each in ranks.items()}
        if len(apart[""]):
            value = float(apart[""].mean())
            scores.append(
                Score(
                    f"rank_variance/{way}",
                    value,
                    {"chance": evaluation.chance_rank_variance(ranks[""].sizes[side])},
                    n=len(apart[""]),
                    higher_is_better=False,
                    reading=f"Over the {len(texts)} texts of a row, the rank of its right answer lies about "
                    f"{np.sqrt(value):.1f} places around their mean (MRV {value:.1f}, of rows that have them all).",
                    interval=evaluation.bootstrap_interval(apart[""]),
                )
            )
    return scores


def named_classes(scene: Scene, main: Sequence[str], spec: Spec) -> list[Score]:
    """Zero-shot: pictures of the test rows against the names of their classes, for every label role."""
    if "text" not in scene.learner.encoders or "image" not in scene.learner.encoders:
        return []
    collection = scene.collection
    test = collection.splits.get("test", np.arange(len(collection)))
    scores = []
    for role in collection.roles("label"):
        column = collection[role]
        assert isinstance(column, LabelColumn)
        names = [name.replace("-", " ").replace("_", " ") for name in column.names]
        prepared = scene.learner.encoders["text"].prepare(TextColumn(names))
        classes = named_as(scene, scene.embed("text", prepared))
        for pictures in (each for each in main if each.split(":")[0] == "image"):
            rows = test[scene.present(pictures)[test] & column.present[test]]
            if len(rows) < 2 or len(names) < 2:
                continue
            right = evaluation.zero_shot_correct(scene.spaces[""][pictures][rows], classes, column.codes[rows])
            common = float(np.bincount(column.codes[rows]).max() / len(rows))
            scores.append(
                Score(
                    f"zero-shot {role.partition(':')[2] or 'class'}: {pictures}, new rows, accuracy",
                    float(np.mean(right)),
                    {"chance": 1 / len(names), "commonest class": common},
                    n=len(rows),
                    reading=f"{100 * np.mean(right):.0f}% of the pictures are most like the name of their own class, "
                    f"of {len(names)} names that were never trained on as such.",
                    interval=evaluation.bootstrap_interval(np.asarray(right, float)),
                )
            )
    return scores


def named_as(scene: Scene, names: np.ndarray) -> np.ndarray:
    """What pictures are compared with, of the vectors ``(K, D)`` of some names."""
    if not isinstance(scene.learner, training.JointLearner):
        return names
    with torch.no_grad():
        given = {"text": torch.from_numpy(names).to(scene.device)}
        return training.joined_vectors(scene.learner, given, "image").cpu().numpy()


def own_views(scene: Scene, main: Sequence[str]) -> list[Score]:
    """Without labels or second roles: a changed picture or text must find the one it was made from."""
    collection = scene.collection
    if len(main) != 1 or len(collection) < 3 or collection.label is not None:
        return []
    (role,) = main
    rows = collection.splits.get("test", np.arange(len(collection)))
    rows = rows[scene.present(role)[rows]][:MOST_QUERIES]
    if len(rows) < 3:
        return []
    generator = torch.Generator().manual_seed(0)
    column = collection[role]
    if column.kind == "image":
        pixels = scene.packed[role].take(rows)
        plain = views.ImageViews(
            size=pixels.shape[-1], crop_scale=(0.4, 1.0), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
        )
        changed = (plain(pixels, generator) * 255).round().clamp(0, 255).to(torch.uint8)
        asked: encoders.Prepared = encoders.PackedImages(changed.contiguous().numpy(), np.ones(len(rows), bool))
        raw_asked = evaluation.pixel_vectors(Pictures(asked), fit_on=Pictures(scene.packed[role]))
        what = "a cropped, recoloured picture finds its original"
    elif isinstance(column, TextColumn):
        texts = [drop_words(str(column[int(row)]), generator) for row in rows]
        asked = scene.learner.encoders["text"].prepare(TextColumn(texts))
        raw_asked = evaluation.text_vectors(texts, fit_on=column)  # type: ignore[arg-type]
        what = "a text with a third of its words gone finds its original"
    elif column.kind == "audio":
        asked = cut_out(scene.packed[role], rows, generator)
        whole_rows = raw_sound(scene.packed[role], np.arange(len(column)))
        raw_asked = evaluation.standard_vectors(raw_sound(asked, np.arange(len(rows))), fit_on=whole_rows)
        what = "a part of a recording finds the whole"
    else:
        return []
    vectors = scene.embed(column.kind, asked)
    whole = np.flatnonzero(scene.present(role))
    relevance = Relevance.from_groups(rows, whole)
    found = evaluation.retrieval(vectors, scene.spaces[""][role][whole], relevance, measures=["recall@1"])
    raw = next(space[role] for name, space in scene.spaces.items() if name in RAW.values() and role in space)
    floor = evaluation.retrieval(raw_asked, raw[whole], relevance, measures=["recall@1"])
    value = found.mean("recall@1")
    return [
        Score(
            f"{what}, R@1",
            value,
            {"chance": found.chance["recall@1"], RAW[column.kind]: floor.mean("recall@1")},
            n=len(rows),
            reading=f"{100 * value:.0f}% find their original first, among {len(whole):,}.",
            interval=evaluation.bootstrap_interval(found.values["recall@1"]),
        )
    ]


def cut_out(prepared: encoders.Prepared, rows: np.ndarray, generator: torch.Generator) -> encoders.PackedSound:
    """Half to all of some recordings, in one piece each."""
    seen = views.SoundViews(crop=(0.5, 0.9))(prepared.take(rows), generator)
    return encoders.PackedSound(seen.numpy().astype(np.float16))


def predicted(scene: Scene, main: Sequence[str], spec: Spec) -> list[Score]:
    """Where the data name a number to predict: the error of a linear regression on frozen vectors, on the test rows."""
    collection, target = scene.collection, scene.collection.target
    learned = [collection[role] for roles in spec.roles.values() for role in roles]
    if target is None or "test" not in collection.splits or any(column is target for column in learned):
        return []
    scores = []
    for role in main:
        known = scene.present(role) & target.present
        train, test = (rows[known[rows]] for rows in (collection.splits["train"], collection.splits["test"]))
        if len(train) < 2 or len(test) < 2:
            continue
        learnt, truth = target.values[train, 0], target.values[test, 0]
        errors = {
            name: np.abs(
                evaluation.ridge_probe(space[role][train], learnt, space[role][test], truth).predictions - truth
            )
            for name, space in scene.spaces.items()
            if role in space
        }
        value = float(errors[""].mean())
        floors = {name: float(each.mean()) for name, each in errors.items() if name}
        scores.append(
            Score(
                f"the target from {role}, new rows, mean absolute error",
                value,
                {"always the median": float(np.abs(truth - np.median(learnt)).mean()), **floors},
                n=len(test),
                higher_is_better=False,
                reading=f"A linear regression on the frozen vectors misses the target by {value:.3g} on average.",
                interval=evaluation.bootstrap_interval(errors[""]),
            )
        )
    return scores


def drop_words(text: str, generator: torch.Generator) -> str:
    """A text without a third of its words, at least one word left."""
    words = text.split()
    keep = torch.rand(len(words), generator=generator) >= 1 / 3
    kept = [word for word, stays in zip(words, keep.tolist(), strict=True) if stays]
    return " ".join(kept or words[:1])


def score_new(run: Run, collection: Collection) -> list[Score]:
    """The scores of a run on other data: with labels against the run's own training rows, else within the data."""
    if "clicks" in run.kinds and "clicks" in collection:
        from unalike import recommendation

        return recommendation.score_new(run, collection)
    if "labels" in run.kinds:
        from unalike import labelling

        return labelling.score_new(run, collection)
    main, raw, vectors, packed = [], {}, {}, {}
    for kind in run.kinds:
        for role in collection.roles(kind)[:1]:
            main.append(role)
            packed[role] = run.learner.encoders[kind].prepare(collection[role])
            raw[role] = raw_features(collection, role, packed[role])
            vectors[role] = np.nan_to_num(run.embed_column(collection, role))
    if not main:
        run.readable(collection)
    present = {
        role: collection[role].present & getattr(packed[role], "present", collection[role].present) for role in main
    }
    floors: dict[str, Mapping[str, np.ndarray]] = {}
    for role in main:
        floors[RAW[role.split(":")[0]]] = {role: raw[role]}
    label, train, train_labels = collection.label, {}, None
    own = run.items.labels()
    if label is not None and set(label.names) & {name for name in own if name}:
        rows = np.flatnonzero(run.items.splits == "train")
        train_labels = [own[row] for row in rows]
        for role in main:
            same = [each for each in run.vectors if each.split(":")[0] == role.split(":")[0]]
            if same:
                train[role] = run.vectors[role if role in same else same[0]][rows]
    scene = Scene(run.learner, collection, packed, {"": vectors, **floors}, run.device)
    every = dict(vectors)
    for role in collection.roles("text") if {"image", "text"} <= set(run.kinds) else ():
        if role not in every and collection[role].present.any():
            every[role] = np.nan_to_num(run.embed_column(collection, role))
    return [
        *from_all_others(scene, main, np.arange(len(collection))),
        *across_languages(replace(scene, spaces={"": every}), np.arange(len(collection)), run.spec),
        *(named_classes(scene, main, run.spec) if label is not None else []),
        *(own_views(scene, main) if label is None else []),
        *evaluation.evaluate_vectors(
            Space(vectors=vectors, train=train),
            floors=floors,
            labels=None if label is None else [label[row] for row in range(len(collection))],
            train_labels=train_labels if train else None,
            pairs=[] if isinstance(run.learner, training.JointLearner) else None,
            items=text_codes(collection, tuple(role for role in main if role.split(":")[0] == "text")),
            present=present,
        ),
    ]
