"""The attentions of the RNN decoder by the names that ``--atype`` takes."""

from __future__ import annotations

from collections.abc import Callable

from espnet.nets.pytorch_backend.rnn.attentions.base import Attention, AttentionSizes
from espnet.nets.pytorch_backend.rnn.attentions.content import (
    AdditiveAttention,
    DotAttention,
    NoAttention,
)
from espnet.nets.pytorch_backend.rnn.attentions.location import (
    CoverageAttention,
    CoverageLocationAttention,
    Location2dAttention,
    LocationAttention,
    LocationRecurrentAttention,
)
from espnet.nets.pytorch_backend.rnn.attentions.multi_head import (
    MultiHeadAddAttention,
    MultiHeadDotAttention,
    multi_head_loc,
    multi_head_multi_res_loc,
)

ATTENTIONS: dict[str, Callable[[AttentionSizes], Attention]] = {
    "noatt": NoAttention,
    "dot": DotAttention,
    "add": AdditiveAttention,
    "location": LocationAttention,
    "location2d": Location2dAttention,
    "location_recurrent": LocationRecurrentAttention,
    "coverage": CoverageAttention,
    "coverage_location": CoverageLocationAttention,
    "multi_head_dot": MultiHeadDotAttention,
    "multi_head_add": MultiHeadAddAttention,
    "multi_head_loc": multi_head_loc,
    "multi_head_multi_res_loc": multi_head_multi_res_loc,
}
