"""experiments/predict.ipynb: every cell runs as a kernel would run it, and what it shows is a picture or a value."""

import ast
import json
from pathlib import Path
from typing import Any

from PIL import Image

NOTEBOOK = Path(__file__).parents[2] / "experiments" / "predict.ipynb"


def shown(source: str, names: dict[str, Any]) -> Any:
    """Run a cell; the value of its last line where that is an expression, as a notebook shows it."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def test_notebook_runs_from_top_to_bottom_and_shows_what_it_says() -> None:
    names: dict[str, Any] = {}
    cells = json.loads(NOTEBOOK.read_text())["cells"]

    values = [shown(cell["source"], names) for cell in cells if cell["cell_type"] == "code"]

    _, answer, shares, _, score_map, averaged, many = values
    assert answer._repr_png_().startswith(b"\x89PNG")
    assert shares == answer.shares
    assert (score_map.height, score_map.width) == answer.labels.shape
    assert isinstance(averaged, Image.Image)
    assert [list(shares) for shares in many] == [["sky", "grass", "water"]] * 4


def test_notebook_is_kept_without_what_it_showed() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]

    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
