"""The log of a training, for tests that compare two of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def log_of(outdir: Path) -> list[dict[str, Any]]:
    """Its rows without the times, which no two trainings share."""
    rows = json.loads((outdir / "log").read_text())
    return [{k: v for k, v in row.items() if not k.endswith("_time")} for row in rows]
