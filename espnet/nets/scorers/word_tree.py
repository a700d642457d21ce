"""The words of a word language model, spelled in the tokens of a recogniser."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

ROOT = 0  # no letter read
OUTSIDE = -1  # no word begins so


class WordTree:
    """A tree whose edges are tokens and whose nodes are beginnings of words.

    All tables are on one device; ``to`` moves them.

    Attributes:
        sorted_ids: ids of the words in the order of their spelling (W').
        low, high: of each node, ``sorted_ids[low:high]`` are the words that begin so,
            and those between them.
        word: of each node, the place in ``sorted_ids`` of the word that ends there, or
            -1.

    Args:
        words: word -> id.
        tokens: token -> id; a word with another character is left out of the tree.
        special: words that are none.
    """

    def __init__(
        self, words: Mapping[str, int], tokens: Mapping[str, int], special: set[str]
    ) -> None:
        spelled = sorted(word for word in words if word and word not in special)
        self.sorted_ids = torch.tensor([words[w] for w in spelled], dtype=torch.long)
        self.vocabulary = max(tokens.values()) + 1
        low, high, ends = [0], [len(spelled)], [-1]
        children: dict[int, int] = {}  # node * V + token -> node
        for place, word in enumerate(spelled):
            if not all(character in tokens for character in word):
                continue
            node = ROOT
            for character in word:
                key = node * self.vocabulary + tokens[character]
                node = children.setdefault(key, len(low))
                if node == len(low):
                    low.append(place)
                    high.append(place)
                    ends.append(-1)
                high[node] = place + 1
            ends[node] = place
        self.low, self.high, self.word = (torch.tensor(t) for t in (low, high, ends))
        keys = sorted(children)
        self.keys = torch.tensor(keys, dtype=torch.long)
        self.child = torch.tensor([children[k] for k in keys], dtype=torch.long)
        nodes = torch.arange(len(low) + 1) * self.vocabulary
        self.first = torch.searchsorted(self.keys, nodes)

    def to(self, device: torch.device) -> WordTree:
        """The same, its tables on a device."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))
        return self

    def step(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """The nodes (N,) behind ``nodes`` and one token each, ``OUTSIDE`` for none."""
        if not len(self.keys):
            return torch.full_like(nodes, OUTSIDE)
        wanted = nodes * self.vocabulary + tokens
        place = torch.searchsorted(self.keys, wanted).clamp(max=len(self.keys) - 1)
        there = (self.keys[place] == wanted) & (nodes != OUTSIDE)
        return torch.where(there, self.child[place], OUTSIDE)

    def children(self, nodes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All edges that leave nodes (N,), none of them ``OUTSIDE``.

        Returns:
            Of each edge its row in ``nodes``, its token, and the node behind it.
        """
        first = self.first[nodes]
        counts = self.first[nodes + 1] - first
        rows = torch.arange(len(nodes), device=nodes.device).repeat_interleave(counts)
        before = counts.cumsum(0) - counts
        inside = torch.arange(len(rows), device=nodes.device) - before[rows]
        places = first[rows] + inside
        return rows, self.keys[places] % self.vocabulary, self.child[places]
