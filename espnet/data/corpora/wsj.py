"""The Wall Street Journal corpus as the LDC published it: folders named after discs.

WSJ0 (LDC93S6A, LDC93S6B) has the discs 11-1.1 to 11-15.1, WSJ1 (LDC94S13A, LDC94S13B)
13-1.1 to 13-34.1. Indices ``*.ndx`` list recordings as ``11_13_1:wsj0/path``, files
``*.dot`` hold transcripts as ``words (utterance)``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from espnet.data.corpus import Recording
from espnet.utils.errors import DataError, UserError
from espnet.utils.files import files_below
from espnet.utils.lines import read_lines, shorten

NOISE = "<NOISE>"
Index = tuple[str, str]  # disc, path on it
SI84: Index = ("11-13.1", "wsj0/doc/indices/train/tr_s_wv1.ndx")
SETS: dict[str, tuple[Index, ...]] = {
    "train_si84": (SI84,),
    "train_si284": (("13-34.1", "wsj1/doc/indices/si_tr_s.ndx"), SI84),
    "test_dev93": (("13-34.1", "wsj1/doc/indices/h1_p0.ndx"),),
    "test_dev93_5k": (("13-34.1", "wsj1/doc/indices/h2_p0.ndx"),),
    "test_eval92": (("11-13.1", "wsj0/doc/indices/test/nvp/si_et_20.ndx"),),
    "test_eval92_5k": (("11-13.1", "wsj0/doc/indices/test/nvp/si_et_05.ndx"),),
    "test_eval93": (("13-32.1", "wsj1/doc/indices/wsj1/eval/h1_p0.ndx"),),
}
LEFT_OUT = "wsj0/si_tr_s/401/"  # the index of SI-84 lists it, but no disc has it
# the index of the test of 1993 names a disc of texts; its recordings are on the next
MOVED = {"13-32.1": "13-33.1"}
LM_TEXT = ("13-32.1", "wsj1/doc/lng_modl/lm_train/np_data")
_ENTRY = re.compile(r"(\d+)_(\d+)_(\d+)\s*:\s*(\S+)")
_DOT = re.compile(r"(?P<text>.*)\((?P<utterance>\w+)\)\s*")
_NOT_WORDS = (  # where a noise begins or ends, a truncation, a pause
    re.compile(r"\[<[\w-]+\]|\[[\w-]+>\]|\[[\w-]+/\]|\[/[\w-]+\]|~|\.")
)
_NOISE_WORD = re.compile(r"\[[\w-]+\]")
_DELETED = re.compile(r"<([\w']+)>")  # spoken, though not in the newspaper
_SPELLED = {"%PERCENT": "PERCENT", ".POINT": "POINT", "--DASH": "-DASH"}


class Discs:
    """The discs in some folders.

    A folder holds the discs as folders (``11-13.1``, perhaps a level down), or is what
    several discs hold together (it has ``wsj0`` or ``wsj1`` in it).

    Args:
        folders: option of the recipe, such as ``--wsj0`` -> folder.

    Raises:
        DataError: each folder that does not exist.
    """

    def __init__(self, folders: dict[str, Path]) -> None:
        missing = [
            f"{option}: there is no folder '{folder}'; name the one that holds the"
            " LDC's discs"
            for option, folder in folders.items()
            if not folder.is_dir()
        ]
        if missing:
            raise DataError(missing)
        self.folders = list(folders.values())
        self._discs: dict[str, list[Path]] = {}
        self._merged: list[Path] = []
        for folder in self.folders:
            for path in (folder, *folder.glob("*"), *folder.glob("*/1[13]-*.?")):
                self._discs.setdefault(path.name.lower(), []).append(path)
            if any((folder / name).is_dir() for name in ("wsj0", "wsj1")):
                self._merged.append(folder)

    @cached_property
    def transcripts(self) -> list[Path]:
        """The ``*.dot`` files of all discs."""
        found = {path for folder in self.folders for path in files_below(folder)}
        return sorted(path for path in found if path.suffix.lower() == ".dot")

    def places(self, disc: str) -> list[Path]:
        """The folders that may hold what is on a disc; none if it is missing."""
        return [*self._discs.get(disc, []), *self._merged]

    def find(self, disc: str, path: str) -> Path:
        """A file or folder of a disc.

        Raises:
            UserError: it is not there; the message says what is missing.
        """
        for place in self.places(disc):
            if (place / path).exists():
                return place / path
        if self.places(disc):
            raise UserError(f"{self.places(disc)[0] / path}: is not there")
        raise UserError(self.missing(disc, path))

    def missing(self, disc: str, what: str) -> str:
        """The sentence for a disc that is not there."""
        option = "--wsj0" if disc.startswith("11-") else "--wsj1"
        where = ", ".join(map(str, self.folders))
        return (
            f"there is no disc {disc} in {where}, which has {what}; name the folder"
            f" that holds it with {option}"
        )


def recordings(discs: Discs, name: str) -> list[Recording]:
    """The utterances of a set of SETS, with the text that was said.

    Raises:
        DataError: every disc and transcript that is missing, with its path.
        UserError: an index is missing or has a line that is none.
    """
    wavs = {path.stem: path for path in _indexed(discs, name)}
    texts = read_transcripts(discs, {key[:6].lower() for key in wavs})
    silent = [
        f"{wav}: no *.dot file below {', '.join(map(str, discs.folders))} has its"
        f" transcript ({utterance[:6]}00.dot); are the discs that have them there?"
        for utterance, wav in wavs.items()
        if utterance.lower() not in texts
    ]
    if silent:
        raise DataError(shorten(silent, 20))
    return [
        Recording(key, key[:3], wav, texts[key.lower()]) for key, wav in wavs.items()
    ]


def _indexed(discs: Discs, name: str) -> Iterator[Path]:
    """The recordings that the indices of a set list."""
    lacking: Counter[str] = Counter()
    for disc, path in SETS[name]:
        index = discs.find(disc, path)
        for number, line in read_lines(index):
            if line.startswith(";") or not line.strip():
                continue
            match = _ENTRY.fullmatch(line.strip())
            if match is None:
                raise UserError(
                    f"{index}:{number}: expected '<disc>:<path>', found '{line}'"
                )
            a, b, c, wav = match.groups()
            if wav.startswith(LEFT_OUT):
                continue
            if not wav.endswith((".wv1", ".wv2")):
                wav += ".wv1"
            named = f"{a}-{b}.{c}"
            home = MOVED.get(named, named)
            places = discs.places(home)
            if not places:
                lacking[home] += 1
                continue
            there = [place / wav for place in places if (place / wav).is_file()]
            yield there[0] if there else places[0] / wav
    if lacking:
        raise DataError(
            [
                discs.missing(disc, f"{count} recordings of {name}")
                for disc, count in sorted(lacking.items())
            ]
        )


def read_transcripts(discs: Discs, prefixes: set[str]) -> dict[str, str]:
    """Utterance, in small letters -> its words, of some sessions' ``*.dot`` files.

    Args:
        discs: where to look.
        prefixes: the first six letters of the utterances that are wanted.
    """
    texts: dict[str, str] = {}
    for path in discs.transcripts:
        if path.name[:6].lower() not in prefixes:
            continue
        for _, line in read_lines(path):
            match = _DOT.fullmatch(line)
            if match is not None:
                key = match["utterance"].lower()
                texts.setdefault(key, normalize(match["text"]))
    return texts


def normalize(text: str) -> str:
    """The words of a detailed transcript, in capitals, with ``<NOISE>`` for noises."""
    words = []
    for word in text.upper().replace("\\", "").split():
        if _NOT_WORDS.fullmatch(word):
            continue
        deleted = _DELETED.fullmatch(word)
        if _NOISE_WORD.search(word):
            words.append(NOISE)
        elif deleted is not None:
            words.append(deleted[1])
        else:
            words.append(_SPELLED.get(word, word))
    return " ".join(words)


def symbols_in(texts: Sequence[str]) -> list[str]:
    """The words that are no words, such as ``<NOISE>``, sorted."""
    return sorted({word for text in texts for word in text.split() if "<" in word})
