"""The teacher's ordering of the rows: DIST's intra-class term (Huang et al. 2022, 2205.10536)."""

from __future__ import annotations

from torch import Tensor

from meddistill.losses.blend import Tempered
from meddistill.losses.correlation import apart_over_rows


class Ranking(Tempered):
    """`(1 - alpha) CE(y, s) + alpha (1 - r)`, without unit.

    r is Pearson's correlation of student and teacher over the rows of the batch, of each class's
    probability softened by T, averaged over the classes. It asks which patient is at more risk than
    which, and by how much relative to the others; how high a risk is, only the labels say. Unlike
    the correlation within a row it says as much about two classes as about more.

    1 - r is 0 where the student equals the teacher, and wherever it is the teacher up to a shift
    and a positive factor. There is no T^2, as in the paper: a correlation does not shrink as T
    grows. A constant column correlates with nothing, and a batch of one row teaches nothing.
    """

    relates_rows: bool = True
    by_square: bool = False

    def teacher_terms(self, student: Tensor, teacher: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The term `ranking`, of the batch, given to every row; shapes as in the base class."""
        learned, taught = self.soften(student).exp(), self.soften(teacher).exp()
        return {"ranking": apart_over_rows(learned, taught)}
