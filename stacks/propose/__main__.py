"""Read checked-out repositories, and print the settings of their projects as YAML.

Dockerfiles and the hand-written GitLab pipeline are read, and nothing is executed. Comments with DECIDE say what needs
a person. The output goes into stacks/Pulumi.STACK.yaml.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from stacks.problems import SettingsError
from stacks.propose.checkout import Checkout, CheckoutError
from stacks.propose.proposal import propose
from stacks.propose.text import plain
from stacks.propose.write import text

NOTHING = 1
MISUSE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m stacks.propose", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="the folder of a checked-out repository")
    parser.add_argument("--group", help="the GitLab group of repositories whose Git remote does not tell their project")
    options = parser.parse_args(arguments)
    checkouts = [Checkout(path) for path in options.paths]
    try:
        stacks = propose(checkouts, options.group)
    except (CheckoutError, SettingsError) as error:
        print(f"python -m stacks.propose: {plain(str(error), 1000)}", file=sys.stderr)
        return MISUSE
    if not stacks:
        print("No Dockerfile was found that could be proposed.", file=sys.stderr)
        for note in dict.fromkeys(note for checkout in checkouts for note in checkout.notes):
            print(f"  {plain(note)}", file=sys.stderr)
        return NOTHING
    print(text(stacks), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
