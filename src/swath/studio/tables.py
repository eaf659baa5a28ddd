"""Tables as a person reads them: columns, and the first rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from swath.errors import ReadError

#: Rows that are shown.
MOST = 200


def head(path: Path) -> dict[str, Any]:
    """`columns`, the first `rows` with null for what is missing, and whether some were `cut`.

    Raises:
        ReadError: If it is no table with a comma between values.
    """
    try:
        frame = pd.read_csv(path, nrows=MOST + 1, encoding="utf-8")
    except (OSError, ValueError) as error:  # pandas' own errors are of ValueError
        raise ReadError(f"{path.name} cannot be read as a table", got=error, expected="CSV in UTF-8") from error
    shown = json.loads(frame.head(MOST).to_json(orient="split", date_format="iso"))
    return {"columns": [str(name) for name in shown["columns"]], "rows": shown["data"], "cut": len(frame) > MOST}
