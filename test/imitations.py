"""Small imitations of published corpora: their folders, names and file formats."""

from __future__ import annotations

import gzip
import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
WSJ_DOT = {  # detailed transcripts: quoted punctuation, noises, restarts
    "011c0201": r"The sale [loud_breath] of the hotels [<door_slam] is \"DOUBLE\-QUOTE",
    "011c0202": "It <is> part . of the plan ~",
    "4akc0201": "Hotel operator's cash [phone_ring/] sale",
    "4akc0202": "The plan is sold",
    "4k0c0301": "The hotel is sold",
    "440c0401": "A part of the sale",
}
WSJ_TEXT = {
    "011c0201": 'THE SALE <NOISE> OF THE HOTELS IS "DOUBLE-QUOTE',
    "011c0202": "IT IS PART OF THE PLAN",
    "4akc0201": "HOTEL OPERATOR'S CASH SALE",
    "4akc0202": "THE PLAN IS SOLD",
    "4k0c0301": "THE HOTEL IS SOLD",
    "440c0401": "A PART OF THE SALE",
}
CHIME_DOT = {  # part and kind -> utterance -> transcript
    "tr05_real": {"F01_011C0201_BUS": "The sale of the hotels"},
    "tr05_simu": {"011_011C0202_PED": "It is part of [cough] the plan"},
    "dt05_real": {"M03_051C0101_STR": "The plan is sold"},
    "dt05_simu": {"050_050C0101_CAF": "The hotel is sold"},
    "et05_real": {"F05_440C0201_BUS": "A part of the sale"},
    "et05_simu": {"440_440C0202_PED": "The cash sale"},
}


def sound(path: Path, seconds: float = 0.9, file_format: str | None = None) -> Path:
    """A file of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(path.name) + int(100 * seconds))
    wave = 0.1 * random.standard_normal(int(seconds * RATE))
    soundfile.write(path, wave, RATE, format=file_format, subtype="PCM_16")
    return path


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def compress(text: str) -> bytes:
    """A file of Unix's compress: literal codes of 9 bits, in blocks of 8 codes."""
    assert len(text) < 255  # then codes would get longer
    bits = "".join(f"{ord(letter):09b}"[::-1] for letter in text)
    bits += "0" * (-len(bits) % 8)
    body = bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))
    return b"\x1f\x9d\x90" + body


def make_wsj(folder: Path) -> tuple[Path, Path]:
    """The LDC's discs as folders: those of WSJ0 and those of WSJ1."""
    wsj0, wsj1 = folder / "wsj0", folder / "wsj1"
    places = {
        "011c0201": (wsj0, "11-1.1", "wsj0/si_tr_s/011"),
        "011c0202": (wsj0, "11-1.1", "wsj0/si_tr_s/011"),
        "4akc0201": (wsj1, "13-1.1", "wsj1/si_tr_s/4ak"),
        "4akc0202": (wsj1, "13-1.1", "wsj1/si_tr_s/4ak"),
        "4k0c0301": (wsj1, "13-16.1", "wsj1/si_dt_20/4k0"),
        "440c0401": (wsj0, "11-14.1", "wsj0/si_et_20/440"),
    }
    dots: dict[Path, list[str]] = {}
    for utterance, (root, disc, place) in places.items():
        sound(root / disc / place / f"{utterance}.wv1", file_format="NIST")
        trans = "11-14.1/wsj0/transcrp/dots" if root is wsj0 else "13-34.1/wsj1/trans"
        dot = root / trans / place.partition("/")[2] / f"{utterance[:6]}00.dot"
        dots.setdefault(dot, []).append(f"{WSJ_DOT[utterance]} ({utterance})")
    for path, lines in dots.items():
        write(path, *lines)
    write(
        wsj0 / "11-13.1/wsj0/doc/indices/train/tr_s_wv1.ndx",
        ";; a comment",
        "11_1_1:wsj0/si_tr_s/011/011c0201.wv1",
        "11_1_1: wsj0/si_tr_s/011/011c0202.wv1",
        "11_2_1:wsj0/si_tr_s/401/401c0201.wv1",
    )
    write(
        wsj0 / "11-13.1/wsj0/doc/indices/test/nvp/si_et_20.ndx",
        "11_14_1:wsj0/si_et_20/440/440c0401",
    )
    write(
        wsj1 / "13-34.1/wsj1/doc/indices/si_tr_s.ndx",
        "13_1_1:wsj1/si_tr_s/4ak/4akc0201.wv1",
        "13_1_1:wsj1/si_tr_s/4ak/4akc0202.wv1",
    )
    write(
        wsj1 / "13-34.1/wsj1/doc/indices/h1_p0.ndx",
        "13_16_1:wsj1/si_dt_20/4k0/4k0c0301.wv1",
    )
    text = wsj1 / "13-32.1/wsj1/doc/lng_modl/lm_train/np_data/87/w7_001.z"
    text.parent.mkdir(parents=True)
    text.write_bytes(compress("<art 1>\nA hotel sale .\nThe part's plan\n"))
    return wsj0, wsj1


