"""Gene sets as the levels of a network: which genes join which set, and which sets a larger one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from meddistill.config.identity import from_call
from meddistill.errors import UserError, listed, shown

SEVERAL = 5
"""Names in a line, at most."""
LONGEST = 200
"""Letters of a set's name: no longer text is read from a model's folder."""


@dataclass(frozen=True)
class Level:
    """One layer of sets.

    Attributes:
        names: [sets] in the order of the alphabet.
        members: [sets] places of what each is made of, in the level below it, in order.
    """

    names: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class GeneSets:
    """Sets of columns, and what could not be joined.

    Attributes:
        levels: From the columns upwards; the members of the first are places of columns.
        alone: Columns that no set has.
        empty: Sets that have fewer columns than are asked for.
    """

    levels: tuple[Level, ...]
    alone: tuple[str, ...]
    empty: tuple[str, ...]

    def describe(self) -> str:
        """Sizes of the levels, and what was left out."""
        sizes = " and ".join(f"{len(level.names):,}" for level in self.levels)
        left = {
            "columns are in no set and are not read": self.alone,
            "sets have too few of the columns": self.empty,
        }
        said = [
            f"{len(names):,} {what} ({listed(names, SEVERAL)})"
            for what, names in left.items() if names
        ]  # fmt: skip
        return f"pathway: {sizes} sets; " + ("; ".join(said) or "no column or set is left out")


@dataclass(frozen=True)
class Gmt:
    """A GMT file: a line a set, its name, a description and its genes, with tabs between them.

    Attributes:
        sets: Genes by name.
        named: Names by description, where that is of one set alone: Reactome's are identifiers.
    """

    sets: Mapping[str, tuple[str, ...]]
    named: Mapping[str, str]


def read_gmt(path: str) -> Gmt:
    """The gene sets of a file.

    Raises:
        UserError: The file can't be read, or a line is no set; it says which.
    """
    sets: dict[str, tuple[str, ...]] = {}
    described: dict[str, list[str]] = {}
    for number, cells in _lines(path, "a GMT file of gene sets"):
        name, genes = cells[0], tuple(dict.fromkeys(gene for gene in cells[2:] if gene))
        if not name or not genes or len(name) > LONGEST:
            raise UserError(
                f"{path}: line {number} is no gene set: it needs a name of at most {LONGEST} "
                "letters, a description and at least one gene, with tabs between them"
            )
        if name in sets:
            raise UserError(f"{path}: line {number}: the set {shown(name)} is there twice")
        sets[name] = genes
        described.setdefault(cells[1], []).append(name)
    if not sets:
        raise UserError(f"{path}: no gene set is in it")
    return Gmt(sets, {text: names[0] for text, names in described.items() if len(names) == 1})


def read_hierarchy(path: str, gmt: Gmt) -> dict[str, tuple[str, ...]]:
    """Larger sets by set, from a file of two columns by tabs, the larger set and one within it.

    It is the order of Reactome's file of relations, which has every species and names sets by
    the descriptions of the GMT file. Pairs that lead to none of the sets are left out.

    Raises:
        UserError: The file can't be read, a line is no pair, no pair is known, or a set is above
            itself.
    """
    parents: dict[str, list[str]] = {}
    for number, cells in _lines(path, "a file of pairs, a larger set and one within it"):
        if len(cells) != 2 or not all(cells):
            raise UserError(
                f"{path}: line {number} is no pair: it needs a larger set and one within it, with "
                "a tab between them"
            )
        larger, within = (cell if cell in gmt.sets else gmt.named.get(cell, cell) for cell in cells)
        if larger not in parents.setdefault(within, []):
            parents[within].append(larger)
    known = _above({name for name in gmt.sets if name in parents}, parents)
    if not known:
        raise UserError(f"{path}: none of its sets is one of the gene sets; names must be the same")
    _check_acyclic(known, path)
    return known


def _above(
    start: Iterable[str], parents: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Of sets, and all above them, those that each lies within."""
    found: dict[str, tuple[str, ...]] = {}
    waiting = sorted(start)
    while waiting:
        name = waiting.pop()
        if name not in found and name in parents:
            found[name] = tuple(parents[name])
            waiting += parents[name]
    return found


