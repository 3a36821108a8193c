"""A tree of spheres as text."""

from collections import Counter
from collections.abc import Iterator

from cllm import SpherePlan, TreePlan
from cllm._words import count

# What is below a sphere, without ids: its role and the shapes of its children with their counts.
Shape = tuple[str, tuple[tuple["Shape", int], ...]]


def _shapes(plan: TreePlan) -> dict[int, Shape]:
    shapes: dict[int, Shape] = {}
    for sphere in reversed(plan.spheres):  # children have larger ids
        counts = Counter(shapes[child] for child in sphere.children)
        shapes[sphere.id] = (sphere.role, tuple(counts.items()))
    return shapes


def _lines(shape: Shape, number: int, prefix: str, branch: str, below: str) -> Iterator[str]:
    role, children = shape
    each = ", each with" if number > 1 and children else ""
    yield f"{prefix}{branch}{count(number, role)}{each}"
    for place, (child, times) in enumerate(children, 1):
        last = place == len(children)
        yield from _lines(child, times, prefix + below, "└─ " if last else "├─ ",
                          "   " if last else "│  ")


def draw(plan: TreePlan) -> str:
    """Siblings with equal trees below them share a line."""
    return "\n".join(_lines(_shapes(plan)[0], 1, "", "", ""))


def level_counts(plan: TreePlan) -> list[Counter[str]]:
    """How many spheres of each role every level has."""
    levels: list[Counter[str]] = [Counter() for _ in range(plan.levels)]
    sphere: SpherePlan
    for sphere in plan.spheres:
        levels[sphere.level][sphere.role] += 1
    return levels
