"""How a cohort is cut into folds."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class FoldsConfig(BaseModel):
    """Which folds are made, and how large their parts are.

    Every fraction is a fraction of slides, met per class as nearly as whole groups allow. An option that has no effect
    beside the others is refused rather than passed over.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    kind: Literal["kfold", "holdout", "leave_one_out"] = Field(
        "kfold",
        description="kfold: every slide is tested once, over num_folds folds. holdout: one fold with one test part. "
        "leave_one_out: a fold for each value of a column of the table, which it tests and has not learnt from.",
    )
    column: str | None = Field(
        None,
        min_length=1,
        description="The table's column, such as site, scanner, or that of the groups (kind leave_one_out).",
    )
    num_folds: int = Field(5, ge=2, le=100, description="Number of folds (kind kfold).")
    repeats: int = Field(
        1,
        ge=1,
        le=20,
        description="How often the slides are cut into num_folds folds, each time otherwise (kind kfold). Each slide "
        "is tested once in every repeat, and scores are means over repeats.",
    )
    test_fraction: float = Field(
        0.2, gt=0.0, le=0.8, description="Fraction of the slides in the test part (kind holdout)."
    )
    validation_fraction: float = Field(
        0.2,
        ge=0.0,
        le=0.5,
        description="Fraction of a fold's slides outside test that stop training; 0 makes folds without a "
        "validation part.",
    )
    holdout_fraction: float = Field(
        0.0, ge=0.0, le=0.5, description="Fraction of the slides set apart from all folds, for the final score."
    )
    source: Literal["split"] | None = Field(
        None,
        description=(
            "split: one fold, from the cohort table's own split column (train, test, and where it has them validation "
            "and "
            "holdout). Left out: folds are cut from labels and groups."
        ),
    )

    @model_validator(mode="after")
    def _refuse_what_has_no_effect(self) -> Self:
        if self.source == "split":
            self._refuse("source: split", "kind", "column", "num_folds", "repeats", "test_fraction", "holdout_fraction")
        elif self.kind == "holdout":
            self._refuse("kind: holdout", "column", "num_folds", "repeats")
        elif self.kind == "leave_one_out":
            self._refuse("kind: leave_one_out", "num_folds", "repeats", "test_fraction", "holdout_fraction")
            if self.column is None:
                raise ValueError("folds.kind=leave_one_out needs a column of the table; add folds.column=site, say")
        else:
            self._refuse("kind: kfold", "column", "test_fraction")
        return self

    def _refuse(self, beside: str, *names: str) -> None:
        for name in names:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"folds.{name} has no effect with `{beside}`; drop one of the two")
