"""Utterances with too few frames for their labels."""

from __future__ import annotations

from typing import Any

import pytest

from espnet.asr.short_samples import (
    frames_per_output,
    parse_filter_options,
    too_short,
)
from espnet.data.manifest import Utts
from espnet.utils.errors import UserError

NEEDED = (
    *("--data-json", "in", "--output-json-path", "out"),
    *("--mode-subsample", "asr", "--batch-size", "2"),
)
RNN = ("--eunits", "4", "--eprojs", "4", "--dunits", "4", "--adim", "4", "--elayers")
TRANSFORMER = (
    *("--model-module", "espnet.nets.pytorch_backend.e2e_asr_transformer:E2E"),
    *("--adim", "4", "--aheads", "1", "--eunits", "4", "--dunits", "4"),
    *("--elayers", "1", "--dlayers", "1", "--transformer-input-layer"),
)


def entry(frames: int, *labels: int) -> dict[str, Any]:
    return {
        "input": [{"shape": [frames, 40]}],
        "output": [{"shape": [count, 9]} for count in labels],
    }


def test_the_rule_is_strict_and_takes_the_shortest_output() -> None:
    utts: Utts = {
        "equal": entry(44, 10),  # 44 - 10 x 4 = 4
        "below": entry(43, 10),
        "shortest": entry(44, 12, 10),
        "both": entry(44, 12, 11),
        "no labels": entry(4, 0),
    }
    assert too_short(utts, 4, 4) == ["below", "both"]
    assert too_short(utts, 4, 4.5) == [
        "equal",
        "below",
        "shortest",
        "both",
        "no labels",
    ]
    assert too_short(utts, 4, 0) == []  # 44 - 11 x 4 = 0
    assert too_short(utts, 4, 1) == ["both"]
    assert too_short(utts, 1, 4) == []


@pytest.mark.parametrize(
    ("model", "ratio"),
    [
        ((*RNN, "2", "--etype", "blstmp", "--subsample", "1_2_3"), 6),
        ((*RNN, "2", "--etype", "blstmp", "--subsample", "2_2_3"), 12),
        ((*RNN, "1", "--etype", "vggblstm"), 4),
        ((*RNN, "1", "--etype", "vgggrup", "--subsample", "1_1"), 4),
        ((*RNN, "1", "--etype", "blstm"), 1),
        ((*TRANSFORMER, "conv2d"), 4),
        ((*TRANSFORMER, "linear"), 1),
    ],
)
def test_the_model_says_how_much_it_subsamples(
    model: tuple[str, ...], ratio: int
) -> None:
    args = parse_filter_options((*NEEDED, *model), "x", "")
    assert frames_per_output(args, {"a": entry(50, 3)}, "data.json") == ratio


def test_delta_must_be_finite() -> None:
    with pytest.raises(UserError, match="min-io-delta: inf is not a finite"):
        parse_filter_options((*NEEDED, "--min-io-delta", "inf"), "x", "")
