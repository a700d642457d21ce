"""CMVN: the statistics' layout, normalisation, its inverse, and who has which."""

from __future__ import annotations

import kaldi_native_fbank as knf
import numpy as np
import pytest

from espnet.data.cmvn import Cmvn, cmvn_stats, speaker_stats, sum_stats, utterance_cmvn
from espnet.utils.errors import UserError

RNG = np.random.default_rng(3)
TABLE = [(f"u{n}", RNG.normal(2, 3, (n, 4)).astype(np.float32)) for n in (5, 20, 50)]
ALL = np.concatenate([feats for _, feats in TABLE])


def test_statistics_have_kaldis_layout() -> None:
    stats = sum_stats(TABLE, "feats")
    assert stats.dtype == np.float64 and stats.shape == (2, 5)
    np.testing.assert_allclose(stats[0, :-1], ALL.sum(0, dtype=float))
    np.testing.assert_allclose(stats[1, :-1], np.square(ALL, dtype=float).sum(0))
    assert stats[:, -1].tolist() == [75, 0]


@pytest.mark.parametrize("norm_vars", [False, True])
def test_normalisation_equals_kaldi_native_fbank_and_can_be_undone(
    norm_vars: bool,
) -> None:
    stats = sum_stats(TABLE, "feats")
    options = knf.CmvnOptions()
    options.norm_vars = norm_vars
    reference = knf.apply_cmvn(stats, options, ALL)
    normal = Cmvn.from_stats(stats, "cmvn", norm_vars=norm_vars)(ALL)
    assert normal.dtype == np.float32
    np.testing.assert_allclose(normal, reference, atol=1e-5)
    undo = Cmvn.from_stats(stats, "cmvn", norm_vars=norm_vars, reverse=True)
    np.testing.assert_allclose(undo(normal), ALL, atol=1e-5)


def test_means_can_stay() -> None:
    stats = cmvn_stats(ALL)
    scaled = Cmvn.from_stats(stats, "cmvn", norm_means=False, norm_vars=True)(ALL)
    np.testing.assert_allclose(scaled, ALL / ALL.std(0), rtol=1e-4)


def test_speakers_share_statistics() -> None:
    spk2utt = {"a": "u5 u50", "b": "u20"}
    stats = list(speaker_stats(TABLE, spk2utt, "feats"))
    assert [key for key, _ in stats] == ["a", "b"]
    both = np.concatenate([TABLE[0][1], TABLE[2][1]])
    np.testing.assert_allclose(stats[0][1], cmvn_stats(both))
    normalise = utterance_cmvn(stats, "cmvn", {"u5": "a", "u50": "a", "u20": "b"})
    joined = np.concatenate([normalise(*TABLE[0]), normalise(*TABLE[2])])
    np.testing.assert_allclose(joined.mean(0), 0, atol=1e-5)
    with pytest.raises(UserError, match=r"cmvn: has no statistics for 'u9' \(speaker"):
        normalise("u9", ALL)


@pytest.mark.parametrize(
    "table, words",
    [
        ([], "feats: holds no features"),
        ([TABLE[0], ("u6", ALL[:, :3])], "feats: u6: has 3 dimensions, those before"),
        ([("u7", np.full((2, 3), np.inf))], "feats: u7: has NaN or infinite values"),
    ],
)
def test_statistics_of_unsound_features_are_refused(table: list, words: str) -> None:
    with pytest.raises(UserError, match=words):
        sum_stats(table, "feats")


def test_wrong_statistics_and_dimensions_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"cmvn.ark: holds no CMVN statistics .*\(75, 4\)"
    ):
        Cmvn.from_stats(ALL, "cmvn.ark")
    with pytest.raises(
        UserError, match="have 3 dimensions, the CMVN statistics have 4"
    ):
        Cmvn.from_stats(cmvn_stats(ALL), "cmvn")(ALL[:, :3])
    with pytest.raises(UserError, match="feats: u5: belongs to no speaker"):
        list(speaker_stats(TABLE, {"b": "u20"}, "feats"))
