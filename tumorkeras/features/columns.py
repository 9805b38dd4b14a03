"""A table of any columns as numbers that a classifier reads.

Apart from what starts TensorFlow: processes that tune a classifier side by side load this module each.
"""

from __future__ import annotations

import pandas as pd
from pandas.api.types import is_numeric_dtype
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler


def columns_of(table: pd.DataFrame) -> ColumnTransformer:
    """What makes numbers of a table's columns: filled and standardised, or a column a category.

    Missing numbers become the median of the rows it is fitted to; a missing category is a category.

    Examples
    --------
    >>> table = pd.DataFrame({"age": [40.0, None, 60.0], "side": ["left", "right", "left"]})
    >>> columns_of(table).fit_transform(table).round(2).tolist()
    [[-1.22, 1.0, 0.0], [0.0, 0.0, 1.0], [1.22, 1.0, 0.0]]
    """
    numbers = [name for name in table if is_numeric_dtype(table[name])]
    others = [name for name in table if name not in numbers]
    filled = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    categories = make_pipeline(
        FunctionTransformer(_as_text, feature_names_out="one-to-one"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    return ColumnTransformer([("numbers", filled, numbers), ("categories", categories, others)])


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Whatever stands in the columns as text, and nothing as None: what the encoder can put in order."""
    return table.astype(object).apply(lambda column: column.map(str, na_action="ignore").where(column.notna(), None))
