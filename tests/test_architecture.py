"""The rules of the rooms: who imports whom, what files are called, and how long they get."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DATA = {"posedata"}
BASE = DATA | {"training", "drawing", "artifacts"}
STAGES = BASE | {"detector2d", "lifter"}
MAY_IMPORT = {
    "posedata": set[str](),
    "training": DATA | {"drawing"},
    "drawing": DATA,
    "artifacts": DATA,
    "synthetic": DATA | {"drawing"},
    "evolution": DATA | {"drawing"},
    "detector2d": BASE,
    "lifter": BASE | {"evolution"},
    "chain": STAGES,
    "prediction": STAGES | {"evolution", "chain"},
    "cli": STAGES | {"evolution", "synthetic", "chain", "prediction"},
    "evolift": STAGES | {"evolution", "synthetic", "chain", "prediction", "cli"},
}
"""Each room and the rooms it may import, itself aside: no arrow runs back up."""
SLOW_PACKAGES = {
    "torch", "torchvision", "torch_geometric", "lightning", "timm", "pyvista", "cv2", "matplotlib",
    "scipy", "h5py", "distributed", "dask", "onnx", "onnxruntime", "onnxscript",
}  # fmt: skip
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "misc", "base", "core", "tools"}
LONGEST_FILE = 500
FLAGLESS = set(MAY_IMPORT) - {"cli", "evolift"}
"""Rooms whose messages name fields in backquotes, which the command line turns into flags."""

FILES = [path for room in MAY_IMPORT for path in sorted((ROOT / room).glob("*.py"))]
FILES += [
    path
    for room in MAY_IMPORT
    if room != "evolift"  # its sub-folders are links to the rooms
    for path in sorted((ROOT / room).glob("*/**/*.py"))
]
OTHERS = [path for folder in ("tests", "examples") for path in sorted((ROOT / folder).rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def module_of(path: Path) -> str:
    """Dotted name of a file of a room, without `evolift.`"""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every imported module, or name of one, and the line: `a.b` and `a.b.c` for `from a.b import c`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import hides which room it reaches"
            yield node.module or "", node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def raised_texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of every piece of text in what is raised."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value


def module_level(tree: ast.Module) -> ast.Module:
    """The tree without the bodies of functions and of `if TYPE_CHECKING`."""

    class Outer(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)

    outer: ast.Module = Outer().visit(tree)
    return outer


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def arrows() -> dict[str, set[str]]:
    """Module -> modules of ours that it imports, wherever in the file."""
    modules = {module_of(path) for path in FILES}
    return {
        module_of(path): {
            ours
            for name, _ in imports(parse(path))
            if (ours := name.removeprefix("evolift.")) in modules and name.startswith("evolift.")
        }
        for path in FILES
    }


def circle_in(graph: dict[str, set[str]]) -> str | None:
    """The modules or folders of a circle, in order, if there is one."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " -> ".join(error.args[1])
    return None


def test_there_is_something_to_check() -> None:
    assert {room_of(path) for path in FILES} == set(MAY_IMPORT)
    assert len(FILES) > 200


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_the_rooms_it_may(path: Path) -> None:
    allowed = MAY_IMPORT[room_of(path)] | {room_of(path)}
    for module, line in imports(parse(path)):
        parts = module.split(".")
        if parts[0] == "evolift" and len(parts) > 1 and parts[1] in MAY_IMPORT:
            assert parts[1] in allowed, f"{name_of(path)}:{line} imports {module}"


@pytest.mark.parametrize("path", FILES + OTHERS, ids=name_of)
def test_rooms_are_imported_by_their_full_names(path: Path) -> None:
    for module, line in imports(parse(path)):
        room = module.split(".")[0]
        assert room == "evolift" or room not in MAY_IMPORT, f"{name_of(path)}:{line}: import evolift.{module}"


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle_in(arrows()) is None


@pytest.mark.parametrize("room", [room for room in MAY_IMPORT if room != "evolift"])
def test_the_folders_of_a_room_form_no_circle(room: str) -> None:
    graph: dict[str, set[str]] = {}
    for module, reached in arrows().items():
        folder = module.rpartition(".")[0]
        inside = {one.rpartition(".")[0] for one in reached if one.startswith(f"{room}.")}
        # The files at the top of a room may use its folders and be used by them; circles of files are caught above.
        if folder.startswith(f"{room}."):
            graph.setdefault(folder, set()).update(inside - {folder, room})
    assert circle_in(graph) is None


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) in ("cli", "evolift")], ids=name_of)
def test_commands_import_slow_packages_in_their_bodies(path: Path) -> None:
    for module, line in imports(module_level(parse(path))):
        assert module.split(".")[0] not in SLOW_PACKAGES, (
            f"{name_of(path)}:{line} imports {module} at the top"
        )


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_named_by_its_concept_and_can_be_read_at_one_sitting(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES, f"{name_of(path)}: name it by what it is about"
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE, f"{name_of(path)} has {lines} lines: split it by concept"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(parse(path)), f"{name_of(path)} has no docstring"


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) in FLAGLESS], ids=name_of)
def test_errors_of_the_library_name_fields_not_flags(path: Path) -> None:
    for line, text in raised_texts(parse(path)):
        said = re.sub("`evolift [^`]*`", "", text)  # whole commands may be named
        assert not re.search(r"(^|[\s(])--[a-z]", said), f"{name_of(path)}:{line} names a flag: {text}"


def test_the_rules_themselves_catch_what_they_should() -> None:
    tree = ast.parse(
        "import torch\nfrom evolift.cli.main import evolift\ndef f():\n    import cv2\nif TYPE_CHECKING:\n    import h5py\n"
    )
    assert [module for module, _ in imports(tree)] == [
        "torch",
        "evolift.cli.main",
        "evolift.cli.main.evolift",
        "cv2",
        "h5py",
    ]
    assert [module for module, _ in imports(module_level(tree))][:1] == ["torch"]
    assert list(raised_texts(ast.parse("raise E(f'{x}: add --y')"))) == [(1, ": add --y")]
    assert circle_in({"a": {"b"}, "b": {"a"}}) is not None
    assert circle_in({"a": {"b"}, "b": set()}) is None
    with pytest.raises(AssertionError, match="a relative import"):
        list(imports(ast.parse("from . import skeleton")))
