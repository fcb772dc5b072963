"""Which layer of a teacher a student's layer has its part of, and which of its units."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.errors import SettingError
from meddistill.transfer.choose import Chooser
from meddistill.transfer.layers import Layer
from meddistill.transfer.wiring import Labels, Wiring

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Match:
    """A student's layer and the teacher's that it has its part of.

    Attributes:
        student: The student's layer.
        teacher: The teacher's; None where the student's keeps its own first weights.
        units: [units of the student's] the teacher's unit of each.
        channels: [channels that the student's reads] the teacher's channel of each.
        reason: Why there is none.
    """

    student: Layer
    teacher: Layer | None = None
    units: Places | None = None
    channels: Places | None = None
    reason: str = ""


class Matcher:
    """Follows both networks from their inputs on, layer by layer.

    A layer has a part of another where both are of one kind, the units that it reads have been
    taken from those that the other reads, and it has no more units than the other.

    Args:
        student: How units run through the student.
        teacher: Likewise.
        norms: By label the norm of each of the teacher's units.
        chooser: Which units are taken.
    """

    def __init__(
        self, student: Wiring, teacher: Wiring, norms: NDArray[np.float64], chooser: Chooser
    ) -> None:
        self.student, self.teacher, self.norms, self.choose = student, teacher, norms, chooser
        self.of = _of_inputs(student.inputs, teacher.inputs)
        pairs = zip(student.classes.tolist(), teacher.classes.tolist(), strict=True)
        self.of.update(pairs)
        """By label of the student's unit that of the teacher's."""

    @property
    def alike(self) -> bool:
        """Whether both networks have the same kinds of layers, in the same order."""
        own, others = ([(layer.kind, layer.steps) for layer in wiring.layers]
                       for wiring in (self.student, self.teacher))  # fmt: skip
        return own == others

    def matches(self, wanted: Mapping[str, str | None]) -> list[Match]:
        """A match for each of the student's layers.

        Networks with the same kinds of layers match one by one. Otherwise each layer takes the
        first one that fits after the one before took its own.

        Args:
            wanted: By the name of a student's layer the teacher's that is wanted for it, or None.

        Raises:
            SettingError: What is wanted does not fit.
        """
        self._check_names(wanted)
        found, after = [], 0
        for number, layer in enumerate(self.student.layers):
            if layer.name in wanted:
                match, taken = self._wanted(number, wanted[layer.name]), None
            else:
                places = [number] if self.alike else range(after, len(self.teacher.layers))
                match, taken = self._first(number, places)
            after = after if taken is None else taken + 1
            found.append(match)
        return found

    def _check_names(self, wanted: Mapping[str, str | None]) -> None:
        given = [(self.student, "the student", name) for name in wanted]
        given += [(self.teacher, "the teacher", name) for name in wanted.values() if name]
        for wiring, whose, name in given:
            names = [layer.name for layer in wiring.layers]
            if name not in names:
                mend = f"'{name}' is no layer of {whose}; there are {', '.join(names)}"
                raise SettingError("init.layers", dict(wanted), mend)

    def _wanted(self, number: int, name: str | None) -> Match:
        layer = self.student.layers[number]
        if name is None:
            return Match(layer, reason="init.layers")
        names = [each.name for each in self.teacher.layers]
        match = self._pair(number, names.index(name))
        if match.teacher is None:
            raise SettingError("init.layers", {layer.name: name}, match.reason)
        return match

    def _first(self, number: int, places: Iterable[int]) -> tuple[Match, int | None]:
        """The first of the teacher's layers that fits, or why the first of its kind does not."""
        layer = self.student.layers[number]
        reason = ""
        for place in places:
            other = self.teacher.layers[place]
            alike = (other.kind, other.steps) == (layer.kind, layer.steps)
            if not alike or self.student.ends(number) != self.teacher.ends(place):
                continue
            match = self._pair(number, place)
            if match.teacher is not None:
                return match, place
            reason = reason or match.reason
        return Match(layer, reason=reason or "the teacher has no further layer of its kind"), None

    def _pair(self, number: int, place: int) -> Match:
        """A student's layer with one of the teacher's, or why not; its units are chosen."""
        own, other = self.student.layers[number], self.teacher.layers[place]
        if own.kind != other.kind or self.student.ends(number) != self.teacher.ends(place):
            return Match(own, reason=f"{other.name} is of another kind")
        read = _places(self.student.reads[number], self.teacher.reads[place], self.of)
        if read is None:
            return Match(own, reason=f"{other.name} reads units that were not taken")
        try:
            new = self._taken(number, place, read)
        except _MisfitError as misfit:
            return Match(own, reason=str(misfit))
        gives = _places(self.student.gives[number], self.teacher.gives[place], {**self.of, **new})
        if gives is None or not _in_groups(own, other, gives, read):
            return Match(own, reason=f"its units go together otherwise than {other.name}'s")
        self.of.update(new)
        return Match(own, other, gives, read)

    def _taken(self, number: int, place: int, read: Places) -> dict[int, int]:
        """The teacher's unit for each of a layer's units that has none yet."""
        own, others = (list(dict.fromkeys(wiring.gives[at].tolist())) for wiring, at in
                       ((self.student, number), (self.teacher, place)))  # fmt: skip
        name = self.teacher.layers[place].name
        missing = [unit for unit in own if unit not in self.of]
        if not missing:
            return {}
        if len(missing) < len(own):
            raise _MisfitError("only some of its units go with those of layers before")
        together = [len(wiring.gives[at]) / len(units) for wiring, at, units in
                    ((self.student, number, own), (self.teacher, place, others))]  # fmt: skip
        if together[0] != together[1]:
            by = [f"{count:g}" for count in together]
            raise _MisfitError(f"its units come by {by[0]}, and those of {name} by {by[1]}")
        if len(own) > len(others):
            raise _MisfitError(f"it has {len(own)} units, and {name} has {len(others)}")
        chosen: list[int] = []
        for count, part in self._blocks(number, place, own, others, read):
            norms = self.norms[[others[at] for at in part]]
            if count > len(part):
                raise _MisfitError(
                    f"its groups have {count} units, and those of {name} {len(part)}"
                )
            chosen += [others[part[at]] for at in self.choose(count, norms, "units", number,
                                                              len(chosen))]  # fmt: skip
        return dict(zip(own, chosen, strict=True))

    def _blocks(
        self, number: int, place: int, own: list[int], others: list[int], read: Places
    ) -> list[tuple[int, list[int]]]:
        """How many of which of `others` are chosen: of each group where units come in groups."""
        layer, other = self.student.layers[number], self.teacher.layers[place]
        if layer.groups > 1:  # its channels have been taken, and with them their groups
            first = read[:: layer.inputs // layer.groups] // (other.inputs // other.groups)
            return _cut(len(own) // layer.groups, first.tolist(), len(others) // other.groups)
        groups, among = _groups(self.student, own), _groups(self.teacher, others)
        if groups == 1 or among == 1:
            return [(len(own), list(range(len(others))))]
        if groups > among:
            raise _MisfitError(f"they are read in {groups} groups, and the teacher's in {among}")
        size = len(others) // among
        norms = [self.norms[others[at * size : (at + 1) * size]].sum() for at in range(among)]
        chosen = self.choose(groups, norms, "groups", number).tolist()
        return _cut(len(own) // groups, chosen, size)


class _MisfitError(Exception):
    """Why a layer can't have a part of another."""


def _of_inputs(own: Labels, others: Labels) -> dict[int, int]:
    """By label of the student's inputs that of the teacher's: those of exactly the same numbers."""
    pairs = np.unique(np.stack([own, others]), axis=1)
    alone = [Counter(pairs[side].tolist()) for side in (0, 1)]
    return {one: other for one, other in pairs.T.tolist() if alone[0][one] == alone[1][other] == 1}


def _places(own: Labels, others: Labels, of: Mapping[int, int]) -> Places | None:
    """Where each of `own` is among `others`; None unless every unit is there as often.

    A unit that is there several times (the mean and the maximum of its states) keeps their order.
    """
    at: defaultdict[Any, list[int]] = defaultdict(list)
    for place, label in enumerate(others.tolist()):
        at[label].append(place)
    seen: Counter[Any] = Counter()
    found = []
    for label in own.tolist():
        places = at[of.get(label)]
        if seen[label] == len(places):
            return None
        found.append(places[seen[label]])
        seen[label] += 1
    if any(count != len(at[of[label]]) for label, count in seen.items()):
        return None
    return np.array(found, dtype=np.int64)


def _in_groups(own: Layer, other: Layer, units: Places, read: Places) -> bool:
    """Whether each of the units reads channels of the teacher's same unit alone."""
    size, others = own.inputs // own.groups, other.inputs // other.groups
    if own.groups == other.groups == 1 or own.follows:
        return True
    group = np.arange(own.units) // (own.units // own.groups)
    of_unit = units // (other.units // other.groups)
    of_read = read.reshape(own.groups, size) // others
    return bool((of_read[group] == of_unit[:, None]).all())


def _groups(wiring: Wiring, units: Sequence[int]) -> int:
    """Groups in which these units are read, one after the other; 1 where they are not."""
    for layer, read in zip(wiring.layers, wiring.reads, strict=True):
        if layer.groups > 1 and read.tolist() == list(units):
            return layer.groups
    return 1


def _cut(count: int, groups: Iterable[int], size: int) -> list[tuple[int, list[int]]]:
    """`count` of each of the groups of `size` numbers."""
    return [(count, list(range(group * size, (group + 1) * size))) for group in groups]
