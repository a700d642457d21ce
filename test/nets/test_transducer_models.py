"""Parts of the Transducer that no golden number covers."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from asr_models import batch, build
from torch import nn

from espnet.nets.pytorch_backend.e2e_asr_transducer import E2E
from espnet.nets.pytorch_backend.transducer.blocks import checked_blocks, parse_block
from espnet.nets.pytorch_backend.transducer.convolution_blocks import (
    Conv1dStack,
    conv1d,
)
from espnet.nets.pytorch_backend.transducer.loss import transducer_loss
from espnet.nets.pytorch_backend.transducer.rnn_decoder import RNNDecoder
from espnet.nets.pytorch_backend.transducer.tasks import Labels
from espnet.nets.pytorch_backend.transformer.frames import Frames
from espnet.utils.errors import UserError

TUTORIAL_ENCODER = """
- {type: conv1d, idim: 80, odim: 32, kernel_size: [3, 7], stride: [1, 2]}
- {type: conv1d, idim: 32, odim: 32, kernel_size: 3, stride: 2}
- {type: conv1d, idim: 32, odim: 384, kernel_size: 3, stride: 1}
- {type: transformer, d_hidden: 384, d_ff: 1536, heads: 4}
"""
TUTORIAL_DECODER = """
- {type: causal-conv1d, idim: 256, odim: 256, kernel_size: 5}
- type: transformer
  d_hidden: 256
  d_ff: 256
  heads: 4
  dropout-rate: 0.1
  att-dropout-rate: 0.4
