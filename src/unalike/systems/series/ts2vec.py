"""TS2Vec: each moment of a series, seen in two contexts, agrees with itself and differs from other moments and series.

Two overlapping windows, with some steps hidden, put the same moments into two contexts. The contrast runs at the finest
resolution and at each coarser one, so that a vector for any stretch of time is the maximum over its steps.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import objectives, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="ts2vec",
    title="TS2Vec: Towards Universal Representation of Time Series",
    authors="Yue, Wang, Duan, Yang, Huang, Tong, Xu",
    year=2022,
    venue="AAAI",
    arxiv="2106.10466",
    modality="series",
    roles=("series",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    mask: float = 0.5  # section 3.2: probability that a step is hidden
    instance: float = 0.5  # equation 3, the release's alpha: share of the contrast with other series


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=16, epochs=40)

CLAIM = Claim(sentence="Contrast at every resolution gives vectors for any stretch of time, for classes and forecasts.")


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["series"]
    hide = views.SeriesViews(mask=settings.mask)

    def look(batch, generator):
        [(series, _)] = batch.choose(task.roles["series"], generator)
        found = views.overlapping_windows(encoder.plain(series), generator)
        present = ~found.second[..., : found.length].isnan().all(1)
        return training.Looks([hide(found.first, generator), hide(found.second, generator), present], batch.same)

    def loss(seen):
        first, second, present = seen
        length = present.shape[1]
        left, right = encoder(first).tokens[:, -length:], encoder(second).tokens[:, :length]
        return objectives.ts2vec(left, right, present=present, instance=settings.instance, same=seen.same)

    return training.Learner(modules={"encoder": encoder}, encoders={"series": encoder}, views=look, loss=loss)
