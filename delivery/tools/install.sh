#!/bin/sh
# Install the Pulumi CLI and the AWS CLI for this machine's processor, into DIRECTORY/bin. SHA256SUMS has their versions
# and checksums. The archives stay in DIRECTORY/archives, for a cache, and are checked each time, since a branch can write
# into a cache.
# usage: install.sh DIRECTORY
set -eu
sums=$(cd "$(dirname "$0")" && pwd)/SHA256SUMS
mkdir -p "$1/archives" "$1/bin"
cd "$1"

case $(uname -m) in
  x86_64) pulumi=linux-x64 aws=linux-x86_64 ;;
  aarch64) pulumi=linux-arm64 aws=linux-aarch64 ;;
  *)
    echo "$sums has no CLIs for $(uname -m). Give the job a runner with x86_64 or aarch64." >&2
    exit 1
    ;;
esac

# archive NAME BASE-URL
archive() {
  sum=$(grep " $1\$" "$sums")
  (cd archives && echo "$sum" | sha256sum --check --status 2> /dev/null) && return
  echo "Downloading $2/$1 ..."
  curl --fail --silent --show-error --location --retry 3 --output "archives/$1" "$2/$1"
  if ! (cd archives && echo "$sum" | sha256sum --check --status); then
    rm "archives/$1"
    echo "$2/$1 is not the file whose checksum $sums has. Nothing of it was run." >&2
    exit 1
  fi
}

name=$(sed -n "s/.* \(pulumi-v.*-$pulumi.tar.gz\)$/\1/p" "$sums")
version=${name#pulumi-} version=${version%-"$pulumi".tar.gz}
archive "$name" "${PULUMI_RELEASES:-https://github.com/pulumi/pulumi/releases/download}/$version"
tar --extract --gzip --file "archives/$name" --directory bin --strip-components 1

name=$(sed -n "s/.* \(awscli-exe-$aws-.*.zip\)$/\1/p" "$sums")
archive "$name" "${AWS_CLI_RELEASES:-https://awscli.amazonaws.com}"
python3 -m zipfile -e "archives/$name" .
chmod +x aws/install aws/dist/aws # which this program forgets
aws/install --update --install-dir "$PWD/aws-cli" --bin-dir "$PWD/bin" > /dev/null
