"""The command asr_recog.py as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, str(ROOT / "espnet" / "bin" / "asr_recog.py")]
REQUIRED = ["--recog-json", "d.json", "--result-label", "r.json", "--model", "m.best"]


def call(cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *args], cwd=cwd, capture_output=True, text=True, timeout=60
    )


def test_help_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "from espnet.bin.asr_recog import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    for flag in ("--ctc-weight", "--beam-size", "--api {v1,v2}", "--trust-checkpoint"):
        assert flag in found.stdout


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["--beam-sise", "3"], 2, "unknown option '--beam-sise' (did you mean 'beam"),
        (["--api", "v3"], 2, "argument --api: invalid choice: 'v3'"),
        (["--backend", "chainer"], 1, "--backend: only pytorch is built"),
        (
            ["--rnnlm", "lm.best", "--word-rnnlm", "word.best"],
            1,
            "--rnnlm and --word-rnnlm: only one of them can be given",
        ),
        (["--ctc-weight", "1.5"], 1, "--ctc-weight: 1.5 must lie in [0, 1]"),
        (["--beam-size", "0"], 1, "--beam-size: 0 must be 1 or more"),
        (["--num-spkrs", "2"], 2, "argument --num-spkrs: invalid choice: 2"),
    ],
)
def test_mistakes_end_with_one_line(
    tmp_path: Path, args: list[str], status: int, message: str
) -> None:
    found = call(tmp_path, *REQUIRED, *args)
    assert found.returncode == status
    assert message in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_decodes(tmp_path: Path) -> None:
    """With a config as recipes carry it, over which the command line wins."""
    import torch
    from tiny_corpus import IDIM, ODIM, TOKENS, write_corpus

    from espnet.nets.pytorch_backend.e2e_asr import E2E

    data = write_corpus(tmp_path / "data", count=3)["train"]
    options = {"etype": "blstmp", "elayers": 1, "eunits": 3, "eprojs": 3, "dunits": 3}
    model = E2E.build(IDIM, ODIM, **options)
    torch.save(model.state_dict(), tmp_path / "model.acc.best")
    tokens = ["<blank>", *TOKENS, "<eos>"]
    content = [IDIM, ODIM, {**options, "char_list": tokens}]
    (tmp_path / "model.json").write_text(json.dumps(content))
    (tmp_path / "decode.yaml").write_text(
        "batchsize: 0\nbeam-size: 4\npenalty: 0.0\nmaxlenratio: 0.0\n"
        "minlenratio: 0.0\nctc-weight: 0.3\nlm-weight: 0.7\nnbest: 3\n"
    )
    found = call(
        tmp_path,
        *("--config", "decode.yaml", "--nbest", "2", "--batchsize", "2"),
        *("--recog-json", str(data), "--result-label", "out/data.1.json"),
        *("--model", "model.acc.best"),
    )
    assert found.returncode == 0, found.stderr
    utts = json.loads((tmp_path / "out" / "data.1.json").read_text())["utts"]
    assert list(utts) == ["utt00", "utt01", "utt02"]
    assert all(len(result["output"]) == 2 for result in utts.values())
    assert "(3/3) decoding" in found.stderr and "3/3 utterances done" in found.stderr
