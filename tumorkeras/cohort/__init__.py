"""Table 1: who the patients of a study are, from its clinical table."""

from tumorkeras.cohort.spec import CohortRow, CohortSpec
from tumorkeras.cohort.table import cohort_table

__all__ = ["CohortRow", "CohortSpec", "cohort_table"]
