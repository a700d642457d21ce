"""The eSpeak NG synthesiser through its C library (package ``espeakng-loader``)."""

from __future__ import annotations

import ctypes

import numpy as np

from espnet.utils.errors import UserError

# From espeak-ng's speak_lib.h.
_OUTPUT_RETRIEVAL, _CHARS_UTF8, _POSITION_CHARACTER = 1, 1, 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Synthesizer:
    """Speaks English text; the library allows one of them in a process.

    Raises:
        UserError: the package that brings the library is not installed.
    """

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError:
            raise UserError(
                "the demo corpus is spoken by the package espeakng-loader, which is not"
                " installed: run 'pip install espeakng-loader' (or 'make demo')"
            ) from None
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._pieces: list[np.ndarray] = []
        self._callback = _CALLBACK(self._take)  # kept: C holds only its address
        data = espeakng_loader.get_data_path().encode()
        self.sample_rate: int = self._library.espeak_Initialize(
            _OUTPUT_RETRIEVAL, 0, data, 0
        )
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        self._library.espeak_Synth.argtypes = [
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int),
            *(ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p),
        ]

    def _take(self, samples: ctypes._Pointer, count: int, events: int | None) -> int:
        if count > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0  # go on

    def say(
        self, text: str, voice: str, rate: int, pitch: int, pitch_range: int
    ) -> np.ndarray:
        """Speak.

        Args:
            voice: ``accent+variant``, such as ``en-us+f2``.
            rate: words a minute, 80 to 450.
            pitch: 0 to 100, 50 is the voice's own.
            pitch_range: 0 (monotone) to 100.

        Returns:
            Samples in -1..1 at :attr:`sample_rate`, shape (T,).

        Raises:
            UserError: the library has no such voice.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise UserError(f"this eSpeak NG has no voice '{voice}'")
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._library.espeak_ng_SetRandSeed(1)  # the breath of a voice is random
        self._pieces.clear()
        data = text.encode() + b"\0"
        self._library.espeak_Synth(
            *(data, len(data), 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None)
        )
        self._library.espeak_Synchronize()
        return np.concatenate(self._pieces).astype(np.float32) / 32768
