"""Bedside columns: the teacher reads every column of a table, the student those at hand.

Learning with privileged information: Lopez-Paz, Bottou, Schölkopf and Vapnik 2016,
arXiv:1511.03643.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from meddistill.config.compose import build
from meddistill.config.nearest import nearest
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.records import Records
from meddistill.errors import SettingError, UserError, integer, listed, number, shown
from meddistill.evaluation.fidelity import kl_from_teacher
from meddistill.seeding import derive
from meddistill.teachers.base import Teacher
from meddistill.teachers.targets import Targets

log = logging.getLogger(__name__)
DEALS, MOST_ROWS = 10, 10_000
"""How often a column is dealt out anew, and changed rows that a teacher answers for it at most."""
SEVERAL = 20
"""Names of columns in a line, at most."""


@dataclass(frozen=True)
class Choice:
    """The columns that a student reads, and why.

    Attributes:
        columns: Their names, in the table's order.
        importance: Of every column of the table, the largest first: how much the teacher's answers
            rest on it; empty where the columns were named.
        costs: Of the columns that cost anything.
    """

    columns: Sequence[str]
    importance: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """Of all columns read together."""
        return sum(self.costs.get(name, 0.0) for name in self.columns)

    def facts(self) -> dict[str, Any]:
        """Plain values, for a run's metrics."""
        return {**asdict(self), "cost": self.cost}

    def describe(self) -> str:
        """The columns, with their importance where they were chosen by it."""
        if not self.importance:
            return f"columns: the student reads {listed(self.columns, SEVERAL)}"
        names = [name for name in self.importance if name in self.columns]
        shares = ", ".join(f"{shown(name)} {self.importance[name]:.3g}" for name in names[:SEVERAL])
        more = f" and {len(names) - SEVERAL} more" if len(names) > SEVERAL else ""
        cost = f" at a cost of {self.cost:g}" if self.costs else ""
        return (
            f"columns: of {len(self.importance)} the student reads {len(names)}{cost}: "
            f"{shares}{more} (nats by which the teacher's answers to validation rows change where "
            "a column's cells are dealt out anew)"
        )


@dataclass(frozen=True)
class Columns:
    """Which columns of a table the student reads; all of them without a setting.

    Args:
        keep: These alone.
        most: So many at most: those on which the teacher's answers rest most.
        costs: Of columns by name, 0 or more; one that is not named costs nothing.
        budget: What the columns may cost together; of what it pays for, those on which the
            teacher's answers rest most.

    Raises:
        SettingError: A setting is out of its range, or two exclude each other.
    """

    keep: Sequence[str] | None = None
    most: int | None = None
    costs: Mapping[str, float] | None = None
    budget: float | None = None

    def __post_init__(self) -> None:
        others = {key: getattr(self, key) for key in ("most", "budget", "costs")}
        given = [key for key, value in others.items() if value is not None]
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
        return self.most is not None or self.budget is not None

    @property
    def are_all(self) -> bool:
        """Whether the student reads what the teacher reads."""
        return self.keep is None and not self.asks_teacher

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
            mend = f"is of columns of a table, and these rows are {records.kind}: take columns=all"
            raise SettingError("columns", self._said(), mend)
        for key, names in {"keep": self.kept, "costs": costs}.items():
            for name in names:
                if name not in there:
                    raise SettingError(f"columns.{key}", name, _no_column(name, there, data))
        if self.most is not None and self.most > len(there):
            mend = f"there are {len(there)} columns, and columns=all reads them all"
            raise SettingError("columns.most", self.most, mend)
        cheapest = min(there, key=lambda name: costs.get(name, 0.0))
        if self.budget is not None and costs.get(cheapest, 0.0) > self.budget:
            mend = f"pays for no column: the cheapest, {shown(cheapest)}, costs {costs[cheapest]:g}"
            raise SettingError("columns.budget", self.budget, mend)

    def choose(self, there: Sequence[str], importance: Mapping[str, float]) -> Choice:
        """The columns of the largest importance together that the settings allow.

        A column on which no answer rests is not read.

        Args:
            there: The table's columns.
            importance: Of each of them, 0 or more.
        """
        if self.keep is not None:
            return Choice([name for name in there if name in self.kept])
        from scipy.optimize import Bounds, LinearConstraint, milp

        costs = self._costs()
        values = np.array([importance[name] for name in there])
        largest = max(values.max(), np.finfo(float).tiny)
        limits = [LinearConstraint(np.ones(len(there)), ub=self.most or len(there))]
        if self.budget is not None:
            prices = [costs.get(name, 0.0) for name in there]
            limits.append(LinearConstraint(np.array(prices), ub=self.budget))
        found = milp(
            -values / largest, integrality=np.ones(len(there)), bounds=Bounds(0, 1),
            constraints=limits, options={"mip_rel_gap": 0.0},
        )  # fmt: skip
        taken = (found.x > 0.5) & (values > 0)
        if not taken.any():
            raise UserError(
                f"columns: the teacher's answers rest on none of the columns that {self._said()} "
                "allows: name them (columns.keep), or take another teacher"
            )
        ordered = dict(sorted(importance.items(), key=lambda item: -item[1]))
        chosen = [name for name, is_read in zip(there, taken, strict=True) if is_read]
        return Choice(chosen, ordered, costs)

    def _costs(self) -> dict[str, float]:
        return {str(name): float(cost) for name, cost in (self.costs or {}).items()}

    def _said(self) -> str:
        """The settings, as they are typed."""
        given = {key: value for key, value in asdict(self).items() if value is not None}
        return ", ".join(f"columns.{key}={value}" for key, value in given.items())


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


