"""The loop against transformers' own, and the decoders against plain references that remember nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from tiny_models import gpt2, granite, llama, mistral, tokenizer
from torch import Tensor

from unalike import decoding, systems
from unalike.errors import SettingsError

MODELS = {"gpt2": gpt2, "llama": llama, "mistral": mistral, "granite": granite}
PROMPTS = ["the old keeper", "a ship is far", "sea", "the red house of the sea is near and blue"]


def made(slug: str, **settings: object) -> decoding.Decoder:
    system = systems.find(slug, kind="decoder")
    return system.build(system.settings(**settings))


def plain_forward(model, ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Next-token logits and the hidden states of all tokens, from the whole text at once, in float64."""
    with torch.no_grad():
        found = model.double()(input_ids=torch.tensor([ids]), use_cache=False, output_hidden_states=True)
    model.float()
    return found.logits[0, -1].numpy(), found.hidden_states[-1][0].numpy()


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", MODELS)
def test_greedy_gives_the_tokens_of_generate(name: str, attention: str) -> None:
    model, words = MODELS[name](), tokenizer()
    model.set_attn_implementation(attention)
    found = decoding.generate(model, words, PROMPTS, max_new_tokens=12)
    for prompt, each in zip(PROMPTS, found, strict=True):
        ids = torch.tensor([words(prompt)["input_ids"]])
        expected = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
        assert list(each.tokens) == expected[0, ids.shape[1] :].tolist()
        assert each.prompt == prompt
        assert each.text == words.decode(each.tokens, skip_special_tokens=True)
        assert not each.ended


def contrastive_search_reference(model, ids: list[int], steps: int, k: int, alpha: float) -> list[int]:
    ids = list(ids)
    for _ in range(steps):
        logits, earlier = plain_forward(model, ids)
        likely = softmax(logits)
        scores = {}
        for token in np.argsort(-likely)[:k]:
            state = plain_forward(model, [*ids, int(token)])[1][-1]
            cosines = [old @ state / (np.linalg.norm(old) * np.linalg.norm(state)) for old in earlier]
            scores[int(token)] = (1 - alpha) * likely[token] - alpha * max(cosines)
        ids.append(max(scores, key=scores.__getitem__))
    return ids[-steps:]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("k", "alpha"), [(5, 0.6), (3, 0.3), (40, 0.9)])
def test_contrastive_search_is_its_definition(name: str, k: int, alpha: float) -> None:
    model, words = MODELS[name](), tokenizer()
    found = decoding.generate(
        model, words, PROMPTS, decoder=made("contrastive-search", k=k, alpha=alpha), max_new_tokens=10
    )
    greedy = decoding.generate(model, words, PROMPTS, max_new_tokens=10)
    for prompt, each in zip(PROMPTS, found, strict=True):
        expected = contrastive_search_reference(model, words(prompt)["input_ids"], 10, k, alpha)
        assert list(each.tokens) == expected
    assert [each.tokens for each in found] != [each.tokens for each in greedy]


def test_contrastive_search_without_a_penalty_is_greedy() -> None:
    model, words = llama(), tokenizer()
    found = decoding.generate(model, words, PROMPTS, decoder=made("contrastive-search", alpha=0.0), max_new_tokens=9)
    assert found == decoding.generate(model, words, PROMPTS, max_new_tokens=9)


def test_the_head_alone_is_used_where_it_gives_the_logits_and_nowhere_else() -> None:
    from unalike.decoding.rows import Rows

    ids, mask = torch.tensor([[3, 4, 5]]), torch.ones(1, 3, dtype=torch.bool)
    plain = {name: Rows(make(), ids, mask, hidden=True)._plain_head for name, make in MODELS.items()}
    assert plain == {"gpt2": True, "llama": True, "mistral": True, "granite": False}


