"""What claims on several modalities at once are measured by: is one of them told by all the others?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unalike import training
from unalike.data.roles import kind_of
from unalike.records import needs

if TYPE_CHECKING:
    from unalike.claims.trial import Trial


@needs("learner")
def completed(trial: Trial) -> float:
    """Share of the scored rows whose entry of the first kind is found from the entries of all other kinds.

    It is looked for among one entry of each class of the claim's label; in sets with roles ``label:among-...`` only
    among the classes that these name for the row.
    """
    import torch

    assert trial.learner is not None
    spaces, right = trial.scored.spaces, trial.scored.labels()
    roles = {kind: next(role for role in spaces if kind_of(role) == kind) for kind in trial.learner.encoders}
    target = next(iter(roles))
    given = {kind: torch.from_numpy(spaces[role]) for kind, role in roles.items() if kind != target}
    with torch.inference_mode():
        asked = training.joined_vectors(trial.learner, given, target).numpy()
    known, first = np.unique(right, return_index=True)
    scores = asked @ spaces[roles[target]][first].T
    among = [codes for role, codes in trial.scored.classes.items() if role.startswith("label:among-")]
    if among:
        offered = np.stack([np.searchsorted(known, codes) for codes in among], axis=1)
        chosen = np.take_along_axis(offered, np.take_along_axis(scores, offered, 1).argmax(1)[:, None], 1)[:, 0]
    else:
        chosen = scores.argmax(1)
    return float(np.mean(known[chosen] == right))
