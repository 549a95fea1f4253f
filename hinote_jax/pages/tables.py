"""Tables that a click on a column sorts."""

from collections.abc import Mapping, Sequence
from typing import Any

from bokeh import models
import numpy as np

# Numbers keep their value for sorting; what is not there is a dash.
_NUMBER = (
  "<%= value === null || Number.isNaN(value) ? '–' : "
  "+(+value).toPrecision(4) %>"
)
_ROW, _MOST = 26, 520


def table(
  rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, name: str
) -> models.DataTable:
  """Returns a table with a line for each row.

  Args:
    rows: values by key; a number that has no meaning is left out.
    columns: key -> title, in order.
    name: of the table.
  """
  data, drawn = {}, []
  for key, title in columns.items():
    values: Any = [row.get(key) for row in rows]
    longest, options = len(title), {}
    if any(isinstance(value, str) for value in values):
      longest = max(longest, *map(len, values))
    else:
      values = np.array([np.nan if v is None else v for v in values], float)
      options["formatter"] = models.HTMLTemplateFormatter(template=_NUMBER)
    data[key] = values
    look: dict[str, Any] = dict(field=key, title=title, width=8 * longest + 28)
    drawn.append(models.TableColumn(**look, **options))
  return models.DataTable(
    source=models.ColumnDataSource(data),
    columns=drawn,
    name=name,
    index_position=None,
    autosize_mode="none",
    reorderable=False,
    width=1240,
    height=min(_ROW * (len(rows) + 1) + 20, _MOST),
    row_height=_ROW,
  )
