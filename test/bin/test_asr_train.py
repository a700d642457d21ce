"""The command: its options, its one-line errors, its exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from tiny_corpus import train_argv, write_corpus

from espnet.asr.train_options import (
    MODEL_OPTIONS,
    TrainOptions,
    parse_train_options,
)
from espnet.bin.asr_train import main
from espnet.nets.pytorch_backend.options import HybridOptions
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError
from espnet.utils.options import read_config

NEEDED = ["--outdir", "o", "--dict", "d", "--batch-size", "2"]


def read(*argv: str) -> TrainOptions:
    return read_config(TrainOptions, parse_train_options([*NEEDED, *argv]))


def test_defaults_are_those_of_the_specification() -> None:
    options = parse_train_options(["--outdir", "o", "--dict", "d", "-b", "2"])
    expected = {
        "ngpu": None,
        "train_dtype": "float32",
        "backend": "pytorch",
        "debugmode": 1,
        "seed": 1,
        "resume": "",
        "minibatches": -1,
        "verbose": 0,
        "tensorboard_dir": None,
        "report_interval_iters": 100,
        "save_interval_iters": 0,
        "model_module": "espnet.nets.pytorch_backend.e2e_asr:E2E",
        "sortagrad": 0,
        "batch_count": "auto",
        "maxlen_in": 800,
        "maxlen_out": 150,
        "n_iter_processes": 0,
        "preprocess_conf": None,
        "opt": "adadelta",
        "accum_grad": 1,
        "eps": 1e-8,
        "eps_decay": 0.01,
        "weight_decay": 0.0,
        "criterion": "acc",
        "threshold": 1e-4,
        "epochs": 30,
        "early_stop_criterion": "validation/main/acc",
        "patience": 3,
        "grad_clip": 5.0,
        "grad_noise": False,
        "num_save_attention": 3,
        "num_save_ctc": 3,
        # of the model
        "mtlalpha": 0.5,
        "etype": "blstmp",
        "report_cer": False,
    }
    assert {name: getattr(options, name) for name in expected} == expected


def test_aliases_and_spellings(tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text(
        "batch-seqs: 7\nbatch-seq-maxlen-in: 9\nelayers: 2\nuse-frontend: false\n"
        "preprocess-conf: null\n"
    )
    args = parse_train_options(
        ["--config", str(config), *NEEDED[:4], "--batch_seq_maxlen_out", "8", "-e", "4"]
    )
    assert (args.batch_size, args.maxlen_in, args.maxlen_out) == (7, 9, 8)
    assert (args.elayers, args.epochs) == (2, 4)
    assert parse_train_options([*NEEDED, "-N", "3", "-V", "2", "-r"]).resume is None


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            ["--backend", "chainer"],
            "only the pytorch backend is built; use --backend py",
        ),
        (["--ngpu", "99"], "ngpu: 99: torch sees"),
        (["--num-procs", "2"], "train on the CPU only with --ngpu 0"),
        (["--use-frontend", "true"], "multichannel front end is not built"),
        (["--batch-size", "0"], "auto needs one of --batch-size"),
        (["--batch-count", "bin"], "bin needs --batch-bins above 0"),
        (["--epochs", "0"], "epochs: 0 must be 1 or more"),
        (["--accum-grad", "0"], "accum-grad: 0 must be 1 or more"),
        (["--maxlen-in", "0"], "maxlen-in: 0 must be 1 or more"),
        (["--seed", "-1"], "seed: -1 must be 0 or more"),
        (["--eps", "-1"], "eps: -1.0 must be 0 or more"),
        (["--weight-decay", "-1"], "weight-decay: -1.0 must be 0 or more"),
        (["--grad-clip", "-1"], "grad-clip: -1.0 must be 0 or more"),
        (["--keep-snapshots", "1"], "use 2"),
        (["--model-module", "tiny:E2E"], "model-module: cannot import 'tiny'"),
        (["--model-module", "json:loads"], "is no recogniser"),
    ],
)
def test_values_that_cannot_be_meant(argv: list[str], words: str) -> None:
    with pytest.raises(UserError) as error:
        main([*NEEDED, *argv])
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--opt", "sgd"], "argument --opt: 'sgd' is none of adadelta"),
        (["--num-spkrs", "2"], "invalid choice: 2"),
        (["--eps", "nan"], "argument --eps: invalid float value: 'nan'"),
        (["--elayer", "2", "--elayres", "2"], "(did you mean 'elayers'?)"),
    ],
)
def test_usage_errors(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([*NEEDED, *argv])
    assert end.value.code == 2 and words in capsys.readouterr().err


def test_unknown_key_of_a_config(tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text("elayer: 2\nepoch: 3\nunits: 8\n")
    with pytest.raises(
        UserError, match=r"train.yaml: unknown key 'units' \(did you mean"
    ):
        main([*NEEDED, "--config", str(config)])


def test_an_option_of_another_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = "espnet.nets.pytorch_backend.e2e_asr_transformer:E2E"
    words = f"for e2e_asr_conformer:E2E, the model is {module}"
    config = tmp_path / "train.yaml"
    config.write_text(f"model-module: {module}\nmacaron_style: true\n")
    with pytest.raises(UserError, match=f"unknown key 'macaron_style': it is {words}"):
        main([*NEEDED, "--config", str(config)])
    with pytest.raises(SystemExit):
        main([*NEEDED, "--model-module", module, "--macaron-style", "true"])
    assert f"option '--macaron-style': it is {words}" in capsys.readouterr().err


def command(*argv: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(root), str(root / "test")])
    return subprocess.run(
        [sys.executable, str(root / "espnet" / "bin" / "asr_train.py"), *argv],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


@pytest.mark.parametrize("module", MODEL_OPTIONS)
def test_help_lists_the_models_options_and_needs_no_torch(module: str) -> None:
    root = Path(__file__).resolve().parents[2]
    code = (
        "import sys; from espnet.bin.asr_train import main\n"
        f"try: main(['--model-module', '{module}', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0, done.stderr
    configs = (TrainOptions, HybridOptions, dynamic_import(MODEL_OPTIONS[module]))
    for field in (field for config in configs for field in fields(config)):
        flag = f"--{field.name.replace('_', '-')}"
        assert not field.metadata or f"  {flag}" in done.stdout, flag


def test_the_models_of_the_help_have_the_options_that_it_lists() -> None:
    for module, config in MODEL_OPTIONS.items():
        assert dynamic_import(module).Config is dynamic_import(config)


@pytest.mark.parametrize(
    ("model", "option"),
    [
        ("e2e_asr", "macaron-style"),
        ("e2e_asr_transformer", "use-cnn-module"),
        ("e2e_asr_conformer", "etype"),
    ],
)
def test_an_option_that_a_model_does_not_have(
    model: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = f"espnet.nets.pytorch_backend.{model}:E2E"
    with pytest.raises(SystemExit) as end:
        main([*NEEDED, "--model-module", module, f"--{option}", "1"])
    assert end.value.code == 2
    assert f"unknown option '--{option}'" in capsys.readouterr().err
    config = tmp_path / "train.yaml"
    config.write_text(f"{option}: 1\nmodel-module: {module}\n")
    with pytest.raises(UserError, match=f"train.yaml: unknown key '{option}'"):
        main([*NEEDED, "--config", str(config)])


def test_a_mistake_is_one_line_and_status_1(tmp_path: Path) -> None:
    files = write_corpus(tmp_path / "corpus")
    argv = train_argv(files, tmp_path / "out", "--dict", "nowhere")
    done = command(*argv)
    assert done.returncode == 1
    assert done.stderr == (
        "asr_train.py: error: nowhere: dictionary cannot be read: "
        "No such file or directory; make_dict.py or stage 2 of a recipe makes it\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_whole_run_with_its_pictures(tmp_path: Path) -> None:
    files = write_corpus(tmp_path / "corpus")
    more = ("--epochs", "2", "--num-save-attention", "1", "--tensorboard-dir")
    argv = train_argv(files, tmp_path / "out", *more, tmp_path / "events")
    done = command(*argv)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "model: tiny_recogniser:E2E, 94 parameters"
    assert lines[4].startswith(
        "epoch       iteration   main/loss   main/loss_ctc  valid"
    )
    assert "\033" not in done.stdout
    assert lines[-1].startswith("training is complete after 2 of 2 epochs")
    made = {
        str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")
    }
    assert {
        "loss.png",
        "acc.png",
        "att_ws/utt00.ep.2.png",
        "att_ws/utt00.ep.1.npy",
    } < made
    assert any((tmp_path / "events").iterdir())
