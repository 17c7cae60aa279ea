"""Who sees whom, and from which place."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForTokenClassification

from llm_lab.data.annotations import FACTS
from llm_lab.errors import ConfigError
from llm_lab.knowledge.injection.visibility import Visibility, soft_places, visible

# a b [c d] (e) (f g) [h] (i): two facts about `c d`, one about `h`
ROW = [0, 0, -FACTS, -FACTS, FACTS + 1, FACTS + 2, FACTS + 2, -2 * FACTS, 2 * FACTS + 1]


def test_soft_places_are_those_of_the_paper():
    assert soft_places(torch.tensor([ROW])).tolist() == [[0, 1, 2, 3, 4, 4, 5, 4, 5]]


@settings(max_examples=40)
@given(
    st.lists(
        st.sampled_from([0, -FACTS, FACTS + 1, FACTS + 2, -2 * FACTS, 2 * FACTS + 1]), min_size=1, max_size=9
    )
)
def test_a_fact_is_seen_by_its_own_entity_alone(row):
    found = visible(torch.tensor([row]))[0]
    for n, one in enumerate(row):
        for m, other in enumerate(row):
            same_part = abs(one) // FACTS == abs(other) // FACTS
            if one <= 0 and other <= 0:
                expected = True
            elif one > 0 and other > 0:
                expected = one == other
            else:
                expected = same_part
            assert bool(found[n, m]) == expected


def encoder(kind: str = "bert", layers: int = 1):
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    config = AutoConfig.for_model(
        kind, vocab_size=50, num_labels=3, pad_token_id=0, initializer_range=0.5, **sizes
    )
    return AutoModelForTokenClassification.from_config(config).eval()


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra"])
def test_words_read_as_if_there_were_no_facts_but_for_those_that_have_some(kind):
    plain, model = encoder(kind), Visibility()(encoder(kind))
    words = torch.tensor([[5, 6, 7, 8, 9]])
    ids = torch.tensor([[5, 6, 7, 8, 20, 21, 22, 9, 23]])
    with torch.inference_mode():
        expected = plain(input_ids=words, attention_mask=torch.ones_like(words)).logits[0]
        mask = torch.ones_like(ids)
        found = model(input_ids=ids, attention_mask=mask, branches=torch.tensor([ROW])).logits[0]
        without = model(input_ids=words, attention_mask=torch.ones_like(words)).logits[0]
    assert torch.allclose(found[:2], expected[:2], atol=1e-5)
    assert not torch.allclose(found[3], expected[3], atol=1e-3)
    assert torch.allclose(without, expected, atol=1e-6)


def test_a_model_without_places_of_tokens_is_refused():
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = AutoConfig.for_model("modernbert", vocab_size=50, pad_token_id=0, **sizes)
    with pytest.raises(ConfigError, match="modernbert has no places that could be soft"):
        Visibility()(AutoModelForTokenClassification.from_config(config))
