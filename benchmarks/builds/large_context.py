"""An image with a large base: 1 GB in 20,000 files below its dependencies and its source.

The base stands for a distribution's packages and a language's runtime. Half of its content is random, and the other
half compresses to nothing. `install.sh` stands for a package manager with a cache: it computes each package once, and
then copies it.
"""

from benchmarks.builds.context import INSTALL, Context

PACKAGES = 40
"""The number of packages. Each has 1.2 MiB, and half of that when compressed."""

_DOCKERFILE = """\
FROM busybox:1.37
COPY base.sh /build/
RUN sh /build/base.sh /base
COPY compute.sh install.sh packages.lock /build/
RUN --mount=type=cache,target=/cache sh /build/install.sh /cache /packages </build/packages.lock
COPY source /app/source
RUN cat /packages/checksums /app/source | sha256sum >/app/program
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
    """A build context whose image has a large base and a kept cache of packages."""

    def write(self, packages: int = PACKAGES) -> None:
        """Write the first state of the context."""
        super().write(packages)
        self._put("Dockerfile", _DOCKERFILE)
        self._put("base.sh", _BASE)
        self._put("compute.sh", INSTALL)
        self._put("install.sh", _CACHED)
