"""G-SimCLR: SimCLR on batches in which no two pictures share a pseudo-label, so that few negatives are false ones.

SimCLR repels all other pictures of the batch, also those of the anchor's own class. Here an autoencoder that removes
noise is trained first, on the same pictures without labels; k-means on its vectors gives pseudo-labels; then each batch
takes at most one picture of each cluster. The encoder that is kept starts anew and never sees the autoencoder. Batches
cannot be larger than the number of clusters: for large ones take more clusters than classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from unalike import encoders, evaluation, objectives, pairing, training, views
from unalike.errors import SettingsError
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=118,
    probe={"steps": 8},
    slug="gsimclr",
    title="G-SimCLR: Self-Supervised Contrastive Learning with Guided Projection via Pseudo Labelling",
    authors="Chakraborty, Gosthipaty, Paul",
    year=2020,
    venue="ICDM Workshops",
    arxiv="2009.12007",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    clusters: int = 64  # the paper takes the number of classes; here as many as the recipe's batch, at least
    share: float = 0.3  # of the steps, for the autoencoder; the paper trains it apart
    noise: float = 0.5  # standard deviation, of pictures standardised to about one; not known of the paper
    temperature: float = 0.1  # SimCLR's for ImageNet
    hidden: int = 256  # three layers, as the authors' code; probes may read each of them
    output: int = 128  # as SimCLR


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=64, epochs=100)


def build(settings: Settings, task: training.Task) -> training.Learner:
    from torch import randn
    from torch.nn.functional import mse_loss

    contrast = simclr(settings, task)
    [role, *_] = task.roles["image"]
    reader = encoders.fresh_encoder(task.encoders["image"])
    decoder = encoders.ImageDecoder(reader.width, size=reader.size, widths=(64, 32, 16))
    clusters, count = pairing.Clusters(task.rows), min(settings.clusters, task.rows)

    def noisy(batch, generator):
        clean = reader.plain(batch.role(role))
        return clean + settings.noise * randn(clean.shape, generator=generator).to(clean), clean

    def restored(pair):
        spoilt, clean = pair
        return mse_loss(decoder(reader(spoilt).vector), clean)

    def cluster(inputs):
        vectors = training.embed_inputs(inputs, role, reader)
        clusters.set(pairing.k_means(vectors, count).codes)

    def distinct(inputs, batch, seed):
        if count < batch:
            raise SettingsError(
                f"{count} clusters for batches of {batch} pictures of different clusters: "
                f"give clusters={batch} or more, or batch_size={count} or less"
            )
        return training.DistinctClusters(clusters.codes, batch, seed)

    first = training.Stage(share=settings.share, views=noisy, loss=restored, trains=("reader", "decoder"))
    [own] = contrast.phases
    second = replace(own, share=1 - settings.share, order=distinct, begin=cluster, trains=tuple(contrast.modules))
    return training.Learner(
        modules={**contrast.modules, "reader": reader, "decoder": decoder, "clusters": clusters},
        encoders=contrast.encoders,
        stages=(first, second),
    )


def simclr(settings: Settings, task: training.Task, order=None) -> training.Learner:
    """SimCLR with a head of three layers, on batches of any order: at random unless one is given."""
    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output, layers=3)
    view = views.simclr(encoder.size, strength=0.5)

    def loss(pair):
        first, second = (encoders.unit(projector(encoder(pictures).vector)) for pictures in pair)
        return objectives.nt_xent(first, second, temperature=settings.temperature, same=pair.same)

    modules = {"encoder": encoder, "projector": projector}
    look = task.random_views("image", view, view)
    return training.Learner(modules=modules, encoders={"image": encoder}, views=look, loss=loss, order=order)


def oracle(settings: Settings, task: training.Task) -> training.Learner:
    """The upper bound: no two pictures of one true class in a batch."""
    return simclr(settings, task, lambda inputs, batch, seed: training.DistinctClusters(inputs.labels, batch, seed))


BATCH = 10


@needs("learner")
def false_negatives(trial):
    """Share of the pairs of a batch that are of one class, over an epoch of the trained learner's batches."""
    labels, inputs, order = trial.reference.labels(), trial.reference.inputs, trial.learner.phases[-1].order
    batches = (order or (lambda x, batch, seed: training.ShuffledOrder(len(x), batch, seed)))(inputs, BATCH, trial.seed)
    same = sum((labels[rows][:, None] == labels[rows]).sum() - len(rows) for rows in batches.epoch(0))
    return same / (len(batches) * BATCH * (BATCH - 1))


@needs("learner")
def probe_of_the_head(trial):
    """Accuracy of a linear probe on the head without its last layer (the paper's P1)."""
    head = trial.learner.modules["projector"][:-1].eval()
    role, found = next(iter(trial.reference.spaces)), []
    for side in (trial.reference, trial.scored):
        vectors = training.embed_inputs(side.inputs, role, trial.learner.encoders["image"], head)
        found += [vectors.numpy(), side.labels()]
    return evaluation.linear_probe(*found, strengths=(0.1,)).value


CLAIM = Claim(
    sentence="Batches without two pictures of one pseudo-class have fewer false negatives and give better features.",
    baseline="simclr",
    bed=Bed(set="animals", rows=2000),
    views="gentle",
    training={"batch_size": BATCH, "steps": 500},
    arms={
        "system": Arm(settings={"clusters": 10}),
        "baseline": Arm(build=simclr, training={"steps": 350}),
        "four times the clusters": Arm(settings={"clusters": 40}, like="system"),
        "true classes": Arm(build=oracle, training={"steps": 350}, like="system"),
    },
    tune={"learning_rate": (1e-3, 3e-3)},
    measures=(
        Measure(name="linear probe, batch 10", metric="linear_probe"),
        Measure(name="false negatives", metric=false_negatives, better="lower", mechanism=True),
        Measure(name="linear probe of the head", metric=probe_of_the_head),
        Measure(name="linear probe, 40 clusters", metric="linear_probe", arm="four times the clusters"),
        Measure(name="linear probe, true classes", metric="linear_probe", arm="true classes"),
    ),
)