def make_chime4(folder: Path) -> Path:
    """Isolated recordings and the one-channel track; texts in both published forms."""
    audio = folder / "data" / "audio" / "16kHz"
    for part, texts in CHIME_DOT.items():
        entries = []
        for key, text in texts.items():
            speaker, name, environment = key.split("_")
            place = f"{part[:4]}_{environment.lower()}_{part[5:]}"
            if part.startswith("tr05"):
                for channel in (5, 6):
                    sound(audio / "isolated" / place / f"{key}.CH{channel}.wav")
            else:
                suffix = ".CH4" if part == "dt05_real" else ""
                sound(audio / "isolated_1ch_track" / place / f"{key}{suffix}.wav")
            fields = {"speaker": speaker, "wsj_name": name, "environment": environment}
            entries.append({**fields, "dot": text, "prompt": text.lower()})
        annotations = folder / "data" / "annotations" / f"{part}.json"
        if part.startswith("et05"):
            lines = [f"{text} ({key})" for key, text in texts.items()]
            write(folder / "data" / "transcriptions" / f"{part}.dot_all", *lines)
        else:
            write(annotations, json.dumps(entries, indent=2))
    return folder


def make_tedlium2(folder: Path) -> Path:
    """Talks in SPHERE files, STM files, the dictionary and the LM's text."""
    root = folder / "TEDLIUM_release2"
    stms = {
        "train": (
            "AlGore_2006 1 AlGore_2006 0.50 1.50 <o,f0,male> it 's (2) so great "
            "{BREATH} (AlGore_2006-01)",
            "AlGore_2006 1 inter_segment_gap 1.50 1.80 <o,,unknown> "
            "ignore_time_segment_in_scoring",
            "AlGore_2006 1 AlGore_2006 1.80 2.95 <o,f0,male> thank you <sil> so much",
        ),
        "dev": (
            ";; comment",
            "Bill_2003 1 Bill_2003 0.00 0.90 <F0_M> it 's great of you",
        ),
        "test": ("Jane_2009 1 Jane_2009 0.10 0.95 <F0_F> so much of it",),
    }
    for name, lines in stms.items():
        talk = lines[-1].split()[0]
        write(root / name / "stm" / f"{talk}.stm", *lines)
        sound(root / name / "sph" / f"{talk}.sph", 3.0, "NIST")
    words = ["it", "it's", "so", "great", "thank", "you", "much", "of"]
    write(root / "TEDLIUM.152k.dic", *(f"{w} AH" for w in words), "so(2) AH")
    (root / "LM").mkdir()
    with gzip.open(root / "LM" / "news.en.gz", "wt") as stream:
        stream.write("<s> it 's so much </s>\nit 's you </s>\n")
    return root


def make_librispeech(folder: Path) -> Path:
    """FLAC files and a transcript for each chapter."""
    chapters: Mapping[str, Mapping[str, str]] = {
        "train-clean-100/19/198": {
            "0000": "SOUTH ABBEY",
            "0001": "THIS LITTLE WORK",
        },
        "train-clean-100/26/495": {
            "0000": "SO LITTLE WORK",
            "0001": "AN ABBEY NORTH",
        },
        "dev-clean/84/121123": {"0000": "GO LITTLE"},
        "dev-other/116/288045": {"0000": "A NORTH WORK"},
        "test-clean/61/70968": {"0000": "THIS WORK"},
        "test-other/367/130732": {"0000": "SO NORTH"},
    }
    root = folder / "LibriSpeech"
    for place, texts in chapters.items():
        speaker, chapter = place.split("/")[1:]
        for number in texts:
            sound(root / place / f"{speaker}-{chapter}-{number}.flac")
        lines = [f"{speaker}-{chapter}-{n} {text}" for n, text in texts.items()]
        write(root / place / f"{speaker}-{chapter}.trans.txt", *lines)
    with gzip.open(folder / "librispeech-lm-norm.txt.gz", "wt") as stream:
        stream.write("THIS LITTLE ABBEY\nA WORK SO NORTH\n")
    return root


def make_vivos(folder: Path) -> Path:
    """WAV files, prompts and genders; an accent is a letter of its own in one text."""
    root = folder / "vivos"
    texts = {
        "train": {
            "VIVOSSPK01_R001": "KHÁCH SẠN",
            "VIVOSSPK01_R002": "CHỈ BẰNG",
            "VIVOSSPK02_R001": unicodedata.normalize("NFD", "khách sạn CHỈ"),
            "VIVOSSPK02_R002": "BẰNG SẠN",
        },
        "test": {"VIVOSDEV01_R001": "SẠN  BẰNG"},
    }
    for name, prompts in texts.items():
        lines = [f"{key} {text}" for key, text in prompts.items()]
        write(root / name / "prompts.txt", *lines)
        speakers = sorted({key.split("_")[0] for key in prompts})
        write(root / name / "genders.txt", *(f"{s} m" for s in speakers))
        for key in prompts:
            sound(root / name / "waves" / key.split("_")[0] / f"{key}.wav")
    return root
