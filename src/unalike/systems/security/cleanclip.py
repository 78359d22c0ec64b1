"""CleanCLIP: fine-tuning on a few clean pairs that makes a poisoned picture-text model forget its triggers.

Poison ties a trigger to a caption across modalities, and CLIP's loss alone keeps that tie. Here every picture must also
find its own changed look among pictures, and every caption its own among captions: what a picture shows then counts
again, and a mark that says nothing about it does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from unalike import audit, claims, encoders, objectives, pairing, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, Start

PAPER = Paper(
    probe={"rows": 1_000, "scored": 400},
    number=134,
    slug="cleanclip",
    title="CleanCLIP: Mitigating Data Poisoning Attacks in Multimodal Contrastive Learning",
    authors="Bansal, Singhi, Yang, Yin, Grover, Chang",
    year=2023,
    venue="ICCV",
    arxiv="2303.03323",
    modality="image-text",
    kind="audit",
    roles=("image", "text"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    across: float = 1.0  # section 4: weight of CLIP's loss
    within: float = 1.0  # section 4: weight of the self-supervision
    delete: float = 0.1  # EDA's share of deleted words; here of tokens. Its swaps and synonyms are left out
    rate: float = 0.03  # of each attack; 0.05% of 3 million pairs in the paper


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=0.1, batch_size=64, epochs=10, warmup=0.1)


def build(settings: Settings) -> audit.Audit:
    def repair(learner, task):
        image, text = learner.encoders["image"], learner.encoders["text"]
        scale = learner.modules["scale"]
        look = task.view.get("image") or views.simclr(image.size)
        reword = views.TextViews(delete=settings.delete)

        def views_of(batch, generator):
            [(pictures, _)] = batch.choose(task.roles["image"], generator)
            [(captions, codes)] = batch.choose(task.roles["text"], generator)
            seen = [image.plain(pictures), look(pictures, generator)], [captions, reword(captions, generator)], codes
            return training.Looks(seen, batch.same)

        def loss(seen):
            pictures, captions, codes = seen
            shown = [encoders.unit(learner.project["image"](image(each).vector)) for each in pictures]
            words = encoders.unit(learner.project["text"](text(encoders.Tokens.join(captions)).vector))
            return objectives.cleanclip(
                *(shown[0], words[: len(codes)]),
                *(shown[1], words[len(codes) :]),
                logit_scale=scale(),
                pairing=pairing.SharedText(codes),
                same=seen.same,
                across=settings.across,
                within=settings.within,
            )

        return training.Learner(
            modules=learner.modules, encoders=learner.encoders, views=views_of, loss=loss, project=learner.project
        )

    return audit.Audit(
        attacks=[
            audit.Attack(trigger=audit.Blended(), target="activities", rate=settings.rate),
            audit.Attack(trigger=audit.Sine(), target="animals-nature", rate=settings.rate),
        ],
        # Not the paper's: what a repaired model no longer believes was a wrong caption.
        detect=lambda pictures, captions: audit.pair_distance(pictures, captions),  # type: ignore[arg-type]
        repair=repair,
        recipe=RECIPE,
    )


def multimodal_alone(settings, task):
    """Fine-tuning on the same clean pairs by CLIP's loss, as a poisoned model is usually repaired."""
    return build(replace(settings, within=0.0))


def unrepaired(settings, task):
    return replace(build(settings), repair=None, recipe=None)


def captions_of(collection, name):
    return claims.captions_of(collection, name)


def attack_success(trial):
    return trial.attack_success


def clean_accuracy(trial):
    return trial.accuracy


def shift_by_triggers(trial):
    return trial.shift


def detection(trial):
    return trial.detection


def repair_kept(trial):
    """What settings are chosen by on validation rows: accuracy less attack success, for every arm alike."""
    return trial.accuracy - trial.attack_success


CLAIM = Claim(
    sentence="Self-supervision in each modality makes a poisoned CLIP forget its triggers, which clean pairs alone do "
    "not, and keeps its accuracy.",
    baseline="clip",
    bed=Bed(
        set="emoji",
        size=32,
        roles={"image": ("image:google", "image:twitter"), "text": ("text:en",)},
        prompts=captions_of,
    ),
    views="plain",
    start=Start(system="clip", training={"steps": 450, "batch_size": 128, "learning_rate": 2e-3}),
    training={"steps": 120, "batch_size": 64},
    tune={"learning_rate": (3e-3, 1e-2)},
    choose=repair_kept,
    arms={
        "baseline": Arm(build=multimodal_alone),
        "unrepaired": Arm(build=unrepaired, like="system"),
    },
    measures=(
        Measure(name="attack success after the repair", metric=attack_success, better="lower"),
        Measure(name="accuracy on clean pictures, at most 0.03 less", metric=clean_accuracy, margin=-0.03),
        Measure(
            name="accuracy, at most 0.03 less than before", metric=clean_accuracy, against="unrepaired", margin=-0.03
        ),
        Measure(
            name="attack success before the repair, above 0.8", metric=attack_success, arm="unrepaired", against=0.8
        ),
        Measure(name="how far triggers move a picture", metric=shift_by_triggers, better="lower", mechanism=True),
        Measure(name="poisoned pairs told by the repaired model, AUROC", metric=detection, against="unrepaired"),
    ),
    seeds=5,
)
