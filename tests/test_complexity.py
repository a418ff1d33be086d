"""How many ways lead through a function. Ruff's own count (C90) leaves out comprehensions and boolean operators."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "tilewise"
#: Of the worst function today; lower it when that one is made simpler, and never raise it.
BOUND = 21

_BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.Assert, ast.match_case)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def complexity(function: ast.AST) -> int:
    """1, and 1 for every branch, boolean operator, loop and condition of a comprehension; nested functions' too."""
    total = 1
    for node in ast.walk(function):
        if isinstance(node, _BRANCHES):
            total += 1
        elif isinstance(node, ast.BoolOp):
            total += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            total += 1 + len(node.ifs)
    return total


def functions(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, _FUNCTIONS):
            yield complexity(node), f"{path.relative_to(SOURCE)} {node.name}"


def test_counts_what_one_has_to_keep_in_mind():
    source = "def f(x):\n    if x and x > 1 or x < 0:\n        return [y for y in x if y]\n    return 0 if x else 1\n"
    assert complexity(ast.parse(source).body[0]) == 1 + 1 + 2 + 2 + 1


def test_no_function_is_more_complex_than_the_worst_today():
    worst = sorted(
        f"{count} {name}" for path in SOURCE.rglob("*.py") for count, name in functions(path) if count > BOUND
    )
    assert not worst, f"more than {BOUND} ways through a function: {worst}; split it"
