"""SDCN: an autoencoder's layers are handed to graph convolutions, and both learn the same clusters.

The graph is smoothed over as often as there are layers, which mixes neighbours and, when there are many layers, all
nodes; the autoencoder's layers are added so that nodes keep something of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import data, encoders, pairing, training
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="sdcn",
    title="Structural Deep Clustering Network",
    authors="Bo, Wang, Shi, Zhu, Lu, Cui",
    year=2020,
    venue="WWW",
    arxiv="2002.01633",
    modality="graph",
    roles=("graph",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    clusters: int = 0  # 0: as many as there are classes, or 10 without labels
    alpha: float = 0.1  # section 4.1.3: weight of KL(P || Q)
    beta: float = 0.01  # section 4.1.3: weight of KL(P || Z), Z of the graph convolutions
    share: float = 0.5  # section 3.3: of the autoencoder in each mixture
    pretraining: float = 0.5  # share of the steps for the autoencoder alone; 30 epochs in section 4.1.3
    random_edges: float = 0.0  # not in the paper: random edges added, as a share of the graph's, to test robustness


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=0.0, batch_size=4096, epochs=400)

CLAIM = Claim(sentence="Adding an autoencoder's layers to graph convolutions gives better clusters than either alone.")


def build(settings: Settings, task: training.Task) -> training.Learner:
    from torch import nn

    encoder, role, decoder, clusters = training.node_parts(task, settings.clusters)
    lengths = [encoder.features, *[encoder.hidden] * encoder.depth, encoder.width, len(clusters.centres)]
    gcn = encoders.DeliveryGCN(lengths, share=settings.share)

    def look(batch, generator):
        nodes = batch.role(role)
        graph = training.disturbed(nodes, settings.random_edges)
        return nodes, pairing.as_tensor(data.with_loops(graph, symmetric=True), nodes.features.device)

    def loss(seen):
        nodes, adjacency = seen
        layers = encoder.hidden_layers(nodes)
        soft = clusters.soft(layers[-1])
        predicted = gcn(nodes.features, layers, adjacency).log_softmax(1)
        agreement = nn.functional.kl_div(predicted, clusters.targets(soft), reduction="batchmean")
        rebuilt = nn.functional.mse_loss(decoder(layers[-1]), nodes.features)
        return rebuilt + settings.alpha * clusters.loss(soft) + settings.beta * agreement

    return training.Learner(
        modules={"encoder": encoder, "decoder": decoder, "clusters": clusters, "gcn": gcn},
        encoders={"graph": encoder},
        stages=training.clustering(
            encoder, decoder, clusters, role, pretraining=settings.pretraining, views=look, loss=loss
        ),
    )