def check_asked(columns: Columns, teacher: Teacher) -> None:
    """Refuse a choice by a teacher that can't be asked for it.

    Raises:
        SettingError: It is asked about changed rows, and has answers for its own alone.
    """
    if columns.asks_teacher and not teacher.answers_new_rows:
        key, value = ("most", columns.most) if columns.most else ("budget", columns.budget)
        mend = "a choice asks the teacher about changed rows, and this one is answers alone: name "
        raise SettingError(f"columns.{key}", value, mend + "the columns (columns.keep=[...])")


class Importances:
    """How much the answers of many teachers rest on each column, each worked out once."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, float]] = {}

    def of(self, targets: Targets, data: CohortDataModule) -> dict[str, float]:
        """By column, in nats: permutation importance of a teacher's answers to validation rows.

        The mean Kullback-Leibler divergence of its answers to rows of which the column's cells
        were dealt out anew, from its answers to the rows as they are (as Breiman 2001, Random
        Forests, has it for errors). No label is read, and no test row. Every column is dealt out
        alike, so that chance has its say in none more than in another.
        """
        if targets.key not in self._known:
            self._known[targets.key] = _importances(targets, data)
        return self._known[targets.key]


def _importances(targets: Targets, data: CohortDataModule) -> dict[str, float]:
    random = np.random.default_rng(derive(0, "columns"))
    held = data.split.validation
    held = held[np.sort(random.permutation(len(held))[:MOST_ROWS])]
    deals = max(1, min(DEALS, MOST_ROWS // len(held)))
    rows = data.cohort.records.take(np.tile(held, deals))
    places = [random.permutation(len(held)) + deal * len(held) for deal in range(deals)]
    order, model = np.concatenate(places), targets.model()
    own = np.exp(model.log_probabilities(rows))
    return {
        name: kl_from_teacher(np.exp(model.log_probabilities(rows.dealt(name, order))), own)
        for name in rows.columns
    }


def read_chosen(
    columns: Columns, data: CohortDataModule, targets: Targets | None, importances: Importances
) -> tuple[CohortDataModule, Choice | None]:
    """The rows as a student with these columns reads them, and which they are; None is all.

    Args:
        columns: What is asked for.
        data: The rows, whole.
        targets: The teacher, where it is asked.
        importances: Where what is known of teachers is kept.
    """
    if columns.are_all:
        return data, None
    known = importances.of(targets, data) if targets is not None and columns.asks_teacher else {}
    choice = columns.choose(list(data.cohort.records.columns), known)
    return data.with_columns(choice.columns), choice


def columns_read(choice: Choice | None) -> dict[str, Any]:
    """`columns` of a run's metrics; nothing where the student reads all of them."""
    return {} if choice is None else {"columns": choice.facts()}
