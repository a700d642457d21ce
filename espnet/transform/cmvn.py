"""Mean and variance normalisation, by stored statistics or by the utterance itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from espnet.transform.sources import look_up, read_hdf5, read_kaldi, read_npy
from espnet.utils.errors import UserError, one_of
from espnet.utils.lines import read_table, split_words

FILETYPES = ("mat", "hdf5", "npy")


@dataclass
class CMVN:
    """Normalise the last axis (..., D) by statistics of the corpus or of the speaker.

    Args:
        stats: Kaldi's statistics (2, D + 1): sums and the number of frames, then sums
            of squares. A file with a key for each speaker (or utterance) normalises by
            speaker.
        norm_means: subtract the mean.
        norm_vars: divide by the standard deviation.
        filetype: ``mat`` (Kaldi matrix or archive), ``hdf5`` or ``npy``.
        utt2spk: file of lines ``utterance speaker``.
        spk2utt: file of lines ``speaker utterance ...``, the same the other way round.
        reverse: undo the normalisation.
        std_floor: smallest standard deviation.
    """

    stats: str
    norm_means: bool = True
    norm_vars: bool = False
    filetype: str = "mat"
    utt2spk: str | None = None
    spk2utt: str | None = None
    reverse: bool = False
    std_floor: float = 1e-20
    moments: dict[str | None, tuple[np.ndarray, np.ndarray]] = field(
        init=False, repr=False
    )
    speakers: dict[str, str] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.filetype not in FILETYPES:
            raise ValueError(one_of("filetype", self.filetype, FILETYPES))
        if self.utt2spk and self.spk2utt:
            raise ValueError("utt2spk and spk2utt say the same; give one of them")
        self.speakers = None
        if self.utt2spk:
            self.speakers = read_table(self.utt2spk)
        elif self.spk2utt:
            table = read_table(self.spk2utt)
            self.speakers = {
                u: spk for spk, utts in table.items() for u in split_words(utts)
            }
        self.moments = {key: self._moments(s) for key, s in self._read().items()}

    def _read(self) -> dict[str | None, np.ndarray]:
        if self.filetype == "mat":
            return read_kaldi(self.stats)
        if self.filetype == "npy":
            return {None: read_npy(self.stats)}
        return dict(read_hdf5(self.stats).items())

    def _moments(self, stats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (D,) and standard deviation (D,)."""
        frames = stats[0, -1] if stats.ndim == 2 and len(stats) == 2 else 0
        if frames <= 0:
            raise UserError(
                f"{self.stats}: statistics have shape {stats.shape} and {frames:g} "
                "frames, must be (2, dimension + 1) and above 0"
            )
        mean = stats[0, :-1] / frames
        variance = stats[1, :-1] / frames - mean**2
        return mean, np.sqrt(np.maximum(variance, self.std_floor**2))

    def __call__(self, x: np.ndarray, uttid: str | None) -> np.ndarray:
        mean, deviation = self._of(uttid)
        if x.shape[-1] != len(mean):
            raise UserError(
                f"cmvn: features of dimension {x.shape[-1]}, but {self.stats} is for "
                f"{len(mean)}"
            )
        shift = mean if self.norm_means else np.zeros_like(mean)
        scale = deviation if self.norm_vars else np.ones_like(mean)
        y = x * scale + shift if self.reverse else (x - shift) / scale
        return y.astype(x.dtype)

    def _of(self, uttid: str | None) -> tuple[np.ndarray, np.ndarray]:
        if None in self.moments:
            return self.moments[None]
        key = uttid
        if self.speakers is not None:
            key = look_up(self.speakers, uttid, self.utt2spk or self.spk2utt or "")
        if key not in self.moments:
            raise UserError(f"{self.stats}: has no statistics for '{key}'")
        return self.moments[key]


@dataclass
class UtteranceCMVN:
    """Normalise each feature over the frames of the utterance: (T, ..., D), same shape.

    Args:
        norm_means: subtract the mean.
        norm_vars: divide by the standard deviation.
        std_floor: smallest standard deviation.
    """

    norm_means: bool = True
    norm_vars: bool = False
    std_floor: float = 1e-20

    def __call__(self, x: np.ndarray) -> np.ndarray:
        y = x - x.mean(axis=0) if self.norm_means else x
        if self.norm_vars:
            y = y / np.maximum(x.std(axis=0), self.std_floor)
        return y
