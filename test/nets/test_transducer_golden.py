"""Transducers of ESPnet1 load by name and give ESPnet1's numbers and hypotheses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from asr_models import Golden

from espnet.nets.search_options import SearchOptions

NAMES = [
    "transducer_rnn",
    "transducer_custom_conformer",
    "transducer_custom_tdnn_transformer",
]
UTTERANCES = ["utt1", "utt2", "utt3"]
# what ESPnet1's search class took where the reference says nothing
UNNAMED = {"u_max": 50, "prefix_alpha": 1}


@pytest.fixture(scope="module", params=NAMES)
def reference(request: pytest.FixtureRequest, golden: Path) -> Golden:
    return Golden(golden / "models" / request.param)


@pytest.mark.parametrize("name", UTTERANCES)
def test_encoder_output_and_loss(reference: Golden, name: str) -> None:
    x, y = reference.utterance(name)
    torch.testing.assert_close(
        reference.model.encode(x),
        torch.tensor(reference.arrays[f"{name}/enc"]),
        rtol=1e-4,
        atol=1e-4,
    )
    reference.model(x[None], torch.tensor([len(x)]), y[None])
    found = {k: float(reference.model.reported[k]) for k in reference.numbers[name]}
    assert found == pytest.approx(reference.numbers[name], rel=1e-4)


def test_gradients(reference: Golden) -> None:
    pairs = [reference.utterance(name) for name in UTTERANCES[:2]]
    xs, ys = (torch.stack(part) for part in zip(*pairs, strict=True))
    reference.model.zero_grad()
    loss = reference.model(xs, torch.full((2,), xs.shape[1]), ys)
    loss.backward()
    expected = reference.numbers["batch(utt1,utt2)"]
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-4)
    norms = {
        name: float(parameter.grad.norm())
        for name, parameter in reference.model.named_parameters()
        if parameter.requires_grad
    }
    # the biases of keys cancel in the softmax: their gradients are rounding
    assert norms == pytest.approx(expected["grad_norm"], rel=1e-3, abs=1e-5)


def test_losses_inside_a_padded_batch(reference: Golden) -> None:
    pairs = [reference.utterance(name) for name in UTTERANCES]
    xs, ys = (
        torch.nn.utils.rnn.pad_sequence(list(part), True, padding)
        for part, padding in zip(zip(*pairs, strict=True), (0.0, -1), strict=True)
    )
    loss = reference.model(xs, torch.tensor([len(x) for x, _ in pairs]), ys)
    expected = [reference.numbers[name]["loss"] for name in UTTERANCES]
    assert loss.item() == pytest.approx(sum(expected) / 3, rel=1e-4)


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("together", [False, True])
def test_searches(reference: Golden, number: int, together: bool) -> None:
    case = reference.numbers["decode"][number]
    options = SearchOptions(**{**UNNAMED, **case["options"]["search"]})
    xs = {utt: reference.arrays[f"{utt}/x"] for utt in case["hyps"]}
    if together:
        found = reference.model.recognize_batch(list(xs.values()), options)
    else:
        found = [reference.model.recognize(x, options) for x in xs.values()]
    for hyps, expected in zip(found, case["hyps"].values(), strict=True):
        assert [hyp["yseq"] for hyp in hyps] == [hyp["yseq"] for hyp in expected]
        scores = [hyp["score"] for hyp in expected]
        assert [hyp["score"] for hyp in hyps] == pytest.approx(scores, rel=1e-4)
