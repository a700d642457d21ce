"""What the RNN recogniser's options accept, and what they say otherwise."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from espnet.nets.pytorch_backend.rnn.cells import CELLS
from espnet.nets.pytorch_backend.rnn.options import (
    CELL_TYPES,
    RNNOptions,
    check_subsample_length,
    parse_subsample,
    subsampling,
)
from espnet.utils.errors import UserError
from espnet.utils.options import parse_options, read_config


def test_defaults_are_those_of_the_specification() -> None:
    options = RNNOptions()
    options.check()
    expected = {
        "etype": "blstmp",
        "elayers": 4,
        "eunits": 300,
        "eprojs": 320,
        "subsample": "1",
        "atype": "dot",
        "adim": 320,
        "awin": 5,
        "aheads": 4,
        "aconv_chans": -1,
        "aconv_filts": 100,
        "dropout_rate": 0.0,
        "dtype": "lstm",
        "dlayers": 1,
        "dunits": 320,
        "dropout_rate_decoder": 0.0,
        "sampling_probability": 0.0,
        "lsm_type": "",
        "mtlalpha": 0.5,
    }
    assert {name: getattr(options, name) for name in expected} == expected


def test_cell_types_are_the_keys_of_the_table() -> None:
    assert tuple(CELLS) == CELL_TYPES


def test_options_need_no_torch() -> None:
    code = (
        "import sys, espnet.nets.pytorch_backend.rnn.options;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_command_line_spellings() -> None:
    argv = ["-u", "7", "--atype", "location", "--aconv-chans", "10", "--lsm-type"]
    args = parse_options([RNNOptions], argv, prog="asr_train.py")
    assert (args.eunits, args.atype, args.aconv_chans) == (7, "location", 10)
    assert args.lsm_type is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"etype": "vggblstmq"}, "etype: 'vggblstmq' is none .* mean 'vggblstm"),
        ({"atype": "loc"}, "atype: 'loc' is none of noatt, dot"),
        ({"dtype": "rnn"}, "dtype: 'rnn' is none of lstm, gru"),
        ({"lsm_type": "bigram"}, "lsm-type: 'bigram' is none of unigram"),
        (
            {"atype": "location"},
            "aconv-chans: -1 must be at least 1 with atype 'location'",
        ),
        (
            {"atype": "multi_head_loc", "aconv_chans": 2, "aconv_filts": -1},
            "aconv-filts: -1 must not be negative",
        ),
        ({"elayers": 0}, "elayers: 0 must be at least 1"),
        ({"dunits": -3}, "dunits: -3 must be at least 1"),
        ({"atype": "multi_head_dot", "aheads": 0}, "aheads: 0 must be at least 1"),
        (
            {"atype": "location2d", "aconv_chans": 2, "awin": 0},
            "awin: 0 must be at least 1",
        ),
        ({"dropout_rate": 1.5}, r"dropout-rate: 1.5 must lie in \[0, 1\]"),
        ({"mtlalpha": -0.1}, r"mtlalpha: -0.1 must lie in \[0, 1\]"),
        ({"subsample": "1_x"}, "subsample: '1_x' must be whole numbers .* 1_2_2_1"),
        ({"subsample": "1,2"}, "subsample: '1,2' must be"),
        ({"subsample": "0_2"}, "subsample: '0_2' must be"),
        ({"subsample": ""}, "subsample: '' must be"),
        ({"subsample": "1221"}, 'subsample: 1221 .* write "1_2_2_1" with its quotes'),
    ],
)
def test_errors(given: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_config(RNNOptions, given)


@pytest.mark.parametrize(
    ("text", "etype", "steps", "warning"),
    [
        ("1", "blstmp", (1, 1, 1), None),
        ("2", "lstmp", (2, 1, 1), None),
        ("1_2_3", "grup", (1, 2, 3), None),
        ("1_2", "blstmp", (1, 2, 1), "has 2 numbers, elayers 2 needs 3"),
        ("1_2_2_1_1", "blstmp", (1, 2, 2), None),
        ("1_2_2_2", "blstmp", (1, 2, 2), "of each layer); '1_2_2' is used"),
        ("1_2_2", "vggblstmp", (1, 1, 1), "has no effect on etype 'vggblstmp'"),
        ("2", "bgru", (1, 1, 1), "has no effect on etype 'bgru'"),
        ("1_1", "vgglstm", (1, 1, 1), None),
    ],
)
def test_subsampling(
    text: str,
    etype: str,
    steps: tuple[int, ...],
    warning: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert subsampling(text, etype, elayers=2) == steps
    assert (warning is None) == (not caplog.messages)
    assert warning is None or warning in caplog.messages[0]


@pytest.mark.parametrize(
    ("text", "etype", "words"),
    [
        ("1_2", "blstmp", "'1_2' has 2 numbers, elayers 2 needs 3, .* 1_2_1$"),
        ("1_2_2_1", "grup", "'1_2_2_1' has 4 numbers, elayers 2 needs 3, .* 1_2_2$"),
        ("1_2_2", "blstmp", None),
        ("2", "blstmp", None),
        ("1_2_2_1_1", "vggblstmp", None),
        ("1_2", "blstm", None),
    ],
)
def test_lists_of_another_length_are_for_old_models_only(
    text: str, etype: str, words: str | None
) -> None:
    if words is None:
        check_subsample_length(text, etype, elayers=2)
        return
    with pytest.raises(UserError, match=f"^subsample: {words}"):
        check_subsample_length(text, etype, elayers=2)


def test_subsample_may_be_a_number_in_yaml() -> None:
    assert parse_subsample(2) == (2,)  # type: ignore[arg-type]
