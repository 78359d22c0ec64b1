"""SCGC: nodes are clustered by features alone, and the graph only tells which of them attract each other.

Graph networks mix each node with its neighbours at every layer, in training and in use. Here a plain network reads
the features, and a contrastive loss pulls a node to those that walks of a few steps reach, each by how likely it is
reached, against all other nodes. So there is nothing to over-smooth, and new nodes need no graph.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import claims, objectives, training
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe

PAPER = Paper(
    number=114,
    probe={"steps": 8},
    slug="scgc",
    title="SCGC: Self-Supervised Contrastive Graph Clustering",
    authors="Kulatilleke, Portmann, Chandra",
    year=2022,
    arxiv="2204.12656",
    modality="graph",
    roles=("graph",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    clusters: int = 0  # 0: as many as there are classes, or 10 without labels
    hops: int = 4  # R, the longest walk; 1 to 4 in the paper
    cumulative: bool = True  # SCGC*: walks of all lengths; false: those of length R alone (SCGC)
    scale: float = 0.5  # what cosines are multiplied by (tau); 0.25 to 2.25 in the paper
    alpha: float = 1.0  # weight of the contrast; 0.5 to 4 in the paper
    beta: float = 0.1  # weight of KL(P || Q)
    reconstruction: float = 0.0  # SCGC* drops the decoder; 1 in SCGC
    pretraining: float = 0.5  # share of the steps for the autoencoder that both begin with
    random_edges: float = 0.0  # not in the paper: random edges added, as a share of the graph's, to test robustness


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=0.0, batch_size=4096, epochs=400)


def build(settings: Settings, task: training.Task) -> training.Learner:
    from torch import nn

    encoder, role, decoder, clusters = training.node_parts(task, settings.clusters)
    influence = training.Influence(settings.hops, cumulative=settings.cumulative, random_edges=settings.random_edges)

    def look(batch, generator):
        nodes = batch.role(role)
        return nodes, influence(nodes)

    def loss(seen):
        nodes, near = seen
        vectors = encoder(nodes).vector
        total = settings.alpha * objectives.iac(vectors, near, scale=settings.scale)
        total = total + settings.beta * clusters.loss(clusters.soft(vectors))
        if settings.reconstruction:
            total = total + settings.reconstruction * nn.functional.mse_loss(decoder(vectors), nodes.features)
        return total

    return training.Learner(
        modules={"encoder": encoder, "decoder": decoder, "clusters": clusters},
        encoders={"graph": encoder},
        stages=training.clustering(
            encoder, decoder, clusters, role, pretraining=settings.pretraining, views=look, loss=loss
        ),
    )


def autoencoder_alone(settings, task):
    """The control: the autoencoder for all of the steps; its vectors are clustered by k-means."""
    encoder, role, decoder, _ = training.node_parts(task, settings.clusters)
    return training.Learner(
        modules={"encoder": encoder, "decoder": decoder},
        encoders={"graph": encoder},
        stages=(training.autoencoding(encoder, decoder, role, share=1.0),),
    )


CLAIM = Claim(
    sentence="A plain network whose loss knows the graph clusters nodes better than graph convolutions.",
    baseline="sdcn",
    bed=Bed(set="digits", columns={"edges": "knn:3", "features": "image"}),
    encoder={"graph": {"name": "nodes", "width": 10, "hidden": 128}},
    training={"steps": 400, "batch_size": 1078, "weight_decay": 0.0},
    tune={"learning_rate": (1e-3, 3e-3)},
    choose=claims.cluster_accuracy,
    arms={
        "autoencoder and k-means": Arm(build=autoencoder_alone),
        "scgc, half as many random edges": Arm(settings={"random_edges": 0.5}, like="system"),
        "sdcn, half as many random edges": Arm(system="sdcn", settings={"random_edges": 0.5}, like="baseline"),
    },
    measures=(
        Measure(name="clustering accuracy of new nodes", metric=claims.cluster_accuracy),
        Measure(
            name="clustering accuracy against an autoencoder and k-means",
            metric=claims.cluster_accuracy,
            against="autoencoder and k-means",
        ),
        Measure(name="NMI of the clusters of new nodes", metric=claims.cluster_nmi),
        Measure(
            name="clustering accuracy where a third of the edges is random",
            metric=claims.cluster_accuracy,
            arm="scgc, half as many random edges",
            against="sdcn, half as many random edges",
        ),
        Measure(
            name="mean cosine of two nodes' outputs (over-smoothing)",
            metric=claims.mean_cosine,
            better="lower",
            mechanism=True,
        ),
    ),
)
