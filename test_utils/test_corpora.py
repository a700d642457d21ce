"""Published corpora: their data preparation and recipes, on imitations of the files."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import imitations
import pytest
from recipe_runs import copy_recipes, lines_of, run_in, tiny_options

Prepared = tuple[Path, Path]  # the recipe's copy, the corpus


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """All recipes, in a new tree."""
    copy_recipes(tmp_path)
    return tmp_path / "egs"


def prepare(recipe: Path, *options: object) -> str:
    """Run stage 0; what it prints."""
    done = run_in(recipe, "--stage", 0, "--stop-stage", 0, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(recipe: Path, *options: object) -> str:
    """Run stage 0, which must fail without a traceback; the error."""
    done = run_in(recipe, "--stage", 0, "--stop-stage", 0, *options)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def table(path: Path) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in lines_of(path))


# ---- WSJ


def test_wsj_sets_are_those_of_the_indices(recipes: Path, tmp_path: Path) -> None:
    wsj0, wsj1 = imitations.make_wsj(tmp_path / "c")
    recipe = recipes / "wsj" / "asr1"
    said = prepare(recipe, "--wsj0", wsj0, "--wsj1", wsj1)
    assert "train_si284: 4 utterances" in said
    sets = {
        "train_si284": ("011c0201", "011c0202", "4akc0201", "4akc0202"),
        "test_dev93": ("4k0c0301",),
        "test_eval92": ("440c0401",),
    }
    for name, utterances in sets.items():
        data = recipe / "data" / name
        assert table(data / "text") == {u: imitations.WSJ_TEXT[u] for u in utterances}
        assert table(data / "utt2spk") == {u: u[:3] for u in utterances}
        wavs = table(data / "wav.scp")
        assert list(wavs) == list(utterances)
        assert all(Path(wav).is_file() for wav in wavs.values())
    symbols = recipe / "data" / "lang_1char" / "non_lang_syms.txt"
    assert lines_of(symbols) == ["<NOISE>"]


def test_wsj_discs_may_lie_in_one_folder(recipes: Path, tmp_path: Path) -> None:
    wsj0, wsj1 = imitations.make_wsj(tmp_path / "c")
    for root in (wsj0, wsj1):
        for disc in sorted(root.iterdir()):
            subprocess.run(["cp", "-r", f"{disc}/.", tmp_path / "all"], check=True)
    recipe, everything = recipes / "wsj" / "asr1", tmp_path / "all"
    prepare(recipe, "--wsj0", everything, "--wsj1", everything)
    assert len(lines_of(recipe / "data" / "train_si284" / "text")) == 4


def test_wsj_discs_may_be_links(recipes: Path, tmp_path: Path) -> None:
    wsj0, wsj1 = imitations.make_wsj(tmp_path / "c")
    for root in (wsj0, wsj1):
        for disc in sorted(root.iterdir()):
            (tmp_path / "links").mkdir(exist_ok=True)
            (tmp_path / "links" / disc.name).symlink_to(disc)
    for dot in (tmp_path / "c").rglob("*.dot"):  # some copies have capitals
        dot.rename(dot.with_suffix(".DOT"))
    recipe, links = recipes / "wsj" / "asr1", tmp_path / "links"
    prepare(recipe, "--wsj0", links, "--wsj1", links)
    assert len(lines_of(recipe / "data" / "train_si284" / "text")) == 4


def test_the_index_of_wsj_eval93_names_a_disc_without_recordings(
    recipes: Path, tmp_path: Path
) -> None:
    wsj0, wsj1 = imitations.make_wsj(tmp_path / "c")
    index = "13-32.1/wsj1/doc/indices/wsj1/eval/h1_p0.ndx"
    imitations.write(wsj1 / index, "13_32_1:wsj1/si_et_h1/4o0/4o0c0201.wv1")
    there = wsj1 / "13-33.1/wsj1/si_et_h1/4o0"
    imitations.sound(there / "4o0c0201.wv1", file_format="NIST")
    imitations.write(there / "4o0c0200.dot", "A hotel %percent (4o0c0201)")
    recipe = recipes / "wsj" / "asr1"
    options = ("--wsj0", wsj0, "--wsj1", wsj1, "--recog-set", "test_eval93")
    prepare(recipe, *options)
    data = recipe / "data" / "test_eval93"
    assert table(data / "text") == {"4o0c0201": "A HOTEL PERCENT"}
    assert table(data / "wav.scp") == {"4o0c0201": f"{there}/4o0c0201.wv1"}


def test_wsj_sentences_are_unpacked(recipes: Path, tmp_path: Path) -> None:
    wsj0, wsj1 = imitations.make_wsj(tmp_path / "c")
    recipe = recipes / "wsj" / "asr1"
    command = f". ./path.sh; wsj_lm_text.py --wsj0 {wsj0} --wsj1 {wsj1}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=recipe, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["A HOTEL SALE .", "THE PART'S PLAN"]


def test_wsj_says_which_disc_is_missing(recipes: Path, tmp_path: Path) -> None:
    wsj0, wsj1 = imitations.make_wsj(tmp_path / "c")
    options = ("--wsj0", wsj0, "--wsj1", wsj1)
    (wsj1 / "13-1.1").rename(tmp_path / "lost")
    error = refused(recipes / "wsj" / "asr1", *options)
    assert f"there is no disc 13-1.1 in {wsj0}, {wsj1}, which has 2" in error
    assert "name the folder that holds it with --wsj1" in error
    (wsj0 / "11-13.1").rename(tmp_path / "lost2")
    assert "there is no disc 11-13.1" in refused(recipes / "wsj" / "asr1", *options)


def test_wsj_says_which_files_are_missing(recipes: Path, tmp_path: Path) -> None:
    wsj0, wsj1 = imitations.make_wsj(tmp_path / "c")
    options = ("--wsj0", wsj0, "--wsj1", wsj1)
    (lost,) = wsj1.rglob("4akc0202.wv1")
    lost.unlink()
    error = refused(recipes / "wsj" / "asr1", *options)
    assert f"{lost}: no such file; is the corpus complete?" in error
    (dot,) = wsj0.rglob("440c0400.dot")
    dot.unlink()
    error = refused(recipes / "wsj" / "asr1", *options, "--train-set", "train_si84")
    assert "440c0401.wv1: no *.dot file below" in error
    assert "its transcript (440c0400.dot)" in error


def test_shortened_files_want_sph2pipe(
    recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wsj0, wsj1 = imitations.make_wsj(tmp_path / "c")
    options = ("--wsj0", wsj0, "--wsj1", wsj1)
    for wav in wsj0.rglob("*.wv1"):
        head = b"NIST_1A\n   1024\nsample_coding -s26 pcm,embedded-shorten-v2.00\n"
        wav.write_bytes(head.ljust(1024))
    recipe = recipes / "wsj" / "asr1"
    error = refused(recipe, *options)
    assert re.search(r"wv1: is compressed with shorten \([12] of [14] files", error)
    assert "install sph2pipe" in error
    program = imitations.write(tmp_path / "bin" / "sph2pipe", "#!/bin/sh")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    prepare(recipe, *options)
    wavs = table(recipe / "data" / "train_si284" / "wav.scp")
    path = wsj0 / "11-1.1" / "wsj0" / "si_tr_s" / "011" / "011c0201.wv1"
    assert wavs["011c0201"] == f"sph2pipe -f wav -p {path} |"
    assert wavs["4akc0201"].endswith("4akc0201.wv1")


# ---- CHiME-4


def test_chime4_sets(recipes: Path, tmp_path: Path) -> None:
    corpus = imitations.make_chime4(tmp_path / "CHiME3")
    imitations.make_wsj(tmp_path)
    recipe = recipes / "chime4" / "asr1"
    options = ("--datadir", tmp_path, "--channels", "5 6")
    prepare(recipe, *options)
    data = recipe / "data"
    noisy = table(data / "tr05_multi_noisy" / "text")
    assert noisy == {
        "011_011C0202_PED.CH5_SIMU": "IT IS PART OF <NOISE> THE PLAN",
        "011_011C0202_PED.CH6_SIMU": "IT IS PART OF <NOISE> THE PLAN",
        "F01_011C0201_BUS.CH5_REAL": "THE SALE OF THE HOTELS",
        "F01_011C0201_BUS.CH6_REAL": "THE SALE OF THE HOTELS",
    }
    assert table(data / "tr05_simu_noisy" / "utt2spk") == {
        f"011_011C0202_PED.CH{channel}_SIMU": "011" for channel in (5, 6)
    }
    both = table(data / "tr05_multi_noisy_si284" / "text")
    assert {*both} == {*noisy} | {"011c0201", "011c0202", "4akc0201", "4akc0202"}
    track = data / "dt05_multi_isolated_1ch_track"
    assert list(table(track / "text")) == [
        *("050_050C0101_CAF_SIMU", "M03_051C0101_STR_REAL")
    ]
    audio = corpus / "data" / "audio" / "16kHz" / "isolated_1ch_track"
    assert table(track / "wav.scp") == {
        "050_050C0101_CAF_SIMU": f"{audio}/dt05_caf_simu/050_050C0101_CAF.wav",
        "M03_051C0101_STR_REAL": f"{audio}/dt05_str_real/M03_051C0101_STR.CH4.wav",
    }
    assert table(data / "et05_real_isolated_1ch_track" / "text") == {
        "F05_440C0201_BUS_REAL": "A PART OF THE SALE"
    }


def test_chime4_without_wsj_and_with_other_tracks(
    recipes: Path, tmp_path: Path
) -> None:
    corpus = imitations.make_chime4(tmp_path / "CHiME3")
    track = corpus / "data" / "audio" / "16kHz" / "isolated_1ch_track"
    track.rename(tmp_path / "beamformed")
    recipe = recipes / "chime4" / "asr1"
    train = ("--chime4-data", corpus, "--train-set", "tr05_multi_noisy")
    error = refused(recipe, *train)
    assert f"--tracks: there is no folder 'isolated_1ch_track' nor {track}" in error
    more = ("--tracks", tmp_path / "beamformed", "--train-dev", "dt05_multi_beamformed")
    prepare(recipe, *train, *more)
    assert (recipe / "data" / "et05_simu_beamformed" / "text").is_file()
    (tmp_path / "beamformed" / "dt05_str_real" / "M03_051C0101_STR.CH4.wav").unlink()
    error = refused(recipe, *train, *more)
    assert "M03_051C0101_STR.wav: no such file" in error
    assert "--channels: '7' is not some of" in refused(recipe, *train, "--channels", 7)


def test_chime4_simulates_wsj_which_has_the_words(
    recipes: Path, tmp_path: Path
) -> None:
    corpus = imitations.make_chime4(tmp_path / "CHiME3")
    path = corpus / "data" / "annotations" / "tr05_simu.json"
    path.write_text(re.sub(r'"dot": ".*",', "", path.read_text()))
    recipe = recipes / "chime4" / "asr1"
    options = ("--datadir", tmp_path, "--train-set", "tr05_multi_noisy")
    error = refused(recipe, *options)
    assert f"{path}: 011_011C0202_PED has no 'dot', and no transcript of" in error
    imitations.make_wsj(tmp_path)
    prepare(recipe, *options)
    assert table(recipe / "data" / "tr05_simu_noisy" / "text") == {
        "011_011C0202_PED.CH5_SIMU": "IT IS PART OF THE PLAN"
    }


def test_chime4_transcripts_that_are_wrong(recipes: Path, tmp_path: Path) -> None:
    corpus = imitations.make_chime4(tmp_path / "CHiME3")
    recipe = recipes / "chime4" / "asr1"
    train = ("--chime4", corpus, "--train-set", "tr05_multi_noisy")
    path = corpus / "data" / "annotations" / "tr05_real.json"
    path.write_text('[{"speaker": "F01", "dot": "A"}]')
    error = refused(recipe, *train)
    assert f"{path}: entry 1 has no wsj_name, environment" in error
    path.write_text("[")
    assert f"{path}: is not JSON" in refused(recipe, *train)
    path.unlink()
    assert f"{path}: is not there, nor is " in refused(recipe, *train)


# ---- TED-LIUM 2


def test_tedlium2_sets(recipes: Path, tmp_path: Path) -> None:
    corpus = imitations.make_tedlium2(tmp_path / "c")
    recipe = recipes / "tedlium2" / "asr1"
    assert "train: 1 talks, 2 utterances" in prepare(recipe, "--datadir", corpus.parent)
    data = recipe / "data"
    first, second = "AlGore_2006-0000050-0000150", "AlGore_2006-0000180-0000295"
    assert table(data / "train" / "text") == {
        first: "it's so great [BREATH]",
        second: "thank you so much",
    }
    assert table(data / "train" / "segments") == {
        first: "AlGore_2006 0.50 1.50",
        second: "AlGore_2006 1.80 2.95",
    }
    sph = corpus / "train" / "sph" / "AlGore_2006.sph"
    assert table(data / "train" / "wav.scp") == {"AlGore_2006": str(sph)}
    assert {*table(data / "train" / "utt2spk").values()} == {"AlGore_2006"}
    assert table(data / "dev" / "text") == {
        "Bill_2003-0000000-0000090": "it's great of you"
    }
    sentences = data / "local" / "lm_sentences.txt"
    assert lines_of(sentences) == ["it's so much", "it's you"]


def test_tedlium2_reports_what_is_wrong(recipes: Path, tmp_path: Path) -> None:
    corpus = imitations.make_tedlium2(tmp_path / "c")
    recipe = recipes / "tedlium2" / "asr1"
    stm = corpus / "train" / "stm" / "AlGore_2006.stm"
    lines = lines_of(stm)
    wrong = ("AlGore_2006 1 AlGore_2006 2.0 1.0 <o> so", "AlGore_2006 1 so")
    imitations.write(stm, *lines, *wrong)
    error = refused(recipe, "--datadir", corpus)
    assert f"{stm}:4: expected 'talk channel speaker start end" in error
    assert f"{stm}:5: expected" in error
    imitations.write(stm, *lines)
    sph = corpus / "dev" / "sph" / "Bill_2003.sph"
    sph.unlink()
    assert f"{sph}: no such file" in refused(recipe, "--datadir", corpus)
    imitations.sound(sph, 3.0, "NIST")
    (corpus / "LM" / "news.en.gz").unlink()
    assert f"{corpus}/LM: has no *.en.gz" in refused(recipe, "--datadir", corpus)


# ---- LibriSpeech


def test_librispeech_sets(recipes: Path, tmp_path: Path) -> None:
    corpus = imitations.make_librispeech(tmp_path / "c")
    recipe = recipes / "librispeech" / "asr1"
    options = ("--datadir", tmp_path / "c", "--train-set", "train_clean_100")
    prepare(recipe, *options)
    data = recipe / "data"
    assert table(data / "train_clean_100" / "text") == {
        "19-198-0000": "SOUTH ABBEY",
        "19-198-0001": "THIS LITTLE WORK",
        "26-495-0000": "SO LITTLE WORK",
        "26-495-0001": "AN ABBEY NORTH",
    }
    assert {*table(data / "train_clean_100" / "utt2spk").values()} == {
        *("19-198", "26-495")
    }
    assert table(data / "dev" / "wav.scp") == {
        "116-288045-0000": f"{corpus}/dev-other/116/288045/116-288045-0000.flac",
        "84-121123-0000": f"{corpus}/dev-clean/84/121123/84-121123-0000.flac",
    }
    chapter = corpus / "test-clean" / "61" / "70968"
    imitations.sound(chapter / "61-70968-0001.flac")
    (corpus / "test-other" / "367" / "130732" / "367-130732-0000.flac").unlink()
    error = refused(recipe, *options)
    listed = chapter / "61-70968.trans.txt"
    assert f"{listed}: has no line for 61-70968-0001.flac" in error
    (chapter / "61-70968-0001.flac").unlink()
    assert "367-130732-0000.flac: no such file" in refused(recipe, *options)


def test_librispeech_parts_unpack_into_one_folder(
    recipes: Path, tmp_path: Path
) -> None:
    corpus = imitations.make_librispeech(tmp_path / "c")
    place = tmp_path / "archives"
    place.mkdir()
    for part in corpus.iterdir():
        archive = place / f"{part.name}.tar.gz"
        inside = f"LibriSpeech/{part.name}"
        command = ["tar", "-C", tmp_path / "c", "-czf", archive, inside]
        subprocess.run(command, check=True)
    recipe = recipes / "librispeech" / "asr1"
    prepare(recipe, "--datadir", place, "--train-set", "train_clean_100")
    assert len(lines_of(recipe / "data" / "dev" / "text")) == 2
    assert {path.name for path in (recipe / "downloads" / "LibriSpeech").iterdir()} == {
        path.name for path in corpus.iterdir()
    }


# ---- VIVOS


def test_vivos_sets(recipes: Path, tmp_path: Path) -> None:
    corpus = imitations.make_vivos(tmp_path / "c")
    recipe = recipes / "vivos" / "asr1"
    prepare(recipe, "--datadir", tmp_path / "c")
    data = recipe / "data"
    texts = table(data / "train" / "text")
    assert texts["VIVOSSPK02_R001"] == "KHÁCH SẠN CHỈ"
    assert len(texts) == 4
    assert table(data / "test" / "text") == {"VIVOSDEV01_R001": "SẠN BẰNG"}
    assert table(data / "train" / "utt2spk")["VIVOSSPK01_R002"] == "VIVOSSPK01"
    assert table(data / "train" / "spk2gender") == {
        "VIVOSSPK01": "m",
        "VIVOSSPK02": "m",
    }
    prompts = corpus / "train" / "prompts.txt"
    imitations.write(prompts, "R001 KHÁCH")
    error = refused(recipe, "--datadir", tmp_path / "c")
    assert f"{prompts}:1: expected '<speaker>_<take> words'" in error


# ---- whole recipes

CORPORA: dict[str, Callable[[Path], object]] = {
    "wsj": imitations.make_wsj,
    "chime4": lambda folder: (
        imitations.make_wsj(folder),
        imitations.make_chime4(folder / "CHiME3"),
    ),
    "tedlium2": imitations.make_tedlium2,
    "librispeech": imitations.make_librispeech,
    "vivos": imitations.make_vivos,
}
OPTIONS: dict[str, tuple[object, ...]] = {
    "wsj": ("--lm-vocabsize", 20, "--recog-set", "test_eval92"),
    "chime4": (
        *("--lm-vocabsize", 20),
        *("--recog-set", "et05_real_isolated_1ch_track"),
    ),
    "tedlium2": ("--nbpe", 28, "--speeds", "0.9 1.1", "--recog-set", "test"),
    "librispeech": (
        *("--train-set", "train_clean_100_trim", "--nbpe", 22),
        *("--recog-set", "test_clean"),
    ),
    "vivos": ("--dev-utts", 2, "--lm-vocabsize", 10, "--recog-set", "test"),
}
LM_TEXT = {"tedlium2": "lm_train_unigram28", "librispeech": "lm_train"}
SENTENCES = {  # of transcripts, and of the text that comes with the corpus
    "wsj": 4 + 2,
    "chime4": 6 + 2,
    "tedlium2": 2 * 2 + 2,
    "librispeech": 4 + 2,
    "vivos": 2,
}


@pytest.mark.slow  # 20 s each: twenty to thirty programs start
@pytest.mark.parametrize("corpus", CORPORA)
def test_from_corpus_to_table(corpus: str, recipes: Path, tmp_path: Path) -> None:
    CORPORA[corpus](tmp_path / "c")
    recipe = recipes / corpus / "asr1"
    options = tiny_options(recipe)
    common = ("--datadir", tmp_path / "c", "--ngpu", 0, "--nj", 1, "--n-average", 1)
    done = run_in(recipe, *common, *options, *OPTIONS[corpus])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(r"^\|decode_\S+ *\|.*\|$", done.stdout.split("WER")[1], re.M)
    assert (recipe / "downloads").exists() is False
    (text,) = recipe.glob("data/local/*lm_train*/train.txt")
    assert text.parent.name == LM_TEXT.get(corpus, "wordlm_train")
    assert len(lines_of(text)) == SENTENCES[corpus]
    (report,) = recipe.glob("exp/*/decode_*/result.wrd.txt")
    assert "Sum/Avg" in report.read_text(encoding="utf-8")


@pytest.mark.slow  # 10 s
def test_a_set_s_name_says_how_it_is_made(recipes: Path, tmp_path: Path) -> None:
    imitations.make_tedlium2(tmp_path / "c")
    recipe = recipes / "tedlium2" / "asr1"
    options = ("--datadir", tmp_path / "c", "--stop-stage", 1, "--nj", 1)
    done = run_in(recipe, *options, "--maxchars", 19, "--ngpu", 0)
    assert done.returncode == 0, done.stderr
    data = recipe / "data"
    kept = "AlGore_2006-0000180-0000295"  # the other one has 22 characters
    assert list(table(data / "train_trim" / "text")) == [kept]
    frames = table(data / "train_trim_sp" / "utt2num_frames")
    assert list(frames) == [f"sp{s}-{kept}" for s in ("0.9", "1.0", "1.1")]
    # 1.15 s in frames of 25 ms, each 10 ms
    expected = [1 + int((1150 / speed - 25) / 10) for speed in (0.9, 1.0, 1.1)]
    assert [*map(int, frames.values())] == pytest.approx(expected, abs=1)
