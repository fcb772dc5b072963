"""A network of gene sets: a unit is a set, joined to the genes, or the smaller sets, in it."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from meddistill.data.preprocessing import Features
from meddistill.errors import SettingError, UserError, integer, number
from meddistill.models.gene_sets import GeneSets, Level, gene_sets, read_gmt, read_hierarchy
from meddistill.once import NOTE

log = logging.getLogger(__name__)


class Pathway(nn.Module):
    """The network of Elmarakeby et al. 2021 (P-NET, doi:10.1038/s41586-021-03922-4).

    The first hidden layer is gene sets, each joined to its own genes alone; with a hierarchy,
    further layers are the larger sets that they lie within. Units are tanh. Each layer gives logits
    by a linear head of its own, and the answer is their mean.

    Args:
        in_shape: (features,), with the column of each (`Features`) where files are read.
        num_classes: Number of logits.
        gmt: File of gene sets by their columns' names (GMT).
        hierarchy: File of pairs, a larger set and one within it; null for one layer.
        fewest: Columns of the table that a set needs.
        dropout: Probability that a set is left out in training, at most 0.9.
        sets: Names by layer, in place of the files: what a model's folder says.
        joined: Numbers of connections by layer, likewise.

    Raises:
        UserError: A file can't be read, or has nothing of the table's columns.
    """

    reads: ClassVar[str] = "vector"

    def __init__(
        self,
        in_shape: Sequence[int],
        num_classes: int,
        gmt: str | None = None,
        hierarchy: str | None = None,
        fewest: int = 1,
        dropout: float = 0.0,
        sets: Sequence[Sequence[str]] | None = None,
        joined: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        integer("fewest", fewest, at_least=1)
        number("dropout", dropout, at_least=0, at_most=0.9)
        if sets is None and joined is None:
            found = _sets_of(in_shape, gmt, hierarchy, fewest)
            layers = [Joined(*pair) for pair in _joined(in_shape, found.levels)]
            sets = [level.names for level in found.levels]
        elif isinstance(in_shape, Features) or sets is None or joined is None:
            raise SettingError("sets", sets, "is a model folder's own: gmt names the file of sets")
        else:
            layers = _unread(in_shape[0], sets, joined)
        self.sets = [list(names) for names in sets]
        self.layers = nn.ModuleList(layers)
        self.heads = nn.ModuleList(nn.Linear(len(names), num_classes) for names in self.sets)
        self.dropout = nn.Dropout(dropout)
        self.fewest = fewest

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, features] -> logits [batch, classes]."""
        layers = self.activations(inputs)
        logits = [head(self.dropout(each)) for head, each in zip(self.heads, layers, strict=True)]
        return torch.stack(logits).mean(dim=0)

    def activations(self, inputs: Tensor) -> list[Tensor]:
        """[batch, features] -> by layer [batch, sets] from -1 to 1."""
        found = []
        for layer in self.layers:
            inputs = layer(inputs).tanh()
            found.append(inputs)
        return found

    @property
    def plain(self) -> dict[str, Any]:
        """Settings of the same network without its files, for a model's folder."""
        joined = [layer.weight.numel() for layer in self.layers if isinstance(layer, Joined)]
        own = {"sets": self.sets, "joined": joined, "gmt": None, "hierarchy": None}
        return {**own, "dropout": self.dropout.p, "fewest": self.fewest}


class Joined(nn.Module):
    """A linear layer whose units read some of the inputs each.

    Args:
        inputs: Number of them.
        members: [units] places of the inputs that each unit reads.
    """

    places: Tensor
    starts: Tensor

    def __init__(self, inputs: int, members: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.inputs = inputs
        counts = torch.tensor([len(each) for each in members])
        places = torch.tensor([place for each in members for place in each], dtype=torch.int32)
        self.register_buffer("places", places)
        self.register_buffer("starts", (counts.cumsum(0) - counts).int())
        bounds = [1 / math.sqrt(max(1, len(each))) for each in members]
        spread = torch.tensor([b for b, each in zip(bounds, members, strict=True) for _ in each])
        self.weight = nn.Parameter((2 * torch.rand(len(places)) - 1) * spread)
        self.bias = nn.Parameter((2 * torch.rand(len(members)) - 1) * torch.tensor(bounds))
        self.register_load_state_dict_post_hook(_check_places)  # type: ignore[no-untyped-call]

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, inputs] -> [batch, units]."""
        found = embedding_bag(
            self.places, inputs.T.contiguous(), self.starts, mode="sum",
            per_sample_weights=self.weight.to(inputs.dtype),
        )  # fmt: skip
        return found.T + self.bias


def _check_places(layer: nn.Module, _: object) -> None:
    """Refuse connections to inputs that are not there, which a file may hold."""
    assert isinstance(layer, Joined)
    places, starts = layer.places, layer.starts
    inside = bool(((places >= 0) & (places < layer.inputs)).all())
    rising = int(starts[0]) == 0 and bool((starts.diff() >= 0).all())
    if not (inside and rising and int(starts[-1]) <= len(places)):
        raise ValueError("a gene set is joined to an input that is not there")


def _sets_of(
    in_shape: Sequence[int], gmt: str | None, hierarchy: str | None, fewest: int
) -> GeneSets:
    """The sets of files over the columns that inputs are of."""
    if gmt is None:
        raise SettingError("gmt", gmt, "names the file of gene sets: give it a path")
    if not isinstance(in_shape, Features):
        raise UserError(
            "a pathway network reads columns of a table by their names, and these rows have none"
        )
    read = read_gmt(gmt)
    parents = {} if hierarchy is None else read_hierarchy(hierarchy, read)
    found = gene_sets(list(dict.fromkeys(in_shape.columns)), read.sets, parents, fewest)
    log.info("%s", found.describe(), **NOTE)
    return found


def _joined(
    in_shape: Sequence[int], levels: Sequence[Level]
) -> Iterator[tuple[int, Sequence[Sequence[int]]]]:
    """By layer the number of its inputs, and which of them each set reads.

    All inputs of a column (its number, whether it is missing) join the column's sets.
    """
    assert isinstance(in_shape, Features)
    inputs: dict[str, list[int]] = {}
    for place, name in enumerate(in_shape.columns):
        inputs.setdefault(name, []).append(place)
    of_column = list(inputs.values())
    genes = levels[0].members
    yield in_shape[0], [sorted(at for each in own for at in of_column[each]) for own in genes]
    for below, level in pairwise(levels):
        yield len(below.names), level.members


def _unread(inputs: int, sets: Sequence[Sequence[str]], joined: Sequence[int]) -> list[Joined]:
    """Layers of those sizes, whose connections are among the weights that will be loaded."""
    if not sets or len(sets) != len(joined) or not all(sets) or min(joined) < 1:
        raise ValueError("its gene sets and their connections are not of as many layers")
    widths = [inputs, *map(len, sets)]
    return [
        Joined(width, [[0] * count, *[[]] * (len(names) - 1)])
        for width, count, names in zip(widths, joined, sets, strict=False)
    ]
