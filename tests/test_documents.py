"""The written documents: links lead somewhere, the drawing of the tables and the OpenAPI text are up to date."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_drawing_of_the_tables_is_up_to_date() -> None:
    call_command("draw_tables", "--check")


def test_openapi_text_is_valid_and_without_warnings() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


def test_links_between_documents_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://")):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_index_names_every_document() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"]({page.name})" in index


def test_every_setting_of_the_readme_is_read_somewhere() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "bridge_project").rglob("*.py"))
    table = (ROOT / "README.md").read_text(encoding="utf-8").split("## Settings")[1].split("##")[0]
    for name in re.findall(r"`([A-Z][A-Z_]{5,})`", table):
        assert name in source, name


def test_every_old_fault_names_a_test_that_exists() -> None:
    lines = [
        line for line in (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")
    ]
    faults = [line for line in lines if not line.startswith(("| once", "| ---"))]
    for fault in faults:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", fault)
        assert named, f"nothing holds: {fault[:80]}"
        for file, name in named:
            assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file} has no {name}"
