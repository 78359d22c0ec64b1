"""Every objective of a paper says what it computes, what data it needs and what it costs, and its example runs."""

from __future__ import annotations

import doctest
import inspect

import pytest

from unalike import objectives

EXPORTED = {name: getattr(objectives, name) for name in objectives.__all__}
PAPERS = [name for name, it in EXPORTED.items() if inspect.isfunction(it) and "Paper:" in (inspect.getdoc(it) or "")]


def test_there_are_objectives() -> None:
    assert len(PAPERS) > 40


@pytest.mark.parametrize("name", PAPERS)
def test_sections_are_there_and_settings_are_keyword_only(name: str) -> None:
    text, parameters = inspect.getdoc(EXPORTED[name]) or "", inspect.signature(EXPORTED[name]).parameters
    assert text.splitlines()[0].endswith((".", "?"))
    if name.endswith("_form"):  # a table of curves takes no data
        return
    wanted = ["Args:", "Example:", "Cost:"] + ([] if "Returns:" in text else ["Data:"])
    assert [section for section in wanted if section not in text] == []
    assert [argument for argument in parameters if f"{argument}:" not in text.split("Args:")[1]] == []
    positional = [it for it in parameters.values() if it.kind is it.POSITIONAL_OR_KEYWORD]
    assert [it.name for it in positional if "Tensor" not in str(it.annotation)] == []


@pytest.mark.parametrize("name", [name for name, it in EXPORTED.items() if "Example:" in (inspect.getdoc(it) or "")])
def test_examples_run(name: str) -> None:
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder(recurse=False).find(EXPORTED[name], name, globs={}):
        runner.run(example)
    assert runner.tries > 0 and runner.failures == 0
