"""The image that is built: its dependencies cost most, as in most images, and it needs no network.

`install.sh` stands for a package manager. It computes packages from the numbers in a lock file, hashes them compressed,
and leaves them in the image. It only uses the processor and never waits, so it costs the same in every run. The source
is a small layer above, and the step after it reads both, as a compiler would.
"""

from dataclasses import dataclass
from pathlib import Path

PACKAGES = 110
"""The number of packages. Each has 1.2 MiB, and half of that when compressed."""

_DOCKERFILE = """\
FROM busybox:1.37
COPY install.sh packages.lock /build/
RUN sh /build/install.sh /packages </build/packages.lock
COPY source /app/source
RUN cat /packages/checksums /app/source | sha256sum >/app/program
"""

# Words of less than 32 bits: implementations of awk differ for larger ones.
INSTALL = """\
set -eu
mkdir -p "$1"
while read -r package; do
  awk -v seed="$package" 'BEGIN {
    srand(seed)
    for (line = 0; line < 20000; line++) {
      text = ""
      for (word = 0; word < 10; word++) text = text sprintf("%06x", int(rand() * 16777216))
      print text
    }
  }' >"$1/$package"
  gzip -9 -c "$1/$package" | sha256sum >>"$1/checksums"
done
"""


@dataclass(frozen=True)
class Context:
    """A build context in a directory. No cache contains its changes."""

    directory: Path

    def write(self, packages: int = PACKAGES) -> None:
        """Write the first state of the context."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._put("Dockerfile", _DOCKERFILE)
        self._put("install.sh", INSTALL)
        self._put("packages.lock", "".join(f"{number}\n" for number in range(1, packages + 1)))
        self._put("source", "print 1\n")

    def change_source(self) -> None:
        """Change the source, as most commits do."""
        self._append("source", "print 2\n")

    def change_dependencies(self) -> None:
        """Add a package. The step that installs them must then install all of them again."""
        self._append("packages.lock", f"{PACKAGES + 1}\n")

    def _append(self, name: str, text: str) -> None:
        self._put(name, (self.directory / name).read_text() + text)

    def _put(self, name: str, text: str) -> None:
        file = self.directory / name
        file.write_text(text)
        file.chmod(0o644)  # modes are part of the cache's keys
