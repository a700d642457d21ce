"""Weights of one vocabulary for a model of another: the same token, the same row."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from espnet.utils.errors import UserError

SHOWN = 10  # tokens that are named
# what has a row for each token: output layers and embeddings; or a column
_ROWS = re.compile(
    r"^(ctc\.ctc_lo|dec\.output|decoder\.output_layer|dec(oder)?\.embed(\.0)?|"
    r"transducer_tasks\.(joint_network\.lin_out|ctc_lin|lm_lin))\.(weight|bias)$"
)
_COLUMNS = re.compile(r"\.conditioning_layer\.weight$")


@dataclass(frozen=True)
class TokenMap:
    """Which tokens a donor and a model share.

    Attributes:
        source: file of the donor's weights.
        theirs: the donor's tokens by id.
        ours: the model's.
    """

    source: str
    theirs: Sequence[str]
    ours: Sequence[str]

    @classmethod
    def of(cls, path: str, ours: Sequence[str]) -> TokenMap:
        """The map for weights at ``path``, whose model.json lies beside them.

        Raises:
            UserError: there is none, or it names no tokens.
        """
        return cls(path, _tokens_of(Path(path).parent / "model.json"), ours)

    def apply(
        self, weights: Mapping[str, Tensor], have: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Weights with the model's rows: the donor's where a token is shared.

        Args:
            weights: of the donor, by the names that the model has for them.
            have: of the model.
        """
        ids = {token: number for number, token in enumerate(self.theirs)}
        pairs = [(new, ids[t]) for new, t in enumerate(self.ours) if t in ids]
        rows, sources = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
        mapped = dict(weights)
        for name, value in weights.items():
            own = have.get(name)
            axis = 0 if _ROWS.match(name) else 1 if _COLUMNS.search(name) else None
            if own is None or axis is None or not self._fit(value, own, axis):
                continue
            shared = value.to(own).index_select(axis, sources)
            mapped[name] = own.index_copy(axis, rows, shared)
        return mapped

    def _fit(self, value: Tensor, own: Tensor, axis: int) -> bool:
        """Whether the shapes differ, at most, by the vocabularies."""
        theirs, ours = list(value.shape), list(own.shape)
        sizes = theirs.pop(axis), ours.pop(axis)
        return sizes == (len(self.theirs), len(self.ours)) and theirs == ours

    def __str__(self) -> str:
        """Which tokens start from the donor, and which do not."""
        known = set(self.theirs)
        shared = [token for token in self.ours if token in known]
        new = [token for token in self.ours if token not in known]
        return (
            f"tokens of {self.source}: {len(shared)} of the model's {len(self.ours)} "
            f"are known there: {_named(shared)}; at random: {_named(new)}"
        )


def _named(tokens: Sequence[str]) -> str:
    more = f" and {len(tokens) - SHOWN} more" if len(tokens) > SHOWN else ""
    return " ".join(tokens[:SHOWN]) + more if tokens else "none"


def _tokens_of(path: Path) -> list[str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        values = content[-1] if isinstance(content, list) else content
        if "char_list" in values:
            return [str(token) for token in values["char_list"]]
        ids: dict[str, int] = values["char_list_dict"]  # of a language model
        return sorted(ids, key=ids.__getitem__)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise UserError(
            f"init-map-tokens: {path}: cannot be read, or names no tokens; it must lie "
            "beside the weights to tell which token each row is of"
        ) from None
