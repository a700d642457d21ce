"""utils/new_recipe.sh: from a user's own recordings to a recipe that runs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from imitations import sound, write
from recipe_runs import (
    ROOT,
    copy_recipes,
    environment,
    lines_of,
    run_in,
    tiny_options,
)

WORDS = ("YES", "NO", "MAYBE")


def make(
    name: str, kind: str, source: Path, egs: Path
) -> subprocess.CompletedProcess[str]:
    command = ["utils/new_recipe.sh", name, "--from", kind, "--egs", egs, source]
    return subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
    )


@pytest.fixture
def egs(tmp_path: Path) -> Path:
    copy_recipes(tmp_path)
    return tmp_path / "egs"


def text_of(speaker: int, take: int) -> str:
    return f"{WORDS[speaker % 3]} {WORDS[take % 3]}"


def make_csv(folder: Path, speakers: int = 4, takes: int = 2) -> Path:
    lines = ["sentence;path;spk"]
    for i in range(speakers):
        for k in range(takes):
            sound(folder / "clips" / f"s{i} {k}.flac")
            lines.append(f'"{text_of(i, k)}";clips/s{i} {k}.flac;s{i:02d}')
    return write(folder / "list.csv", *lines)


def make_folder(folder: Path) -> Path:
    for i in range(4):
        for k in range(2):
            wav = sound(folder / "rec" / f"s{i}" / f"{k}.wav")
            write(wav.with_suffix(".txt"), text_of(i, k))
    return folder / "rec"


def make_kaldi(folder: Path) -> Path:
    data = folder / "train"
    rows = [(f"s{i}-{k}", i, k) for i in range(4) for k in range(2)]
    for key, _, _ in rows:
        sound(folder / f"{key}.sph", file_format="NIST")
    inside = folder.relative_to("/")  # relative, and a command
    wavs = [f"{u} {'../' * 9}{inside}/{u}.sph" for u, _, _ in rows]
    wavs[0] = f"{rows[0][0]} cat {wavs[0].split()[1]} |"
    write(data / "wav.scp", *wavs)
    write(data / "text", *(f"{u} {text_of(i, k)}" for u, i, k in rows))
    write(data / "utt2spk", *(f"{u} s{i}" for u, i, _ in rows))
    write(data / "spk2utt", *(f"s{i} s{i}-0 s{i}-1" for i in range(4)))
    return data


MAKERS: dict[str, Callable[[Path], Path]] = {
    "csv": make_csv,
    "folder": make_folder,
    "kaldi": make_kaldi,
}


def sets_of(recipe: Path) -> dict[str, dict[str, str]]:
    return {
        name: dict(
            line.split(" ", 1) for line in lines_of(recipe / "data" / name / "text")
        )
        for name in ("train", "dev", "test")
    }


@pytest.mark.parametrize("kind", MAKERS)
def test_each_kind_becomes_data_directories(
    kind: str, egs: Path, tmp_path: Path
) -> None:
    done = make("mine", kind, MAKERS[kind](tmp_path / "c"), egs)
    assert done.returncode == 0, done.stderr
    assert "8 utterances of 4 speakers, 0.0 hours at 16000 Hz" in done.stdout
    assert "dev and test have speakers of train" in done.stdout
    recipe = egs / "mine" / "asr1"
    assert len(lines_of(recipe / "run.sh")) <= 40
    assert all(path.exists() for path in recipe.rglob("*") if path.is_symlink())
    prepared = run_in(recipe, "--stop-stage", 0)
    assert prepared.returncode == 0, prepared.stderr
    sets = sets_of(recipe)
    assert [len(sets[name]) for name in sets] == [6, 1, 1]
    together = {key: text for part in sets.values() for key, text in part.items()}
    assert len(together) == 8
    assert together["s2-1" if kind != "csv" else "s02-clips_s2_1"] == "MAYBE NO"
    speakers = lines_of(recipe / "data" / "train" / "utt2spk")
    assert all(re.fullmatch(r"(s0?\d)-\S+ \1", line) for line in speakers)


def test_many_speakers_are_split_by_speaker(egs: Path, tmp_path: Path) -> None:
    done = make("mine", "csv", make_csv(tmp_path / "c", speakers=20), egs)
    assert "dev has 1 and test 1 speakers who are not in train" in done.stdout
    recipe = egs / "mine" / "asr1"
    assert run_in(recipe, "--stop-stage", 0).returncode == 0
    speakers = {k: {u.split("-")[0] for u in v} for k, v in sets_of(recipe).items()}
    assert [len(speakers[name]) for name in speakers] == [18, 1, 1]
    assert len(set.union(*speakers.values())) == 20


def test_sampling_rates_reach_the_features(egs: Path, tmp_path: Path) -> None:
    table = make_csv(tmp_path / "c")
    path = tmp_path / "c" / "clips" / "s0 0.flac"
    soundfile.write(path, np.zeros(8000) + 0.1, 8000)
    done = make("mine", "csv", table, egs)
    assert "at 8000 and 16000 Hz" in done.stdout
    assert lines_of(egs / "mine" / "asr1" / "conf" / "fbank.conf")[1:] == [
        *("--sample-frequency=8000", "--num-mel-bins=40", "--allow-downsample=true")
    ]


def test_a_recipe_is_not_overwritten(egs: Path, tmp_path: Path) -> None:
    source = make_folder(tmp_path / "c")
    assert "yesno: is there already" in make("yesno", "folder", source, egs).stderr
    assert "NAME: 'a/b' has other" in make("a/b", "folder", source, egs).stderr
    assert "SOURCE: there is no 'no'" in make("mine", "csv", Path("no"), egs).stderr
    error = make("mine", "folder", source, tmp_path).stderr
    assert f"--egs: {tmp_path} is not the folder" in error
    assert not (egs / "mine").exists()


def test_all_problems_of_a_table_are_listed(egs: Path, tmp_path: Path) -> None:
    table = make_csv(tmp_path / "c")
    extra = [";clips/s0 1.flac;s00", "A;;s00", "A;no.wav;s09", "B;two.wav;s09"]
    write(table, *lines_of(table), *extra)
    soundfile.write(tmp_path / "c" / "two.wav", np.zeros((99, 2)), 16000)
    error = make("mine", "csv", table, egs).stderr
    clip = tmp_path / "c" / "clips" / "s0 1.flac"
    assert f"{table}:10: has no text for {clip}" in error
    assert f"{table}:10: 's00-clips_s0_1' is in {table}:3 already" in error
    assert f"{table}:11: has no path of a recording" in error
    assert f"{table}:12: {tmp_path}/c/no.wav: no such file" in error
    assert f"{table}:13: {tmp_path}/c/two.wav: has 2 channels; make it one" in error
    write(table, *[line for line in lines_of(table) if line not in extra[:2]])
    error = make("mine", "csv", table, egs).stderr
    assert f"{table}:10: {tmp_path}/c/no.wav: no such file" in error
    write(table, "words;path")
    error = make("mine", "csv", table, egs).stderr
    assert f"{table}:1: has no column for the text; name one of text, tran" in error
    write(table, "text;path", "A;clips/s0 1.flac")
    error = make("mine", "csv", table, egs).stderr
    assert "there are 1 utterances; 3 are the fewest" in error


def test_all_problems_of_a_folder_are_listed(egs: Path, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "c")
    (folder / "s0" / "0.txt").unlink()
    (folder / "s1" / "0.wav").unlink()
    (folder / "s2" / "0.txt").write_text("\n")
    error = make("mine", "folder", folder, egs).stderr
    assert f"{folder}/s0/0.wav: there is no 0.txt beside it" in error
    assert f"{folder}/s1/0.txt: there is no recording beside it" in error
    assert f"{folder}/s2/0.txt: has no text for {folder}/s2/0.wav" in error
    write(folder / "s0" / "0.txt", "YES")
    sound(folder / "s1" / "0.wav")
    write(folder / "s2" / "0.txt", "NO")
    (folder / "s3" / "1.wav").write_bytes(b"RIFF")
    error = make("mine", "folder", folder, egs).stderr
    assert f"{folder}/s3/1.txt: {folder}/s3/1.wav: cannot be read as sound" in error


def test_all_problems_of_a_data_directory_are_listed(egs: Path, tmp_path: Path) -> None:
    data = make_kaldi(tmp_path / "c")
    write(data / "text", *lines_of(data / "text")[:7])
    error = make("mine", "kaldi", data, egs).stderr
    assert "'s3-1'" in error and f"{data}/" in error
    make_kaldi(tmp_path / "c")
    write(data / "wav.scp", *lines_of(data / "wav.scp")[:7], "s3-1 none.wav")
    error = make("mine", "kaldi", data, egs).stderr
    assert f"{data}/wav.scp:8: 's3-1' is at 'none.wav', no such file" in error


@pytest.mark.slow  # 20 s each: from the recordings to a table of errors
@pytest.mark.parametrize("kind", MAKERS)
def test_a_new_recipe_runs(kind: str, egs: Path, tmp_path: Path) -> None:
    assert make("mine", kind, MAKERS[kind](tmp_path / "c"), egs).returncode == 0
    recipe = egs / "mine" / "asr1"
    configs = tiny_options(recipe)
    done = run_in(recipe, *configs, "--nj", 1, "--recog-set", "test")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(r"^\|decode_test_tiny_decode_nolm *\|1 *\|", done.stdout, re.M)