"""


def blocks(text: str) -> list[dict[str, Any]]:
    return [parse_block(yaml.safe_dump(block)) for block in yaml.safe_load(text)]


def test_the_architectures_of_the_documentation_train() -> None:
    torch.manual_seed(0)
    options = {
        **{"etype": "custom", "enc_block_arch": blocks(TUTORIAL_ENCODER)},
        **{"dtype": "transformer", "dec_block_arch": blocks(TUTORIAL_DECODER)},
        **{"dec_block_repeat": 2, "joint_dim": 16},
    }
    model = E2E(80, 7, Namespace(**options))
    first = model.encoder.encoders[0]
    assert isinstance(first, Conv1dStack)
    shapes = [(p.conv.in_channels, p.conv.out_channels) for p in first]
    assert shapes == [(80, 32), (32, 32)]
    assert [p.conv.kernel_size[0] for p in first] == [3, 7]
    assert [p.conv.stride[0] for p in first] == [1, 2]
    xs, ys = torch.randn(2, 150, 80), torch.tensor([[1, 2], [3, -1]])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = model(xs, torch.tensor([150, 120]), ys)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("part", ["enc", "dec"])
def test_blocks_that_nothing_is_built_of_are_named(
    part: str, caplog: pytest.LogCaptureFixture
) -> None:
    arch = {f"{part}_block_arch": [{"type": "transformer"}]}
    name = {"enc": "etype", "dec": "dtype"}[part]
    E2E.check_new(Namespace(**arch, **{name: "lstm"}))
    assert f"{part}-block-arch has no effect on {name} 'lstm'" in caplog.text


def test_too_short_an_utterance_is_refused() -> None:
    model = build("transducer-conv1d-conformer-lstm")
    xs, _, ys = batch()
    with pytest.raises(UserError, match="utterance 3 of 3 .* 2 frames, too few"):
        model(xs, torch.tensor([29, 21, 2]), ys)


@pytest.mark.parametrize(("layer", "least"), [("conv2d", 7), ("vgg2l", 4)])
def test_too_few_features_for_the_first_layer(layer: str, least: int) -> None:
    block = {"type": "transformer", "d_hidden": 4, "d_ff": 4, "heads": 1}
    options = {"etype": "custom", "enc_block_arch": [block]}
    options["custom_enc_input_layer"] = layer
    words = f"'{layer}' needs features of at least {least} dimensions"
    with pytest.raises(UserError, match=words):
        E2E(least - 1, 5, Namespace(**options))
    E2E(least, 5, Namespace(**options))


def test_convolutions_behind_the_last_attention_learn_nothing_of_positions() -> None:
    conv = {"type": "conv1d", "idim": 8, "odim": 8, "kernel_size": [2, 2]}
    conformer = {"type": "conformer", "d_hidden": 8, "d_ff": 9, "heads": 2}
    conformer.update(macaron_style=False, use_conv_mod=False)
    name, layers = "transducer-conv1d-conformer-lstm", [conv, conformer, conv]
    model = build(name, enc_block_arch=layers)
    model(*batch()).backward()
    learns = {n for n, p in model.named_parameters() if p.requires_grad}
    assert learns == {n for n, p in model.named_parameters() if p.grad is not None}
    assert {n for n in learns if "out_pos.weight" in n} == {
        f"encoder.encoders.0.{part}.out_pos.weight" for part in (0, 1)
    }


def test_a_convolution_keeps_what_it_says_of_positions() -> None:
    """Row k of the table becomes that of the distance which it then stands for."""
    (block,) = checked_blocks(
        [{"type": "conv1d", "idim": 4, "odim": 4, "kernel_size": 3, "stride": 2}],
        *("enc", 1),
    )
    layer = conv1d(block, relative=True)
    with torch.no_grad():
        layer.out_pos.weight.copy_(torch.eye(4))
        layer.out_pos.bias.zero_()
    count = 10
    distances = torch.arange(count - 1, -count, -1.0)[:, None].expand(-1, 4)
    xs = torch.randn(1, count, 4)
    _, frames = layer(xs, Frames(torch.tensor([count]), None, distances))
    # the reference: each half loses the 2 last rows, then keeps each second one
    past, future = distances[:count], distances[count - 1 :]
    expected = torch.cat([past[:-2][::2][:-1], future[:-2][::2]])
    assert frames.positions is not None
    torch.testing.assert_close(frames.positions.detach(), expected)
    assert frames.lengths.tolist() == [4]


@pytest.mark.parametrize("dtype", ["lstm", "gru"])
def test_an_rnn_decoder_reads_label_by_label_what_it_reads_at_once(dtype: str) -> None:
    torch.manual_seed(0)
    decoder = RNNDecoder(6, 5, dtype, 2, 7).eval()
    prefix = (0, 3, 1, 5, 3)
    together = decoder(torch.tensor([prefix]), torch.tensor([5]))[0]
    state = decoder.initial()
    for place in range(len(prefix)):
        vectors, (state,) = decoder.step([prefix[: place + 1]], [state])
        torch.testing.assert_close(vectors[0], together[place])


def test_forget_gates_of_the_rnn_decoder_begin_open() -> None:
    decoder = build("transducer-blstmp-lstm").dec
    for rnn in decoder.decoder:
        for bias in (rnn.bias_ih_l0, rnn.bias_hh_l0):
            gates = bias.detach().unflatten(0, (4, -1))
            assert gates[:, 0].tolist() == [0.0, 1.0, 0.0, 0.0]


def test_a_vector_does_not_depend_on_other_rows_of_the_same_width() -> None:
    model = build("transducer-tdnn-transformer-custom").eval()
    decoder = model.prediction
    prefixes = [(0,), (0, 3), (0, 3, 1), (0, 3, 1, 4)]
    state = decoder.initial()
    states, alone = [], []
    for prefix in prefixes:
        states.append(state)
        vectors, (state,) = decoder.step([prefix], [state])
        alone.append(vectors[0])
    together, _ = decoder.step(prefixes, states, [1, 2, 3, 4])
    torch.testing.assert_close(together, torch.stack(alone))
    wider, _ = decoder.step(prefixes[1:2], states[1:2], [4])
    again, _ = decoder.step(prefixes[1:], states[1:], [4, 4, 4])
    torch.testing.assert_close(wider[0], again[0])
    assert (wider[0] - alone[1]).abs().max() > 1e-4


@torch.no_grad()
def test_losses_of_all_tasks() -> None:
    """Each against its formula, with every logit at once."""
    model = build("transducer-bgru-all-tasks").double().eval()
    xs, ilens, ys = batch(torch.double)
    model(xs, ilens, ys)
    found = {name: float(value) for name, value in model.reported.items()}
    tasks, labels = model.transducer_tasks, Labels.of(ys)
    (low, _), (hs, hlens) = model._outputs(xs, ilens)
    dec = model._read(labels, hs)
    joint = tasks.joint_network
    rest = (labels.targets, hlens, labels.lengths)

    def logits(frames: torch.Tensor) -> torch.Tensor:
        sums = frames[:, :, None] + joint.lin_dec(dec)[:, None]
        return joint.lin_out(F.silu(sums))

    main, aux = logits(joint.lin_enc(hs)), logits(tasks.mlp(low))
    p, q = main.log_softmax(-1), aux.log_softmax(-1)
    nodes = (p.exp() * (p - q) + q.exp() * (q - p)).sum(-1)
    frames = torch.arange(nodes.shape[1])[:, None] < hlens[:, None, None]
    places = torch.arange(nodes.shape[2]) <= labels.lengths[:, None, None]
    targets = [y[y >= 0] for y in ys]
    ctc = F.ctc_loss(
        tasks.ctc_lin(hs).log_softmax(-1).transpose(0, 1),
        torch.cat(targets),
        hlens,
        torch.tensor([len(y) for y in targets]),
        reduction="sum",
    )
    smooth, count = 0.1, main.shape[-1]
    lm = 0.0
    for row, y in zip(tasks.lm_lin(dec).log_softmax(-1), targets, strict=True):
        for log_probs, label in zip(row, [*y.tolist(), 0], strict=False):
            share = torch.full((count,), smooth / (count - 1), dtype=torch.double)
            share[label] = 1 - smooth
            lm += float((share * (share.log() - log_probs)).sum())
    expected = {
        "loss_trans": float(transducer_loss(main, *rest)),
        "loss_aux_trans": 0.4 * float(transducer_loss(aux, *rest)),
        "loss_symm_kl_div": 0.2 * float(nodes[frames & places].mean()),
        "loss_ctc": 0.5 * float(ctc) / 3,
        "loss_lm": 0.2 * lm / 3,
    }
    expected["loss"] = sum(expected.values())
    assert found == pytest.approx(expected, rel=1e-6)


def test_auxiliary_losses_do_not_move_the_joint_network() -> None:
    options = {"transducer_weight": 0.0, "use_ctc_loss": False, "use_lm_loss": False}
    options["use_symm_kl_div_loss"] = False
    model = build("transducer-bgru-all-tasks", **options)
    model(*batch()).backward()
    joint = model.transducer_tasks.joint_network
    assert all(not p.grad.any() for p in joint.parameters() if p.grad is not None)
    assert model.dec.embed.weight.grad.any()
    assert all(p.grad.any() for p in model.transducer_tasks.mlp.parameters())


def test_error_rates_in_validation() -> None:
    model = build("transducer-blstmp-lstm", report_cer=True, report_wer=True)
    model(*batch())
    assert not {"cer", "wer"} & set(model.reported)
    model.eval()
    with torch.no_grad():  # blank only: every character is missing
        nn.init.zeros_(model.transducer_tasks.joint_network.lin_out.weight)
        model.transducer_tasks.joint_network.lin_out.bias[0] = 20.0
        model(*batch())
    assert model.reported["cer"] == model.reported["wer"] == 1.0


def test_a_relu_behind_convolutions_is_an_option() -> None:
    given = {"type": "conv1d", "idim": 4, "odim": 4, "kernel_size": 1}
    xs, frames = torch.randn(1, 9, 4), Frames(torch.tensor([9]))
    for rectified in (False, True):
        (block,) = checked_blocks([{**given, "use-relu": rectified}], "enc", 1)
        ys, _ = conv1d(block, relative=False)(xs, frames)
        assert bool((ys < 0).any()) != rectified
