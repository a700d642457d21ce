"""A Transducer from its config to hypotheses, by the commands' own ways."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from tiny_corpus import IDIM, train_argv, write_corpus

from espnet.asr.train import train
from espnet.asr.train_options import parse_train_options
from espnet.bin import asr_recog
from espnet.nets.search_options import TRANSDUCER_SEARCHES
from espnet.train.plot import Studio

MODULE = "espnet.nets.pytorch_backend.e2e_asr_transducer:E2E"
CONFIG = f"""
criterion: loss
early-stop-criterion: validation/main/loss
opt: noam
noam-adim: 8
noam-lr: 1.0
optimizer-warmup-steps: 10
etype: custom
custom-enc-input-layer: linear
enc-block-arch:
    - {{type: tdnn, idim: {IDIM}, odim: 8, kernel_size: 3, use-batchnorm: true}}
    - {{type: transformer, d_hidden: 8, d_ff: 8, heads: 2}}
    - {{type: transformer, d_hidden: 8, d_ff: 8, heads: 2}}
dtype: lstm
dec-embed-dim: 6
dunits: 6
joint-dim: 6
use-ctc-loss: true
use-aux-transducer-loss: true
aux-transducer-loss-enc-output-layers: [1]
aux-transducer-loss-mlp-dim: 6
report-cer: true
report-wer: true
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """The results of two epochs, and the corpus."""
    folder = tmp_path_factory.mktemp("transducer")
    files = write_corpus(folder / "corpus")
    config = folder / "train.yaml"
    config.write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Studio, "post", lambda self, name, job: None)  # no pictures
        more = ("--config", config, "--epochs", 2, "--model-module", MODULE)
        train(parse_train_options(train_argv(files, folder / "results", *more)))
    return folder / "results", files


def test_training_leaves_its_files_and_columns(
    trained: tuple[Path, dict[str, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    results, _ = trained
    names = {path.name for path in results.iterdir()}
    assert {"model.json", "log", "model.loss.best", "snapshot.ep.2"} <= names
    assert "model.acc.best" not in names
    rows = json.loads((results / "log").read_text())
    losses = ("loss", "loss_trans", "loss_ctc", "loss_aux_trans")
    for part in ("main/", "validation/main/"):
        values = [rows[-1][part + name] for name in losses]
        assert all(map(math.isfinite, values))
        assert values[0] == pytest.approx(sum(values[1:]), rel=1e-4)
    assert {"validation/main/cer", "validation/main/wer"} <= set(rows[-1])
    options = json.loads((results / "model.json").read_text())[2]
    assert options["enc_block_arch"][0]["use-relu"] is True


@pytest.mark.parametrize("kind", TRANSDUCER_SEARCHES)
@pytest.mark.parametrize("batchsize", [0, 3])
def test_decoding(
    trained: tuple[Path, dict[str, Path]], tmp_path: Path, kind: str, batchsize: int
) -> None:
    results, files = trained
    conf = tmp_path / "decode.yaml"
    conf.write_text(
        f"batchsize: {batchsize}\nbeam-size: 2\nsearch-type: {kind}\nnstep: 2\n"
        "max-sym-exp: 3\nu-max: 5\nprefix-alpha: 1\nexpansion-beta: 2\n"
        "expansion-gamma: 2.0\nscore-norm-transducer: true\n"
    )
    argv = ["--config", str(conf), "--recog-json", str(files["valid"])]
    argv += ["--model", str(results / "model.loss.best"), "--verbose", "1"]
    asr_recog.main([*argv, "--result-label", str(tmp_path / "data.json")])
    utts = json.loads((tmp_path / "data.json").read_text())["utts"]
    assert utts.keys() == json.loads(files["valid"].read_text())["utts"].keys()
    for entry in utts.values():
        (best, *_) = entry["output"]
        assert math.isfinite(best["score"])
        assert "<eos>" not in best["rec_token"] and "0" not in best["rec_tokenid"]
