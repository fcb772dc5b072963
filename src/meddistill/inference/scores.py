"""A model of which there are answers alone: a file of scores, or those of one that was dropped."""

from __future__ import annotations

from typing import Any, NoReturn

from meddistill.data.records import Records
from meddistill.errors import UserError
from meddistill.inference.model import Model


class ScoresModel(Model):
    """In place of a model where there are answers for certain rows and nothing else."""

    answers_new_rows = False

    @property
    def num_parameters(self) -> int:
        """Nobody knows."""
        return 0

    def prepare(self, records: Records) -> NoReturn:
        """There is nothing that could answer.

        Raises:
            UserError: Always.
        """
        raise UserError(
            "this teacher is answers alone, a file of scores (teacher=scores) or those of a model "
            "that was dropped (teacher.keep=answers): it can't be asked for others"
        )

    def answer(self, prepared: Any) -> NoReturn:
        """The same."""
        raise AssertionError("nothing is prepared for it")

    def size(self) -> dict[str, Any]:
        """Nobody knows."""
        return {}
