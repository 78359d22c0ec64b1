"""What carries the trials of each kind of system out."""

from __future__ import annotations

from collections.abc import Mapping

from unalike import systems
from unalike.checks.works.adapter import AdapterWork
from unalike.checks.works.audit import AuditWork
from unalike.checks.works.base import Work
from unalike.checks.works.decoder import DecoderWork
from unalike.checks.works.learner import LearnerWork
from unalike.checks.works.search import SearchWork
from unalike.checks.works.study import StudyWork
from unalike.records import SearchBed


def work_of(found: systems.System) -> type[Work]:
    """What carries out the claim of a system."""
    if isinstance(found.claim.bed, SearchBed):
        return SearchWork
    return WORK.get(found.paper.kind, LearnerWork)


WORK: Mapping[str, type[Work]] = {
    "adapter": AdapterWork,
    "audit": AuditWork,
    "decoder": DecoderWork,
    "study": StudyWork,
}
"""What carries out the claims of systems that are no learners."""
