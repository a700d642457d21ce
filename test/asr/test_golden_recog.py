"""``asr_recog.py`` writes what ESPnet1's searches found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from espnet.bin.asr_recog import main
from espnet.data.ark import open_ark_writer

MODELS = (
    "rnn_blstmp_dot",
    "rnn_vggblstmp_location",
    "rnn_bgru_multi_head_loc",
    "transformer_conv2d",
    "conformer_latest",
)
CLOSE = 1e-3  # hypotheses may change places where scores differ by less


def write_data(folder: Path, reference: Path) -> list[str]:
    """The utterances of the reference as data.json; returns their tokens."""
    char_list: list[str] = json.loads((reference / "model.json").read_text())[2][
        "char_list"
    ]
    arrays = np.load(reference / "expected.npz")
    utts: dict[str, Any] = {}
    with open_ark_writer(folder / "feats.ark", folder / "feats.scp") as writer:
        for utt in sorted({key.split("/")[0] for key in arrays}):
            x, y = arrays[f"{utt}/x"], arrays[f"{utt}/y"].tolist()
            writer.write(utt, x)
            tokens = [char_list[i] for i in y]
            target = {"name": "target1", "shape": [len(y), len(char_list)]}
            target |= {"text": "".join(tokens).replace("<space>", " ")}
            target |= {"token": " ".join(tokens), "tokenid": " ".join(map(str, y))}
            source = {"name": "input1", "shape": list(x.shape)}
            utts[utt] = {"input": [source], "output": [target], "utt2spk": "spk"}
    for line in (folder / "feats.scp").read_text().splitlines():
        utt, place = line.split()
        utts[utt]["input"][0]["feat"] = place
    (folder / "data.json").write_text(json.dumps({"utts": utts}))
    return char_list


def options(search: dict[str, Any]) -> list[str]:
    given = {**search["options"], "api": search["api"]}
    return [
        f"--{name.replace('_', '-')}={value}"
        for name, value in given.items()
        if not isinstance(value, dict)
    ]


# the searches of RNN models were made one by one, and batches have rules of their own
@pytest.mark.parametrize(
    ("name", "batchsize"),
    [(name, 0) for name in MODELS]
    + [(name, 3) for name in MODELS if not name.startswith("rnn")],
)
def test_command_lines(golden: Path, tmp_path: Path, name: str, batchsize: int) -> None:
    reference = golden / "models" / name
    char_list = write_data(tmp_path, reference)
    data = json.loads((tmp_path / "data.json").read_text())["utts"]
    searches = json.loads((reference / "expected.json").read_text())["decode"]
    files = ["--recog-json", str(tmp_path / "data.json"), "--verbose", "0"]
    files += ["--model", str(reference / "model.loss.best")]
    files += ["--result-label", str(tmp_path / "result.json")]
    compared = 0
    for search in searches:
        if "hyps" not in search:
            continue
        main([*files, *options(search), f"--batchsize={batchsize}"])
        text = (tmp_path / "result.json").read_text()
        found = json.loads(text)["utts"]
        assert text.rstrip() == json.dumps(
            {"utts": found}, indent=4, sort_keys=True, ensure_ascii=False
        )
        for utt, hyps in search["hyps"].items():
            compare(found[utt], hyps, data[utt], char_list)
            compared += len(hyps)
    assert compared > 10


def compare(
    result: dict[str, Any],
    hyps: list[dict[str, Any]],
    entry: dict[str, Any],
    char_list: list[str],
) -> None:
    """An entry of the results with the hypotheses and data that it comes from."""
    assert set(result) == {"output", "utt2spk"}
    assert len(result["output"]) == len(hyps)
    for n, (output, hyp) in enumerate(zip(result["output"], hyps, strict=True), 1):
        assert output["score"] == pytest.approx(hyp["score"], rel=1e-4, abs=1e-5)
        others = [h["score"] for h in hyps if h is not hyp]
        if all(abs(hyp["score"] - score) > CLOSE for score in others):
            ids = hyp["yseq"][1:]
            tokens = [char_list[i] for i in ids]
            assert output == {
                **entry["output"][0],
                "name": f"target1[{n}]",
                "rec_text": "".join(tokens).replace("<space>", " "),
                "rec_token": " ".join(tokens),
                "rec_tokenid": " ".join(map(str, ids)),
                "score": output["score"],
            }
