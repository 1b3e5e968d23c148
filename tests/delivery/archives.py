"""Archives of Pulumi's CLI and AWS's, laid out like the real ones, with scripts in the place of their programs."""

import hashlib
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipFile, ZipInfo

TOOLS = Path(__file__).parents[2] / "delivery" / "tools"
_INSTALL = """#!/bin/sh
test "$1 $2 $4" = "--update --install-dir --bin-dir" && mkdir -p "$3" "$5" && cp "${0%/*}/dist/aws" "$5/aws"
"""


def pinned() -> list[str]:
    """The names of the archives that `delivery/tools/SHA256SUMS` pins."""
    return [line.split()[1] for line in (TOOLS / "SHA256SUMS").read_text().splitlines()]


def write(folder: Path, *, pulumi: str, aws: str) -> None:
    """Write every archive that is pinned into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in pinned():
        if name.startswith("pulumi"):
            with tarfile.open(folder / name, "w:gz") as tar:
                member = tarfile.TarInfo("pulumi/pulumi")
                member.mode, member.size = 0o755, len(pulumi.encode())
                tar.addfile(member, io.BytesIO(pulumi.encode()))
        else:
            with ZipFile(folder / name, "w") as archive:
                for path, text in {"aws/install": _INSTALL, "aws/dist/aws": aws}.items():
                    entry = ZipInfo(path)
                    entry.external_attr = 0o100755 << 16
                    archive.writestr(entry, text)


def sums(archives: Iterable[Path]) -> str:
    """The text of a SHA256SUMS that pins these archives."""
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in archives)
