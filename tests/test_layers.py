"""The order of the rooms, held by reading every import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = [
    "errors",
    "notice",
    "progress",
    "scans",
    "tasks",
    "models",
    "learners",
    "evaluation",
    "training",
    "reports",
    "workspace",
    "ui",
    "api",
    "console",
    "cli_bench",
    "cli_report",
    "cli_train",
    "cli",
]
FILES = sorted((ROOT / "medmeta").rglob("*.py"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found.add(node.module or "")
    return found


def room(module: str) -> int | None:
    parts = module.split(".")
    return ROOMS.index(parts[1]) if parts[0] == "medmeta" and len(parts) > 1 and parts[1] in ROOMS else None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_rooms_to_its_left(path: Path) -> None:
    here = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if here is None:
        assert path.name in {"__init__.py", "__main__.py"}, f"{path} stands in no room"
        return
    for module in imports(path):
        there = room(module)
        assert there is None or there <= here, f"{path.name} imports {module}, which is to its right"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_pages_know_streamlit(path: Path) -> None:
    if "ui" in path.relative_to(ROOT).parts:
        return
    assert not any(module.split(".")[0] == "streamlit" for module in imports(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, medmeta; print(sorted({'torch', 'streamlit', 'pydicom'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
