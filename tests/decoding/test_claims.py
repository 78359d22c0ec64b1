"""Claims about decoders: every arm of a seed gets the same prompts, and metrics count what they say they count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_models import llama, tokenizer

from unalike import claims, decoding, systems
from unalike.checks import works
from unalike.claims import Generation, Prompt
from unalike.data import open_set
from unalike.errors import SettingsError
from unalike.records import Measure


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    llama(window=128).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def test_a_claim_is_measured_with_the_same_prompts_for_every_arm(folder: Path) -> None:
    own = systems.find("adacad")
    seen: dict[tuple[str, int], tuple[list[Prompt], list[tuple[int, ...]]]] = {}

    def length(trial: Generation) -> float:
        seen[trial.arm, trial.seed] = list(trial.prompts), [found.tokens for found in trial.found]
        return float(np.mean([sum(found.tokens) for found in trial.found]))

    claim = replace(
        own.claim,
        bed=replace(own.claim.bed, rows=5),
        encoder={"text": {"name": str(folder)}},
        measures=(*own.claim.measures[1:3], Measure(name="sum of ids", metric=length)),
    )
    row = claims.check(own.paper, claim, works.DecoderWork("adacad", claim), code="", versions={}, seeds=2, jobs=0)
    assert row.reads == (1,)
    assert row.data.keys() == {"wordnet"}
    assert row.arms["baseline"]["settings"] == {"alpha": 1.0}
    assert row.arms["greedy with the context"]["system"] == "adacad, greedy"
    for seed in (0, 1):
        assert seen["system", seed][0] == seen["baseline", seed][0]
        assert seen["system", seed][1] != seen["baseline", seed][1]
        assert len(seen["system", seed][0]) == 5
    assert seen["system", 0][0] != seen["system", 1][0]
    (third,) = [each for each in row.results if each.name == "sum of ids"]
    assert third.values["system"][0] == np.mean([sum(tokens) for tokens in seen["system", 0][1]])


def test_a_claim_without_prompts_is_refused(folder: Path) -> None:
    own = systems.find("adacad")
    claim = replace(own.claim, bed=replace(own.claim.bed, prompts=None))
    with pytest.raises(SettingsError, match="must name a bed with prompts"):
        works.DecoderWork("adacad", claim)(claims.Job(stage="score", arm="system", seed=0))
    with pytest.raises(SettingsError, match="with a context all of them or none"):
        claims.run_generation(
            None, None, [Prompt(text="a"), Prompt(text="a", context="b")], None, arm="", seed=0, count=2
        )


def test_capitals_are_those_of_wordnet_and_conflicts_are_conflicts() -> None:
    from unalike.systems.language_models.adacad import accuracy, capitals

    prompts = capitals(open_set("wordnet"), np.random.default_rng(0))
    true = {prompt.text: prompt.answer for prompt in prompts if prompt.group == "agreement"}
    assert len(true) > 150
    assert true["Question: What is the capital of Peru?\nAnswer: The capital of Peru is"] == "Lima"
    false = [prompt for prompt in prompts if prompt.group == "conflict"]
    assert len(false) == len(true)
    assert all(prompt.answer != true[prompt.text] and prompt.answer in prompt.context for prompt in false)

    def said(text: str) -> decoding.Continuation:
        return decoding.Continuation(prompt="", text=text, tokens=(), ended=False)

    asked = [Prompt(text="", answer="Lima", group="conflict"), Prompt(text="", answer="Oslo", group="agreement")]
    trial = Generation(
        arm="",
        seed=0,
        model=None,
        tokenizer=None,
        decoder=decoding.greedy(),
        settings=None,
        prompts=asked,
        found=[said(" Lima."), said(" Bergen, not Oslo")],
    )
    assert accuracy(trial) == 0.5
    assert accuracy(trial, "conflict") == 1
    assert accuracy(trial, "agreement") == 0
