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
    values = [row.get(key) for row in rows]
    is_text = any(isinstance(value, str) for value in values)
    if not is_text:
      values = np.array([np.nan if v is None else v for v in values], float)
    data[key] = values
    options = (
      {}
      if is_text
      else {"formatter": models.HTMLTemplateFormatter(template=_NUMBER)}
    )
    longest = max([len(title), *(len(v) for v in values if is_text)])
    drawn.append(
      models.TableColumn(
        field=key, title=title, width=8 * longest + 28, **options
      )
    )
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
