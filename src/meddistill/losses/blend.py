"""What every loss of labels and a teacher's answers shares: the labels' term, and alpha."""

from __future__ import annotations

from torch import Tensor

from meddistill.losses.base import (
    LossTerms,
    by_member,
    classes_first,
    coefficient,
    log_softmax,
)
from meddistill.losses.labels import Labelled


class Blend(Labelled):
    """`(1 - alpha) CE(y, s) + alpha D(t, s)`, where a subclass says what D is.

    alpha weighs the teacher: 0 is the student alone, 1 the teacher's answers alone.

    Args:
        alpha: Between 0 and 1; a number, or a tensor [members] with one a member of a stack.
        label_smoothing: Of the labels' term, as in `CE`; a number or a tensor likewise.
        size: A factor of D, [] or [members], such as T^2.
    """

    per_member: tuple[str, ...] = ("alpha", "label_smoothing")
    label_share: Tensor
    teacher_share: Tensor

    def __init__(
        self,
        alpha: float | Tensor,
        label_smoothing: float | Tensor,
        size: float | Tensor = 1.0,
    ) -> None:
        super().__init__(label_smoothing)
        weight = coefficient("alpha", alpha, at_least=0, at_most=1)
        self.keep(label_share=1 - weight, teacher_share=weight * size)

    def keep(self, **settings: Tensor) -> None:
        """Settings as buffers, which go to the device with the loss.

        They come in float64, so that a member's are the single student's to the last bit.
        """
        for name, value in settings.items():
            self.register_buffer(name, value.float(), persistent=False)

    @property
    def distils(self) -> bool:
        """False at alpha = 0, which is the student alone."""
        return bool((self.teacher_share > 0).any())

    @property
    def learns_labels(self) -> bool:
        """False at alpha = 1, which is the teacher alone."""
        return bool((self.label_share > 0).any())

    def forward(
        self, student_logits: Tensor, target: Tensor, teacher_log_probabilities: Tensor | None
    ) -> LossTerms:
        """The term `ce` and those of the subclass, in nats or as it says; shapes as in the base."""
        if teacher_log_probabilities is None:
            raise ValueError(f"{type(self).__name__} needs the teacher's answers for every row")
        student = classes_first(student_logits)
        teacher = classes_first(teacher_log_probabilities.detach())
        label = self.label_term(student, target)
        labels = {"ce": by_member(self.label_share, label) * label}
        taught = {
            name: by_member(self.teacher_share, term) * term
            for name, term in self.teacher_terms(
                self.labels.at_true_prior(student), teacher, target
            ).items()
        }
        if self.reads_labels:
            return LossTerms(label={**labels, **taught})
        return LossTerms(label=labels, teacher=taught)

    def teacher_terms(self, student: Tensor, teacher: Tensor, target: Tensor) -> dict[str, Tensor]:
        """D in named parts, each [..., rows], not yet weighed by alpha and `size`.

        Args:
            student: [classes, ..., rows] logits, as `classes_first` gives them.
            teacher: [classes, ..., rows] log-probabilities: logits up to a constant of the row.
            target: [..., rows] class numbers; any valid one on unlabelled rows.
        """
        raise NotImplementedError


class Tempered(Blend):
    """A `Blend` that reads both answers softened by a temperature T, `softmax(z / T)`.

    A teacher's `log p` softens like its logits, since they differ by a constant of the row.

    Args:
        temperature: T, above 0; a number, or a tensor [members] with one a member of a stack.
        alpha: Weight of the teacher, between 0 and 1; a number or a tensor likewise.
        label_smoothing: Of the labels' term, as in `CE`; a number or a tensor likewise.

    Attributes:
        by_square: Whether D is multiplied by T^2, since its gradient falls by T^2 as T grows.
    """

    per_member: tuple[str, ...] = ("temperature", *Blend.per_member)
    by_square: bool = True
    temperature: Tensor

    def __init__(
        self,
        temperature: float | Tensor = 4.0,
        alpha: float | Tensor = 0.5,
        label_smoothing: float | Tensor = 0.0,
    ) -> None:
        checked = coefficient("temperature", temperature, above=0)
        super().__init__(alpha, label_smoothing, size=checked**2 if self.by_square else 1.0)
        self.keep(temperature=checked)

    def soften(self, logits: Tensor) -> Tensor:
        """Log-probabilities at the temperature, [classes, ..., rows]."""
        return log_softmax(logits, self.temperature)
