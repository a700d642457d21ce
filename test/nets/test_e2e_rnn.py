"""The RNN recogniser: losses, reports, smoothing, initial weights."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from asr_models import CHAR_LIST, IDIM, ODIM, batch, build
from torch import Tensor

from espnet.nets.pytorch_backend.e2e_asr import E2E
from espnet.nets.pytorch_backend.nets_utils import decoder_labels
from espnet.nets.scorers.length_bonus import LengthBonus
from espnet.utils.errors import UserError

BASE = "rnn-blstmp-dot"


@pytest.mark.parametrize(
    ("alpha", "keys"),
    [
        (0.0, {"loss", "loss_att", "acc"}),
        (0.3, {"loss", "loss_att", "acc", "loss_ctc", "cer_ctc"}),
        (1.0, {"loss", "loss_ctc", "cer_ctc"}),
    ],
)
def test_what_is_reported_in_training(alpha: float, keys: set[str]) -> None:
    model = build(BASE, mtlalpha=alpha, report_cer=True, report_wer=True)
    model(*batch())
    assert set(model.reported) == keys
    model.eval()
    model(*batch())
    assert set(model.reported) == keys | {"cer", "wer"}


def test_loss_is_the_weighted_sum() -> None:
    model = build(BASE, mtlalpha=0.3)
    loss = model(*batch())
    expected = 0.3 * model.reported["loss_ctc"] + 0.7 * model.reported["loss_att"]
    torch.testing.assert_close(loss.detach(), expected)


@pytest.mark.parametrize(
    ("alpha", "names"),
    [(0.0, {"decoder"}), (0.5, {"decoder", "ctc"}), (1.0, {"ctc"})],
)
def test_scorers_are_the_parts_that_were_trained(alpha: float, names: set[str]) -> None:
    model = build(BASE, mtlalpha=alpha)
    assert set(model.scorers()) == names
    assert (model.calculate_all_ctc_probs(*batch()) is None) == (alpha == 0.0)
    assert bool(model.calculate_all_attentions(*batch())) == (alpha < 1.0)


def test_attention_loss_is_the_mean_cross_entropy_times_the_mean_length() -> None:
    model = build(BASE).eval()
    xs, ilens, ys = batch()
    model(xs, ilens, ys)
    ys_in, ys_out = decoder_labels(ys, ODIM - 1)
    logits, _ = model.dec(*model.encode_batch(xs, ilens), ys_in)
    tokens, total = 0, 0.0
    for row, labels in zip(logits.detach().log_softmax(-1), ys_out, strict=True):
        for log_probs, label in zip(row, labels, strict=True):
            if label != -1:
                total -= float(log_probs[label])
                tokens += 1
    mean_length = (4 + 3 + 2) / 3
    expected = total / tokens * mean_length
    assert float(model.reported["loss_att"]) == pytest.approx(expected, rel=1e-5)


def train_json(folder: Path) -> str:
    entries = {
        f"u{i}": {"output": [{"tokenid": ids}]}
        for i, ids in enumerate(["3 4 4", "4 5", "4"])
    }
    file = folder / "data.json"
    file.write_text(json.dumps({"utts": entries}), encoding="utf-8")
    return str(file)


def test_unigram_smoothing(tmp_path: Path) -> None:
    weight = 0.1
    options = {"lsm_type": "unigram", "train_json": train_json(tmp_path)}
    plain = build(BASE).eval()
    smooth = build(BASE, lsm_weight=weight, **options).eval()
    xs, ilens, ys = batch()
    plain(xs, ilens, ys)
    smooth(xs, ilens, ys)
    counts = torch.tensor([0.0, 1.0, 1.0, 1.0, 3.0, 1.0, 3.0])
    ys_in, ys_out = decoder_labels(ys, ODIM - 1)
    logits, _ = plain.dec(*plain.encode_batch(xs, ilens), ys_in)
    log_probs = F.log_softmax(logits, -1)[ys_out != -1]
    smoothing = -(log_probs * counts / counts.sum()).sum() / 3
    expected = (1 - weight) * plain.reported["loss_att"] + weight * smoothing
    torch.testing.assert_close(smooth.reported["loss_att"], expected.detach())
    off = build(BASE, lsm_weight=0.0, **options).eval()
    off(xs, ilens, ys)
    assert off.reported["loss_att"] == plain.reported["loss_att"]


def test_smoothing_without_the_file_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = build(BASE, lsm_weight=0.1, lsm_type="unigram", train_json="gone.json")
    with caplog.at_level(logging.WARNING):
        model(*batch())
        model(*batch())
    [line] = caplog.messages
    assert "gone.json" in line


def test_error_rates_in_validation_come_from_the_search() -> None:
    """A model that has learnt one batch by heart makes no errors on it."""
    model = build(BASE, report_cer=True, report_wer=True, mtlalpha=0.5)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        model(*batch()).backward()
        optimizer.step()
    model.eval()
    model(*batch())
    assert model.reported["acc"] == 1.0
    assert (model.reported["cer"], model.reported["wer"]) == (0.0, 0.0)
    assert model.reported["cer_ctc"] == 0.0


class Insists(LengthBonus):
    """A language model that allows one token and the end."""

    def score(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        scores, state = super().score(tokens, state)
        scores = scores.expand(len(tokens), ODIM).clone() * 0 - 1e4
        scores[:, [3, ODIM - 1]] = 0.0
        return scores, state


def test_a_language_model_has_a_say_in_validation() -> None:
    options = {"maxlenratio": 0.4, "minlenratio": 0.2, "ctc_weight": 0.0}
    model = build(BASE, report_cer=True, lm_weight=1.0, **options).eval()
    heard: list[list[int]] = []
    assert model.error_rates is not None
    model.error_rates.characters = lambda found, said: heard.extend(found) or 0.0
    model(*batch())
    assert any(set(ids) - {3} for ids in heard)
    heard.clear()
    model.beside = {"lm": Insists(ODIM)}
    model(*batch())
    assert heard and not any(set(ids) - {3} for ids in heard)
    assert not any("lm" in name for name in model.state_dict())


def test_without_symbols_there_are_no_error_rates() -> None:
    model = build(BASE, char_list=(), report_cer=True).eval()
    model(*batch())
    assert not {"cer_ctc", "cer", "wer"} & set(model.reported)


def test_initial_weights() -> None:
    torch.manual_seed(0)
    model = E2E.build(
        IDIM, 200, etype="vggblstmp", elayers=1, eunits=150, dunits=160, eprojs=140
    )
    parameters = {k: p.detach() for k, p in model.named_parameters()}
    for name, fan_in in (
        ("enc.enc.0.conv2_1.weight", 64 * 9),
        ("enc.enc.1.birnn0.weight_hh_l0", 150),
        ("ctc.ctc_lo.weight", 140),
        ("dec.decoder.0.weight_ih", 300),
        ("att.0.mlp_enc.weight", 140),
    ):
        spread = float(parameters[name].std())
        assert spread == pytest.approx(1 / math.sqrt(fan_in), rel=0.05)
        assert abs(float(parameters[name].mean())) < 0.1 * spread
    assert float(parameters["dec.embed.weight"].std()) == pytest.approx(1.0, rel=0.05)
    for name, parameter in parameters.items():
        if parameter.dim() == 1 and name != "dec.decoder.0.bias_ih":
            assert not parameter.any(), name
    forget = parameters["dec.decoder.0.bias_ih"].view(4, 160)
    assert forget.sum(1).tolist() == [0.0, 160.0, 0.0, 0.0]


def test_the_attention_stands_twice_in_the_state_and_is_one() -> None:
    model = build("rnn-vggblstmp-location")
    state = model.state_dict()
    names = {key.removeprefix("att.") for key in state if key.startswith("att.")}
    assert names == {k.removeprefix("dec.att.") for k in state if "dec.att." in k}
    assert model.att[0] is model.dec.att[0]
    assert not any(key.startswith("dec.att") for key, _ in model.named_parameters())


@pytest.mark.parametrize(
    ("options", "factor", "used"),
    [
        ({"subsample": "1_2_2"}, 4, 1),
        ({"subsample": "3_2_1"}, 6, 3),
        ({"subsample": "1_2_2", "etype": "blstm"}, 1, 1),
        ({"etype": "vggblstm"}, 4, 1),
    ],
)
def test_subsampling(options: dict[str, str], factor: int, used: int) -> None:
    model = build(BASE, **options)
    assert model.get_total_subsampling_factor() == factor
    assert model.subsample_input == used


def test_location_attention_needs_channels() -> None:
    with pytest.raises(UserError, match="aconv-chans: -1 must be at least 1"):
        E2E.build(IDIM, ODIM, atype="location", char_list=CHAR_LIST)
