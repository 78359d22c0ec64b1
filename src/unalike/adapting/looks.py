"""Random looks at labelled pictures through a frozen encoder."""

from __future__ import annotations

import numpy as np
import torch

from unalike import views
from unalike.encoders import Prepared
from unalike.training import Learner

CHUNK = 256


@torch.inference_mode()
def look_vectors(
    learner: Learner, prepared: Prepared, *, looks: int, seed: int = 0, device: torch.device | str = "cpu"
) -> np.ndarray:
    """Unit vectors ``(V, N, D)`` of prepared pictures, each looked at several times through crops and flips.

    The looks of Tip-Adapter's and GDA-CLIP's released code: crops of half the picture to all of it, and mirrored.

    Args:
        learner: whose encoder of pictures is asked.
        prepared: N pictures.
        looks: how often each is looked at.
        seed: of the looks.
        device: where vectors are computed.
    """
    learner.module.to(device).eval()
    encoder, project = learner.encoders["image"], learner.project.get("image")
    view = views.ImageViews(encoder.size, crop_scale=(0.5, 1.0), jitter_p=0.0, gray=0.0, blur=0.0)
    generator = torch.Generator().manual_seed(seed)
    rounds = []
    for _ in range(looks):
        parts = []
        for start in range(0, len(prepared), CHUNK):
            entries = prepared.take(np.arange(start, min(start + CHUNK, len(prepared))))
            seen = encoder(view(entries, generator).to(device)).vector.float()
            seen = seen if project is None else project(seen)
            parts.append(torch.nn.functional.normalize(seen, dim=-1).cpu().numpy())
        rounds.append(np.concatenate(parts))
    return np.stack(rounds)
