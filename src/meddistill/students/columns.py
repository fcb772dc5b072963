"""Bedside columns: the teacher reads every column of a table, the student those at hand.

Learning with privileged information: Lopez-Paz, Bottou, Schölkopf and Vapnik 2016,
arXiv:1511.03643.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from meddistill.config.compose import build
from meddistill.config.nearest import nearest
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.records import Records
from meddistill.errors import SettingError, UserError, integer, listed, number, shown, typed
from meddistill.students.ranked import RANKED, ranked
from meddistill.students.told import Told
from meddistill.teachers.targets import Targets

TEACHER = "teacher"
SEVERAL = 20
"""Names of columns in a line, at most."""


@dataclass(frozen=True)
class Choice:
    """The columns that a student reads, and why.

    Attributes:
        columns: Their names, in the table's order.
        told: Of those that were chosen, in the order taken: which share of the teacher's answers
            they tell together with those before; empty where the columns were named.
        alone: Of every column of the table, the largest first: the share that it tells by itself;
            empty likewise.
        costs: Of the columns that cost anything.
        scores: Of those that training rows alone have chosen, the largest first: what spoke for
            each; empty likewise.
        by: What that is.
    """

    columns: Sequence[str]
    told: Mapping[str, float] = field(default_factory=dict)
    alone: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    by: str = TEACHER

    @property
    def cost(self) -> float:
        """Of all columns read together."""
        return sum(self.costs.get(name, 0.0) for name in self.columns)

    def _ranked(self) -> str:
        first = list(self.scores.items())[:SEVERAL]
        scores = ", ".join(f"{shown(name)} {score:.3g}" for name, score in first)
        left = len(self.scores) - len(first)
        more = f" and {left} more" if left else ""
        count = len(self.scores)
        return f"by {self.by} in training rows the student reads {count}: {scores}{more}"

    def facts(self) -> dict[str, Any]:
        """Plain values, for a run's metrics."""
        return {**asdict(self), "cost": self.cost}

    def describe(self) -> str:
        """The columns, and how they were chosen where they were."""
        if self.scores:
            return f"columns: {self._ranked()}"
        if not self.told:
            return f"columns: the student reads {listed(self.columns, SEVERAL)}"
        names = list(self.told)
        shares = ", ".join(f"{shown(name)} {self.told[name]:.0%}" for name in names[:SEVERAL])
        more = f" and {len(names) - SEVERAL} more" if len(names) > SEVERAL else ""
        cost = f" at a cost of {self.cost:g}" if self.costs else ""
        return (
            f"columns: of {len(self.alone)} the student reads {len(names)}{cost}: {shares}{more} "
            "(share of the teacher's answers to validation rows that a column tells with those "
            "before it)"
        )


