"""Solve systems of constraints with kiwisolver's compiled code and hold the solutions against plain arithmetic.

FACTORY_RESULT names the JSON file to write; FACTORY_PROFILE is the name of the profile that this runs on.
"""

import json
import math
import os
import random
from importlib.metadata import version
from pathlib import Path

from kiwisolver import Constraint, DuplicateConstraint, Expression, Solver, UnsatisfiableConstraint, Variable, strength

BOXES, WIDTH = 30, 1000.0


def main() -> None:
    source = random.Random(20240607)
    for _ in range(20):
        chain(source)
    row_of_boxes(source)
    strengths()
    wrong_systems()
    shown = f"kiwisolver {version('kiwisolver')}: chains, a row of {BOXES} boxes and strengths as in plain arithmetic"
    result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    print(f"[{os.environ.get('FACTORY_PROFILE', 'unknown profile')}] {shown}")


def chain(source: random.Random) -> None:
    """Each variable is the last one times a factor plus an offset: one solution, whatever the order of constraints."""
    variables = [Variable(f"v{index}") for index in range(25)]
    factors = [(source.choice((-2, -1, 0.5, 1, 3)), source.randint(-9, 9)) for _ in variables[1:]]
    links = zip(variables[1:], variables, factors, strict=False)
    constraints = [later == factor * last + offset for later, last, (factor, offset) in links]
    constraints.append(variables[0] == 1.25)
    source.shuffle(constraints)
    solve(Solver(), constraints)
    expected = 1.25
    for variable, (factor, offset) in zip(variables[1:], factors, strict=True):
        expected = factor * expected + offset
        near(variable.value(), expected, variable.name())


def row_of_boxes(source: random.Random) -> None:
    """Boxes side by side that would be as wide as they like, in a width that is changed again and again."""
    left, right = Variable("left"), Variable("right")
    edges = [left, *(Variable(f"edge{index}") for index in range(1, BOXES)), right]
    widths = [float(source.randint(5, 40)) for _ in range(BOXES)]
    solver = Solver()
    constraints: list[Constraint] = [(left == 0) | "required"]
    for start, end, width in zip(edges, edges[1:], widths, strict=False):
        constraints += [end - start >= width, (end - start == width) | "weak"]
    solve(solver, constraints)
    near(right.value(), sum(widths), "the natural width")
    solver.addEditVariable(right, "strong")
    for wanted in (WIDTH, 10.0, 2 * WIDTH, sum(widths)):
        solver.suggestValue(right, wanted)
        solver.updateVariables()
        near(right.value(), max(wanted, sum(widths)), f"the width when {wanted} is wanted")
        for start, end, width in zip(edges, edges[1:], widths, strict=False):
            if end.value() - start.value() < width - 1e-6:
                raise AssertionError(f"a box of {width} was given {end.value() - start.value()}")


def strengths() -> None:
    x, y = Variable("x"), Variable("y")
    solver = Solver()
    wish = (x == 3) | "weak"
    solve(solver, [(x == 7) | "medium", wish, y == 2 * x + 1, x <= 6.5])
    near(x.value(), 6.5, "x between its wishes and its bound")
    near(y.value(), 14.0, "y, which follows x")
    solver.addConstraint((x == 5) | strength.create(1, 0, 0))
    solver.updateVariables()
    near(x.value(), 5.0, "x after a stronger wish")
    solver.removeConstraint(wish)
    near((2 * x + 3 * y - 1).value(), 42.0, "an expression")
    same(
        sorted(term.coefficient() for term in Expression((2 * x + 3 * y - 1).terms()).terms()), [2.0, 3.0], "its terms"
    )


def wrong_systems() -> None:
    x = Variable("x")
    solver, constraint = Solver(), x >= 1
    solver.addConstraint(constraint)
    for wrong, error in ((x <= 0, UnsatisfiableConstraint), (constraint, DuplicateConstraint)):
        try:
            solver.addConstraint(wrong)
        except error:
            continue
        raise AssertionError(f"{wrong} raised no {error.__name__}")


def solve(solver: Solver, constraints: list[Constraint]) -> None:
    for constraint in constraints:
        solver.addConstraint(constraint)
    solver.updateVariables()


def near(found: float, expected: float, what: str) -> None:
    if not math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-6):
        raise AssertionError(f"{what}: found {found}, expected {expected}")


def same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


if __name__ == "__main__":
    main()