def _check_acyclic(parents: Mapping[str, Sequence[str]], path: str) -> None:
    from graphlib import CycleError, TopologicalSorter

    try:
        TopologicalSorter(parents).prepare()
    except CycleError as error:
        raise UserError(f"{path}: a set lies within itself: {listed(error.args[1], 9)}") from error


def gene_sets(
    columns: Sequence[str],
    sets: Mapping[str, Sequence[str]],
    parents: Mapping[str, Sequence[str]],
    fewest: int,
) -> GeneSets:
    """The levels of sets over columns.

    A column joins the smallest sets that have it: those within which no other one of them lies.
    Each level then joins the larger sets above it; what is of no larger one goes on as it is, so
    that the last level has all that is above everything (Elmarakeby et al. 2021 copy pathways
    likewise, doi:10.1038/s41586-021-03922-4).

    Args:
        columns: Names, of genes as the sets spell them.
        sets: Genes by set.
        parents: Larger sets by set; none without a hierarchy.
        fewest: Columns that a set needs.

    Raises:
        UserError: No set has as many of the columns.
    """
    place = {name: number for number, name in enumerate(columns)}
    known = {name: {place[gene] for gene in genes if gene in place} for name, genes in sets.items()}
    held = {name: genes for name, genes in known.items() if len(genes) >= fewest}
    if not held:
        raise UserError(_no_set(columns, sets, known, fewest))
    first = {name: genes for name, genes in _smallest(held, parents).items() if genes}
    levels = [_level(first)]
    while (above := _next(levels[-1], parents)) is not None:
        levels.append(above)
    read = set().union(*first.values())
    return GeneSets(
        tuple(levels),
        tuple(name for name in columns if place[name] not in read),
        tuple(name for name in sets if name not in held),
    )


def _no_set(
    columns: Sequence[str],
    sets: Mapping[str, Sequence[str]],
    known: Mapping[str, set[int]],
    fewest: int,
) -> str:
    largest = max(map(len, known.values()))
    if largest:
        return f"no gene set has {fewest} of the table's columns; the largest has {largest}"
    genes = next(iter(sets.values()))
    return (
        "no gene of the sets is a column of the table: they have genes such as "
        f"{listed(genes, 3)}, and the table columns such as {listed(columns, 3)}"
    )


def _smallest(
    held: Mapping[str, set[int]], parents: Mapping[str, Sequence[str]]
) -> dict[str, set[int]]:
    """Columns by set, without those that a set within it has too."""
    own = {name: set(genes) for name, genes in held.items()}
    for name, genes in held.items():
        for larger in set().union(*_above([name], parents).values()) & set(own):
            own[larger] -= genes
    return own


def _next(level: Level, parents: Mapping[str, Sequence[str]]) -> Level | None:
    """The level above; None where every set of this one is of no larger set."""
    members: dict[str, set[int]] = {}
    for place, name in enumerate(level.names):
        for larger in parents.get(name, (name,)):
            members.setdefault(larger, set()).add(place)
    for place, name in enumerate(level.names):
        if name in members:
            members[name].add(place)
    return None if set(members) == set(level.names) else _level(members)


def _level(members: Mapping[str, set[int]]) -> Level:
    names = tuple(sorted(members))
    return Level(names, tuple(tuple(sorted(members[name])) for name in names))


def _lines(path: str, what: str) -> Iterator[tuple[int, list[str]]]:
    """Lines that are not empty, with their numbers, cut at tabs."""
    try:
        text = Path(from_call(path)).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; it must be {what}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can't be read as {what}: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, [cell.strip() for cell in line.split("\t")]
