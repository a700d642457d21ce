"""Load the arrays that ``data.json`` names: ``feat`` is where, ``filetype`` how."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from espnet.data.ark import read_matrix, read_vector
from espnet.utils.errors import UserError, one_of


def load_features(place: str, filetype: str = "mat") -> np.ndarray:
    """Load one array: (T, D) for ``mat``, (T,) or (T, C) for ``sound``.

    Args:
        place: ``file.ark:offset`` for mat and vec, a path for sound and npy,
            ``path:key`` for npz.
        filetype: a key of LOADERS.

    Raises:
        UserError: another filetype, or nothing readable at that place.
    """
    if filetype not in LOADERS:
        raise UserError(f"{place}: " + one_of("filetype", filetype, LOADERS))
    return LOADERS[filetype](place)


def _sound(place: str) -> np.ndarray:
    from espnet.data.audio import read_audio

    samples, _ = read_audio(place)
    return samples[:, 0] if samples.shape[1] == 1 else samples


def _npy(place: str) -> np.ndarray:
    try:
        return np.load(place, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{place}: cannot be read as npy: {error}") from None


def _npz(place: str) -> np.ndarray:
    path, _, key = place.rpartition(":")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive[key]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{place}: cannot be read as npz: {error}") from None


LOADERS: dict[str, Callable[[str], np.ndarray]] = {
    "mat": read_matrix,
    "vec": read_vector,
    "sound": _sound,
    "npy": _npy,
    "npz": _npz,
}