@dataclass(frozen=True)
class Columns:
    """Which columns of a table the student reads; all of them without a setting.

    Args:
        keep: These alone.
        most: So many at most: those that tell most of the teacher's answers.
        costs: Of columns by name, 0 or more; one that is not named costs nothing.
        budget: What the columns may cost together: of what it pays for, those that tell most.
        by: What chooses them: the `teacher`'s answers, or training rows alone by `variance`,
            `univariate` or `l1`.

    Raises:
        SettingError: A setting is out of its range, or two exclude each other.
    """

    keep: Sequence[str] | None = None
    most: int | None = None
    costs: Mapping[str, float] | None = None
    budget: float | None = None
    by: str = TEACHER

    def __post_init__(self) -> None:
        self._check_by()
        others = {key: getattr(self, key) for key in ("most", "budget", "costs")}
        given = [key for key, value in others.items() if value is not None]
        given += ["by"] if self.by != TEACHER else []
        if self.keep is not None:
            self._check_keep(given)
        if self.most is not None:
            integer("most", self.most, at_least=1)
        if self.budget is not None:
            number("budget", self.budget, at_least=0)
        for name, cost in (self.costs or {}).items():
            number(f"costs.{name}", cost, at_least=0)
        if not self.costs and self.budget is not None:
            mend = "pays for columns.costs, which names none: columns.costs={mri: 400, crp: 10}"
            raise SettingError("budget", self.budget, mend)
        if self.costs is not None and self.budget is None:
            raise SettingError("costs", self.costs, "nothing reads them without columns.budget")

    def _check_by(self) -> None:
        if self.by not in (TEACHER, *RANKED):
            raise SettingError("by", self.by, f"must be one of {', '.join((TEACHER, *RANKED))}")
        if self.by == TEACHER:
            return
        if self.costs is not None or self.budget is not None:
            mend = "knows no costs: columns.budget is for columns.by=teacher"
            raise SettingError("by", self.by, mend)
        if self.most is None and self.keep is None:
            raise SettingError("by", self.by, "chooses columns.most of them: say how many")

    def _check_keep(self, given: Sequence[str]) -> None:
        if isinstance(self.keep, str) or not isinstance(self.keep, Sequence):
            raise SettingError("keep", self.keep, f"must be a list: columns.keep=[{self.keep}]")
        if not self.keep:
            raise SettingError("keep", self.keep, "a student reads one column at least")
        if given:
            mend = f"names the columns, and columns.{given[0]} would choose them: leave one out"
            raise SettingError("keep", list(self.keep), mend)
        if twice := [name for name in self.kept if self.kept.count(name) > 1]:
            raise SettingError("keep", list(self.keep), f"{shown(twice[0])} is named twice")

    @property
    def kept(self) -> list[str]:
        """The columns named; one called 3 comes as a number."""
        return [str(name) for name in self.keep or ()]

    @property
    def asks_teacher(self) -> bool:
        """Whether the teacher's answers decide which columns are read."""
        return self.by == TEACHER and (self.most is not None or self.budget is not None)

    @property
    def are_all(self) -> bool:
        """Whether the student reads what the teacher reads."""
        return self.keep is None and self.most is None and self.budget is None

    def check_on(self, records: Records, data: Mapping[str, Any]) -> None:
        """Refuse what can't be of these rows, before a teacher is trained.

        Args:
            records: The rows.
            data: Settings of their source, which may name a column as something else.
        """
        if self.are_all:
            return
        there, costs = list(records.columns), self._costs()
        if not there:
            key, value = next((k, v) for k, v in asdict(self).items() if v is not None)
            mend = f"is of columns of a table, and these rows are {records.kind}: take columns=all"
            raise SettingError(f"columns.{key}", value, mend)
        for key, names in {"keep": self.kept, "costs": costs}.items():
            for name in names:
                if name not in there:
                    raise SettingError(f"columns.{key}", name, _no_column(name, there, data))
        if self.most is not None and self.most > len(there):
            mend = f"there are {len(there)} columns, and columns=all reads them all"
            raise SettingError("columns.most", self.most, mend)
        self._check_budget(there, costs)

    def _check_budget(self, there: Sequence[str], costs: Mapping[str, float]) -> None:
        """Refuse a budget that pays for no column, or for more than there is."""
        if self.budget is None:
            return
        total = sum(costs.values())
        if self.budget > total:
            mend = f"all columns cost {total:g}: leave columns.costs and columns.budget out"
            raise SettingError("columns.budget", self.budget, mend)
        cheapest = min(there, key=lambda name: costs.get(name, 0.0))
        if costs.get(cheapest, 0.0) > self.budget:
            mend = f"pays for no column: the cheapest, {shown(cheapest)}, costs {costs[cheapest]:g}"
            raise SettingError("columns.budget", self.budget, mend)

    def choose(self, told: Told) -> Choice:
        """The columns that tell most of the teacher's answers, of what the settings allow.

        They are taken one after the other, each time the one that adds most; with costs also by
        what it adds for its cost, and the better of both is kept (Leskovec et al. 2007,
        Cost-effective outbreak detection in networks, doi:10.1145/1281192.1281239).

        Raises:
            UserError: No column tells anything.
        """
        runs = [told.forward(self._allow, lambda _, gain: (gain, 0.0))]
        if self.costs:
            runs.append(told.forward(self._allow, self._for_its_cost))
        found = max(runs, key=lambda run: max(run.values(), default=0.0))
        if not found:
            raise UserError(
                f"columns: none of those that {self._said()} allows tells anything of the "
                "teacher's answers: name them (columns.keep), or take another teacher"
            )
        alone = told.alone()
        return Choice([name for name in told.columns if name in found], found, alone, self._costs())

    def _allow(self, names: Sequence[str]) -> bool:
        """Whether columns may be read together."""
        costs = self._costs()
        cost = sum(costs.get(name, 0.0) for name in names)
        within = self.budget is None or cost <= self.budget
        return within and (self.most is None or len(names) <= self.most)

    def _for_its_cost(self, name: str, gain: float) -> tuple[float, float]:
        """What a column adds for its cost; what costs nothing comes first."""
        cost = self._costs().get(name, 0.0)
        return (gain / cost if cost else math.inf), gain

    def _costs(self) -> dict[str, float]:
        return {str(name): float(cost) for name, cost in (self.costs or {}).items()}

    def _said(self) -> str:
        """The settings, as they are typed."""
        given = {key: value for key, value in asdict(self).items() if value is not None}
        return ", ".join(f"columns.{key}={typed(value)}" for key, value in given.items())


def _no_column(name: str, there: Sequence[str], data: Mapping[str, Any]) -> str:
    """What a name is that is none of the columns read."""
    for key, value in data.items():
        if name == value or (isinstance(value, list) and name in value):
            return f"data.{key} names it, so no model reads it"
    near = nearest(name, there)
    meant = f"; is {shown(near)} meant? The" if near else "; the"
    return f"no such column{meant} models read {listed(there, 20)}"


def build_columns(settings: Mapping[str, Any]) -> Columns:
    """Which columns the student of a resolved config reads, not chosen yet."""
    columns: Columns = build(settings["columns"], "columns")
    return columns


def chosen(columns: Columns, data: CohortDataModule, targets: Targets | None) -> Choice | None:
    """The columns that a student reads; None is all.

    Args:
        columns: What is asked for.
        data: The rows, whole.
        targets: The teacher, where it is asked.
    """
    if columns.are_all:
        return None
    if columns.asks_teacher and targets is not None:
        return columns.choose(Told(data, targets.log_probabilities))
    every = data.cohort.records.columns
    if columns.by != TEACHER and columns.most is not None:
        scores = ranked(columns.by, data, columns.most)
        return Choice([n for n in every if n in scores], scores=scores, by=columns.by)
    return Choice([name for name in every if name in columns.kept])


def columns_read(choice: Choice | None, data: CohortDataModule) -> dict[str, Any]:
    """`columns` of a run's metrics; nothing where the student reads all of them.

    Args:
        choice: The columns that it was trained with; None is all.
        data: The rows as it reads them; a card's are narrower than those it was trained with.
    """
    read = data.records.columns
    if choice is None and len(read) == len(data.cohort.records.columns):
        return {}
    return {"columns": replace(choice or Choice(()), columns=list(read)).facts()}