def test_candidates_that_share_the_cache_are_those_of_repeated_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    from unalike.decoding.rows import Rows

    model, words = llama(), tokenizer()
    assert Rows(model, torch.tensor([[3]]), torch.ones(1, 1, dtype=torch.bool))._shares()
    assert not Rows(mistral(), torch.tensor([[3]]), torch.ones(1, 1, dtype=torch.bool))._shares()
    shared = decoding.generate(model, words, PROMPTS, decoder=made("contrastive-search"), max_new_tokens=12)
    monkeypatch.setattr(Rows, "_shares", lambda self: False)
    assert decoding.generate(model, words, PROMPTS, decoder=made("contrastive-search"), max_new_tokens=12) == shared


def contrast_reference(
    model, informed: list[int], plain: list[int], steps: int, weigh
) -> tuple[list[int], list[float]]:
    added, weights = [], []
    for _ in range(steps):
        with_context = plain_forward(model, informed + added)[0]
        without = plain_forward(model, plain + added)[0]
        weights.append(weigh(softmax(with_context), softmax(without)))
        added.append(int(np.argmax((1 + weights[-1]) * with_context - weights[-1] * without)))
    return added, weights


CONTEXTS = ["the sea is red .", "a", "keeper likes the blue house and the light of a ship", "near ."]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("slug", "settings", "weigh"),
    [
        ("cad", {"alpha": 0.5}, lambda p, q: 0.5),
        ("adacad", {}, lambda p, q: jensenshannon(p, q) ** 2),
        ("adacad", {"base": 2.0}, lambda p, q: jensenshannon(p, q, base=2) ** 2),
        ("adacad", {"floor": 0.1}, lambda p, q: max(0.1, jensenshannon(p, q) ** 2)),
    ],
    ids=["cad", "nats", "bits", "floor"],
)
def test_contrast_with_and_without_context_is_its_formula(name: str, slug: str, settings: dict, weigh) -> None:
    model, words = MODELS[name](), tokenizer()
    found = decoding.generate(
        model, words, PROMPTS, decoder=made(slug, **settings), contexts=CONTEXTS, max_new_tokens=10
    )
    spread = []
    for prompt, context, each in zip(PROMPTS, CONTEXTS, found, strict=True):
        plain, informed = words(prompt)["input_ids"], words(f"{context}\n{prompt}")["input_ids"]
        expected, weights = contrast_reference(model, informed, plain, 10, weigh)
        assert list(each.tokens) == expected
        spread += weights
    if slug == "adacad":
        assert max(spread) - min(spread) > 0.03, "the weight does not adapt here, so that nothing was tested"


def test_only_plausible_tokens_where_asked() -> None:
    model, words = llama(), tokenizer()
    seen: list[bool] = []

    def check(texts: decoding.Texts, chosen: Tensor) -> None:
        informed = texts.logits[0].softmax(-1)
        seen.extend((informed.gather(1, chosen[:, None])[:, 0] >= 0.5 * informed.amax(-1)).tolist())

    for share in (0.0, 0.5):
        decoding.generate(
            model,
            words,
            PROMPTS,
            decoder=made("adacad", plausibility=share, floor=3.0),
            contexts=CONTEXTS,
            max_new_tokens=10,
            listener=check,
        )
        if share == 0:
            assert not all(seen), "nothing implausible was ever chosen, so that the mask has nothing to do"
            seen.clear()
    assert all(seen)


def test_a_row_stops_at_its_end_and_others_go_on() -> None:
    model, words = llama(), tokenizer()
    free = decoding.generate(model, words, PROMPTS, max_new_tokens=12)
    end = free[0].tokens[4]
    model.generation_config.eos_token_id = end
    found = decoding.generate(model, words, PROMPTS, max_new_tokens=12)
    for each, longer in zip(found, free, strict=True):
        stop = longer.tokens.index(end) + 1 if end in longer.tokens else 12
        assert each.tokens == longer.tokens[:stop]
        assert each.ended == (end in longer.tokens)
    assert found[0].ended
    assert len({len(each.tokens) for each in found}) > 1


def test_batches_of_any_size_are_the_same() -> None:
    model, words = gpt2(), tokenizer()
    for slug, options in (("contrastive-search", {}), ("adacad", {"contexts": "the sea ."})):
        whole = decoding.generate(model, words, PROMPTS, decoder=made(slug), max_new_tokens=8, **options)
        for size in (1, 3):
            split = decoding.generate(
                model, words, PROMPTS, decoder=made(slug), max_new_tokens=8, batch_size=size, **options
            )
            assert split == whole


