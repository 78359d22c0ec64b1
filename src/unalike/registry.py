"""Tables of what can be chosen by name."""

from __future__ import annotations

from collections.abc import Mapping

Registry = Mapping
"""The type of a table of choices.

The code that a result depends on (`unalike.claims.code_hash`) does not go through such a table: what a claim chose from
it counts, what else there is to choose does not. So a new encoder or metric leaves the stored results current.
"""
