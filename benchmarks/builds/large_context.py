"""An image with a large base: 1 GB in 20,000 files below its dependencies, a compiled program and its source.

The base stands for a distribution's packages, a language's runtime and its compiler. Half of its content is random, and
the other half compresses to nothing. `install.sh` stands for a package manager with a cache: it computes each package
once, and then copies it. The program is computed as a whole from its source, as a compiler or bundler would in a stage
of its own: four to five seconds of one core, for 10 MB. What is only copied stands for scripts and templates.
"""

from benchmarks.builds.context import INSTALL, Context

PACKAGES = 40
"""The number of packages. Each has 1.2 MiB, and half of that when compressed."""

UNITS = 16
"""The number of the program's parts. Each takes as long as a package."""

_DOCKERFILE = """\
FROM busybox:1.37 AS base
COPY base.sh /build/
RUN sh /build/base.sh /base

FROM base AS program
COPY compute.sh program /build/
RUN sh /build/compute.sh /units </build/program && cat /units/* | gzip -1 >/program && rm -r /units

FROM base
COPY compute.sh install.sh packages.lock /build/
RUN --mount=type=cache,target=/cache sh /build/install.sh /cache /packages </build/packages.lock
COPY --from=program /program /app/
COPY source /app/source
RUN cat /packages/checksums /app/source | sha256sum >/app/checksum
"""

_BASE = """\
set -eu
mkdir "$1" && cd "$1"
number=0
while [ $number -lt 20000 ]; do
  head -c 26214 /dev/urandom >$number
  truncate -s 52428 $number
  number=$((number + 1))
done
"""

_CACHED = """\
set -eu
cache=$1 target=$2
mkdir -p "$target"
while read -r package; do
  [ -e "$cache/$package" ] || { echo "$package" | sh /build/compute.sh "$cache"; }
  cp "$cache/$package" "$target/$package"
done
cat "$target"/* | sha256sum >"$target/checksums"
"""


class LargeContext(Context):
    """A build context whose image has a large base, a kept cache of packages, and a program to compile."""

    def write(self, packages: int = PACKAGES) -> None:
        """Write the first state of the context."""
        super().write(packages)
        self._put("Dockerfile", _DOCKERFILE)
        self._put("base.sh", _BASE)
        self._put("compute.sh", INSTALL)
        self._put("install.sh", _CACHED)
        self._put("program", _lines(1))

    def change_program(self) -> None:
        """Change the program's source. It is compiled again, as a whole."""
        self._put("program", _lines(UNITS + int((self.directory / "program").read_text().split()[0])))


def _lines(first: int) -> str:
    """The program's source: a number for each part."""
    return "".join(f"{number}\n" for number in range(first, first + UNITS))
