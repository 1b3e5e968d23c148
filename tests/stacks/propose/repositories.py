"""Small repositories for tests, and what is proposed for them, read by our own settings."""

from pathlib import Path
from typing import Any

from stacks.documents import read_yaml
from stacks.parsing import parse
from stacks.projects import Image, Project
from stacks.propose.checkout import Checkout
from stacks.propose.proposal import propose
from stacks.propose.write import text
from stacks.settings import Settings


def repository(
    root: Path, files: dict[str, str], remote: str | None = "https://gitlab.example.com/platform/web.git"
) -> Path:
    """Write a checked-out repository."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    if remote:
        (root / ".git").mkdir(parents=True, exist_ok=True)
        (root / ".git/config").write_text(f'[core]\n\tbare = false\n[remote "origin"]\n\turl = {remote}\n')
    return root


def proposed_text(*roots: Path, group: str | None = None) -> str:
    return text(propose([Checkout(root) for root in roots], group))


def settings_of(document: str) -> Settings:
    """The settings in a proposal, with a cluster, which no repository tells. Fails if our checks refuse them."""
    config: dict[str, Any] = read_yaml(document.encode())["config"]
    raw = {key.removeprefix("buildyard:"): value for key, value in config.items()}
    return parse({"cluster": {"name": "ci"}, **raw}, source="the proposal")


def project_of(root: Path) -> Project:
    """The only project in the proposal for a repository."""
    [project] = settings_of(proposed_text(root)).projects
    return project


def images_of(root: Path) -> dict[str, Image]:
    """The proposed images by name."""
    return {image.name: image for image in project_of(root).images}
