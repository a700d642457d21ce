"""Look at this machine: what works, and what to do where something does not.

    make doctor        or        python -m tools.doctor

One line for each check; exits with 1 if something is missing that training needs.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = {
    "numpy": "numpy",
    "configargparse": "configargparse",
    "yaml": "pyyaml",
    "kaldiio": "kaldiio",
    "kaldi_native_fbank": "kaldi-native-fbank",
    "soundfile": "soundfile",
    "soxr": "soxr",
    "sentencepiece": "sentencepiece",
    "rapidfuzz": "rapidfuzz",
    "kaldialign": "kaldialign",
    "matplotlib": "matplotlib",
    "tensorboardX": "tensorboardX",
}
OPTIONAL = {
    "espeakng_loader": ("espeakng-loader", "make demo", "pip install '.[demo]'"),
    "pytest": ("pytest", "make test", "pip install '.[test]'"),
}


class Missing(Exception):
    """A check that failed; the message is what to do."""


def check_python() -> str:
    """Python is new enough."""
    version = sys.version.split()[0]
    if sys.version_info < (3, 10):  # noqa: UP036 (run without installing, too)
        raise Missing(f"{version} is too old: install Python 3.10 or newer")
    return version


def check_torch() -> str:
    """PyTorch computes."""
    try:
        import torch
    except ImportError:
        raise Missing("not installed: make install, or pip install torch") from None
    if torch.ones(2, 2).mm(torch.ones(2, 2)).sum() != 8:
        raise Missing("gives wrong products: reinstall it")
    return f"{torch.__version__}, {torch.get_num_threads()} threads"


def check_gpu() -> str:
    """A CUDA device, which is optional."""
    import torch

    if not torch.cuda.is_available():
        return "none: use --ngpu 0 (training on the CPU)"
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    torch.ones(8, device="cuda").sum().item()
    return f"{len(names)}: {', '.join(sorted(set(names)))}"


def check_libraries() -> str:
    """Every library that training and decoding use."""
    missing = []
    for module, package in NEEDED.items():
        try:
            importlib.import_module(module)
        except ImportError:
            missing.append(package)
    if missing:
        raise Missing(f"missing {', '.join(missing)}: pip install {' '.join(missing)}")
    return ", ".join(f"{p} {importlib.metadata.version(p)}" for p in NEEDED.values())


def check_audio() -> str:
    """The audio formats that can be read."""
    import numpy as np
    import soundfile

    readable = []
    for name in ("WAV", "FLAC", "OGG", "MP3", "NIST"):
        buffer = io.BytesIO()
        try:
            soundfile.write(buffer, np.zeros(1600), 16000, format=name)
            buffer.seek(0)
            soundfile.read(buffer)
            readable.append(name)
        except (RuntimeError, ValueError):
            continue
    if not {"WAV", "FLAC"} <= set(readable):
        raise Missing("soundfile reads no FLAC: reinstall it (pip install soundfile)")
    return "reads " + ", ".join(readable).replace("NIST", "SPHERE")


def check_commands() -> str:
    """The commands that recipes call are executable."""
    blocked = [
        str(path.relative_to(ROOT))
        for folder in ("utils", "utils/steps")
        for path in sorted((ROOT / folder).iterdir())
        if path.is_file() and path.read_bytes()[:2] == b"#!"  # others are sourced
        if not os.access(path, os.X_OK)
    ]
    if blocked:
        raise Missing(f"not executable: chmod +x {' '.join(blocked)}")
    if shutil.which("bash") is None:
        raise Missing("no bash: install it; recipes are bash scripts")
    return "bash and utils/ are ready"


def check_optional() -> str:
    """Parts that only some commands need."""
    lines = []
    for module, (package, used_by, remedy) in OPTIONAL.items():
        try:
            importlib.import_module(module)
            lines.append(f"{package} {importlib.metadata.version(package)}")
        except ImportError:
            lines.append(f"no {package} ({used_by} needs it: {remedy})")
    return "; ".join(lines)


CHECKS: dict[str, Callable[[], str]] = {
    "python": check_python,
    "torch": check_torch,
    "gpu": check_gpu,
    "libraries": check_libraries,
    "audio": check_audio,
    "commands": check_commands,
    "optional": check_optional,
}


def main() -> int:
    """Run every check; 0 if nothing that training needs is missing."""
    failed = False
    for name, check in CHECKS.items():
        try:
            print(f"ok       {name:<10} {check()}")
        except Missing as problem:
            failed = True
            print(f"MISSING  {name:<10} {problem}")
        except ImportError as problem:  # a check that builds on a failed one
            failed = True
            print(f"MISSING  {name:<10} {problem}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