@pytest.mark.parametrize("slug", ["contrastive-search", "adacad", "cad"])
def test_through_generate_of_transformers(slug: str) -> None:
    model, words = llama(), tokenizer()
    decoder = made(slug)
    two = decoder.branches == 2
    ours = decoding.generate(
        model, words, PROMPTS[:1], decoder=decoder, max_new_tokens=8, contexts=CONTEXTS[:1] if two else None
    )
    ids = torch.tensor([words(f"{CONTEXTS[0]}\n{PROMPTS[0]}" if two else PROMPTS[0])["input_ids"]])
    plain = {"plain_ids": torch.tensor([words(PROMPTS[0])["input_ids"]])} if two else {}
    theirs = model.generate(ids, custom_generate=decoder, max_new_tokens=8, **plain)
    assert theirs[0, ids.shape[1] :].tolist() == list(ours[0].tokens)
    record = model.generate(ids, custom_generate=decoder, max_new_tokens=8, return_dict_in_generate=True, **plain)
    assert torch.equal(record.sequences, theirs)


def test_settings_of_generate_hold_in_a_padded_batch() -> None:
    model = llama()
    ids, mask = torch.tensor([[0, 0, 5, 6], [7, 8, 9, 4]]), torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    options = {"attention_mask": mask, "max_new_tokens": 10, "repetition_penalty": 1.7, "pad_token_id": 0}
    free = model.generate(ids, do_sample=False, **options)
    options["eos_token_id"] = int(free[0, 7])
    expected = model.generate(ids, do_sample=False, **options)
    assert (expected[0, 8:] == 0).any()
    assert torch.equal(model.generate(ids, custom_generate=decoding.greedy(), **options), expected)


def test_two_models_as_branches() -> None:
    first, second, words = llama(), gpt2(seed=3), tokenizer()
    found = decoding.generate(
        first, words, PROMPTS, second=second, decoder=made("cad"), contexts=CONTEXTS, max_new_tokens=8
    )
    ids = words(f"{CONTEXTS[0]}\n{PROMPTS[0]}")["input_ids"]
    plain = words(PROMPTS[0])["input_ids"]
    for token in found[0].tokens:
        assert token == int(np.argmax(2 * plain_forward(first, ids)[0] - plain_forward(second, plain)[0]))
        ids, plain = [*ids, token], [*plain, token]


def test_nucleus_draws_from_the_nucleus_as_often_as_it_should() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.5, -1.0]]).expand(4000, -1)
    decoder = made("nucleus", share=0.8, seed=3)

    class Fixed:
        pass

    texts = Fixed()
    texts.logits = [logits]  # type: ignore[attr-defined]
    counts = decoder.choose(texts).bincount(minlength=4) / 4000  # type: ignore[arg-type]
    kept = logits[0, :2].softmax(0)
    assert logits[0].softmax(0)[:2].sum() > 0.8 > logits[0].softmax(0)[0]
    assert torch.allclose(counts[:2], kept, atol=0.03)
    assert counts[2:].sum() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompts": []}, "no list of prompts"),
        ({"prompts": "the sea"}, "no list of prompts"),
        ({"prompts": ["the", ""]}, "prompt 2 is empty"),
        ({"prompts": ["the sea " * 30]}, "60 tokens and 4 new ones are more than the model's window of 48"),
        ({"prompts": ["sea"], "max_new_tokens": 48}, "ask for 47 new tokens at most"),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"decoder": "adacad"}, "give contexts"),
        ({"decoder": "adacad", "contexts": ["one", "two"]}, "2 contexts for 1 prompts"),
        ({"decoder": "cad", "contexts": "sea", "second": gpt2(vocabulary=41)}, "vocabularies of 40 and 41 tokens"),
        ({"second": gpt2()}, "this decoder has one branch"),
        ({"model": gpt2(vocabulary=9), "prompts": ["ship"]}, "the tokenizer is not this model's"),
    ],
)
def test_mistakes_are_explained(options: dict, message: str) -> None:
    given = {"model": gpt2(), "prompts": ["the sea"], "max_new_tokens": 4} | options
    if "decoder" in given:
        given["decoder"] = made(given["decoder"])
    with pytest.raises(SettingsError, match=message):
        decoding.generate(given.pop("model"), tokenizer(), given.pop("prompts"), **given)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"among the 41 likeliest tokens; the vocabulary has 40"):
        decoding.generate(gpt2(), tokenizer(), ["sea"], decoder=made("contrastive-search", k=41))
    with pytest.raises(SettingsError, match="got 0 tokens to choose from"):
        made("contrastive-search", k=0)
    with pytest.raises(SettingsError, match="is no decoder but a system of the kind learner: unalike fit"):
        made("simclr")
    ids = torch.tensor([[3, 4]])
    with pytest.raises(SettingsError, match="has no beams"):
        gpt2().generate(ids, custom_generate=decoding.greedy(), num_beams=2, max_new_tokens=3)
    with pytest.raises(SettingsError, match="takes plain_ids"):
        gpt2().generate(ids, custom_generate=made("adacad"), max_new_tokens=3)
    with pytest.raises(SettingsError, match="padded on the right"):
        gpt2().generate(ids, attention_mask=torch.tensor([[1, 0]]), custom_generate=decoding.greedy(), max_new_tokens=3)
    with pytest.raises(SettingsError, match="more than the model's window of 48"):
        gpt2().generate(ids, custom_generate=decoding.greedy(), max_new_tokens=47)


