"""The rules of the rooms: who imports whom, what files are called, and how long they get."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("posedata", "evolution", "detector2d", "lifter", "cli")
ALLOWED = {
    "posedata": {"posedata"},
    "evolution": {"evolution", "posedata"},
    "detector2d": {"detector2d", "posedata"},
    "lifter": {"lifter", "posedata"},
    "cli": set(ROOMS),
}
# The files of the joint stage, which chains detector and lifter. Not a place to hide others in.
EXCEPTIONS = {
    f"lifter/{name}.py": {"detector2d"}
    for name in ("joint", "joint_training", "chain_evaluation", "pipeline", "joint_onnx_graph")
}
SLOW_PACKAGES = {
    "torch", "torchvision", "torch_geometric", "lightning", "timm", "pyvista", "cv2", "plotly", "matplotlib",
    "scipy", "h5py", "distributed", "dask", "onnx", "onnxruntime", "onnxscript",
}  # fmt: skip
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "misc", "base", "core", "tools"}
LONGEST_FILE = 700

FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """First part of every imported module's name, and the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0], node.lineno
            assert node.level == 0, f"line {node.lineno}: a relative import hides which room it reaches"


def module_level(tree: ast.Module) -> ast.Module:
    """The tree without the bodies of functions and of `if TYPE_CHECKING`."""

    class Outer(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)

    outer: ast.Module = Outer().visit(tree)
    return outer


def test_there_is_something_to_check() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_the_rooms_it_may(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    allowed = ALLOWED[room] | EXCEPTIONS.get(name_of(path), set())
    for module, line in imports(ast.parse(path.read_text(encoding="utf-8"))):
        assert module not in ROOMS or module in allowed, f"{name_of(path)}:{line} imports {module}"


@pytest.mark.parametrize("path", sorted((ROOT / "cli").rglob("*.py")), ids=name_of)
def test_commands_import_slow_packages_in_their_bodies(path: Path) -> None:
    for module, line in imports(module_level(ast.parse(path.read_text(encoding="utf-8")))):
        assert module not in SLOW_PACKAGES, f"{name_of(path)}:{line} imports {module} at the top"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_named_by_its_concept_and_can_be_read_at_one_sitting(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES, f"{name_of(path)}: name it by what it is about"
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE, f"{name_of(path)} has {lines} lines: split it by concept"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{name_of(path)} has no docstring"


def test_the_rules_themselves_catch_what_they_should() -> None:
    tree = ast.parse(
        "import torch\nfrom cli.main import evolift\ndef f():\n    import cv2\nif TYPE_CHECKING:\n    import h5py\n"
    )
    assert [module for module, _ in imports(tree)] == ["torch", "cli", "cv2", "h5py"]
    assert [module for module, _ in imports(module_level(tree))] == ["torch", "cli"]
    with pytest.raises(AssertionError, match="a relative import"):
        list(imports(ast.parse("from . import skeleton")))
