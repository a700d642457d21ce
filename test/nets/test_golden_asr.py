"""Models of ESPnet1 load by name and give ESPnet1's numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from asr_models import Golden

NAMES = [
    "rnn_blstmp_dot",
    "rnn_vggblstmp_location",
    "rnn_bgru_multi_head_loc",
    "transformer_conv2d",
    "transformer_linear_ctc",
    "conformer_latest",
]
UTTERANCES = ["utt1", "utt2", "utt3"]


@pytest.fixture(scope="module", params=NAMES)
def reference(request: pytest.FixtureRequest, golden: Path) -> Golden:
    return Golden(golden / "models" / request.param)


@pytest.mark.parametrize("name", UTTERANCES)
def test_encoder_output_and_ctc_posteriors(reference: Golden, name: str) -> None:
    x, _ = reference.utterance(name)
    hs = reference.model.encode(x)
    torch.testing.assert_close(
        hs, torch.tensor(reference.arrays[f"{name}/enc"]), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(
        reference.model.ctc.log_softmax(hs).detach(),
        torch.tensor(reference.arrays[f"{name}/ctc_logp"]),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("name", UTTERANCES)
def test_losses(reference: Golden, name: str) -> None:
    x, y = reference.utterance(name)
    reference.model(x[None], torch.tensor([len(x)]), y[None])
    expected = reference.numbers[name]
    found = {key: float(reference.model.reported[key]) for key in expected}
    assert found == pytest.approx(expected, rel=1e-4)


def test_losses_inside_a_padded_batch(reference: Golden) -> None:
    """Behind the end of an utterance ESPnet1's convolutions leaked; alone they could
    not. The CTC losses are those of its posteriors."""
    pairs = [reference.utterance(name) for name in UTTERANCES]
    xs, ys = (
        torch.nn.utils.rnn.pad_sequence(list(part), True, padding)
        for part, padding in zip(zip(*pairs, strict=True), (0.0, -1), strict=True)
    )
    hs, hlens = reference.model.encode_batch(
        xs, torch.tensor([len(x) for x, _ in pairs])
    )
    losses = []
    for b, name in enumerate(UTTERANCES):
        expected = torch.tensor(reference.arrays[f"{name}/enc"])
        torch.testing.assert_close(hs[b, : hlens[b]], expected, rtol=1e-4, atol=1e-4)
        log_probs = torch.tensor(reference.arrays[f"{name}/ctc_logp"])
        y = reference.utterance(name)[1]
        losses.append(
            torch.nn.functional.ctc_loss(
                log_probs[:, None], y, [len(log_probs)], [len(y)], reduction="sum"
            ).item()
        )
    loss, _ = reference.model.ctc(hs, hlens, ys)
    assert loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-4)


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
    }
    # the biases of gvec and of keys cancel in the softmax: rounding is all that their
    # gradients consist of
    assert norms == pytest.approx(expected["grad_norm"], rel=1e-3, abs=1e-6)