def test_a_model_that_is_none_is_refused(tmp_path) -> None:
    with pytest.raises(SettingsError, match="neither a folder on this machine nor the name of weights"):
        decoding.load_language_model("gpt5")
    with pytest.raises(SettingsError, match=r"expected a config\.json or one GGUF file, found none"):
        decoding.load_language_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(SettingsError, match="holds no causal language model"):
        decoding.load_language_model(tmp_path)


def test_saved_and_loaded_goes_on_the_same(tmp_path) -> None:
    model, words = llama(), tokenizer()
    model.save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    loaded, its_words = decoding.load_language_model(tmp_path)
    again = decoding.generate(loaded, its_words, PROMPTS, max_new_tokens=9)
    assert again == decoding.generate(model, words, PROMPTS, max_new_tokens=9)


def test_missing_extra_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from unalike.errors import MissingExtra

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"unalike\[text\]"):
        decoding.load_language_model("smollm2")


def test_divergence_and_masks_of_what_is_impossible() -> None:
    first = torch.tensor([[0.3, -math.inf, 1.0], [0.0, 0.0, -math.inf]])
    second = torch.tensor([[1.0, -math.inf, -math.inf], [-math.inf, -math.inf, 2.0]])
    expected = [jensenshannon(softmax(a), softmax(b)) ** 2 for a, b in zip(first.numpy(), second.numpy(), strict=True)]
    assert decoding.jensen_shannon(first, second).tolist() == pytest.approx(expected, abs=1e-6)
    said = decoding.contrast(first, second, torch.tensor([1.0, 2.0]))
    assert not said.isnan().any()
    assert said[0, 1] == -math.inf
    for wrong in (1.5, -0.1):
        with pytest.raises(SettingsError, match="from 0 to 1"):
            decoding.plausible(first, wrong)
    with pytest.raises(SettingsError, match="above 0"):
        decoding.nucleus(first, 0.0)
    with pytest.raises(SettingsError, match="above 1"):
        decoding.jensen_shannon(first, second, base=1.0)
    with pytest.raises(SettingsError, match="one vocabulary"):
        decoding.contrast(first, second[:, :2], 1.0)


def test_hidden_states_are_the_last_layers() -> None:
    model, words = gpt2(), tokenizer()
    states = decoding.hidden_states(model, words, PROMPTS)
    for prompt, each in zip(PROMPTS, states, strict=True):
        np.testing.assert_allclose(each, plain_forward(model, words(prompt)["input_ids"])[1], atol=1e-5)
    assert len(decoding.hidden_states(model, words, PROMPTS, max_tokens=2)[0]) == 2
