"""PAMC: one meta-node for each cluster stands for all of its nodes where nodes push each other away.

Contrast of each node with all others costs the square of their number. Here the nodes of a cluster are summed up, and
only these sums push each other away, while neighbours attract as before: the cost grows with nodes and edges alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import claims, objectives, training
from unalike.records import Bed, Claim, Measure, Paper, Recipe

PAPER = Paper(
    number=44,
    probe={"steps": 8},
    slug="pamc",
    title="Efficient block contrastive learning via parameter-free meta-node approximation",
    authors="Kulatilleke, Portmann, Chandra",
    year=2022,
    arxiv="2209.14067",
    modality="graph",
    roles=("graph",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    clusters: int = 0  # 0: as many as there are classes, or 10 without labels
    hops: int = 4  # R of the influence A + A^2 + ... + A^R; the authors' setting for USPS
    scale: float = 0.5  # what cosines are multiplied by (tau); the authors' setting for USPS
    alpha: float = 2.0  # weight of the contrast; the authors' setting for USPS
    beta: float = 2.0  # weight of KL(P || Q); the authors' setting for USPS
    pretraining: float = 0.5  # share of the steps for the autoencoder that it begins with


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=0.0, batch_size=65536, epochs=400)


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder, role, decoder, clusters = training.node_parts(task, settings.clusters)
    influence = training.Influence(settings.hops)

    def look(batch, generator):
        nodes = batch.role(role)
        return nodes, influence(nodes)

    def loss(seen):
        nodes, near = seen
        vectors = encoder(nodes).vector
        soft = clusters.soft(vectors)
        # The release takes the likeliest cluster of each node, where the paper speaks of soft ones.
        contrast = objectives.pamc(vectors, near, soft.argmax(1), scale=settings.scale)
        return settings.alpha * contrast + settings.beta * clusters.loss(soft)

    return training.Learner(
        modules={"encoder": encoder, "decoder": decoder, "clusters": clusters},
        encoders={"graph": encoder},
        stages=training.clustering(
            encoder, decoder, clusters, role, pretraining=settings.pretraining, views=look, loss=loss
        ),
    )


CLAIM = Claim(
    sentence="Meta-nodes of clusters in place of all nodes lose no accuracy, at a cost that is linear in the nodes.",
    baseline="scgc",
    bed=Bed(set="digits", columns={"edges": "knn:3", "features": "image"}),
    encoder={"graph": {"name": "nodes", "width": 10, "hidden": 128}},
    training={"steps": 400, "batch_size": 1078, "weight_decay": 0.0},
    tune={"learning_rate": (1e-3, 3e-3)},
    choose=claims.cluster_accuracy,
    measures=(
        Measure(
            name="clustering accuracy of new nodes, no more than a point lower",
            metric=claims.cluster_accuracy,
            margin=-0.01,
        ),
        Measure(
            name="NMI of the clusters of new nodes, no more than a point lower", metric=claims.cluster_nmi, margin=-0.01
        ),
        Measure(
            name="log-log slope of a step's time in the number of nodes",
            timed=True,
            metric=claims.step_slope,
            better="lower",
            margin=0.25,
            mechanism=True,
        ),
    ),
)
