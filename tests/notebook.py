"""Runs the worked notebook as Jupyter would, without Jupyter: the cells one after the other, in one namespace."""

import ast
import json
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parent.parent / "docs" / "notebook.ipynb"


def read() -> dict[str, Any]:
    return dict(json.loads(NOTEBOOK.read_text()))


def write(notebook: dict[str, Any]) -> None:
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def run(notebook: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Run all code cells, in the notebook's folder; gives each one's outputs, as they are kept in the notebook."""
    names: dict[str, Any] = {}
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [_outputs("".join(cell["source"]), names, number) for number, cell in enumerate(code, start=1)]


def _outputs(source: str, names: dict[str, Any], number: int) -> list[dict[str, Any]]:
    *before, last = ast.parse(source).body
    if not isinstance(last, ast.Expr):
        exec(source, names)
        return []
    exec(compile(ast.Module(before, []), f"cell {number}", "exec"), names)
    result = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
    if result is None:
        return []
    data = {"text/plain": repr(result).splitlines(keepends=True)}
    if hasattr(result, "_repr_html_"):
        data["text/html"] = result._repr_html_().splitlines(keepends=True)
    return [{"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": data}]
