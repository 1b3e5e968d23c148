"""Print the pipelines of a stack, without cloud, Pulumi or credentials.

A value that only the cloud knows is printed as a name in capitals, unless the stack's file sets it.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence

from pipeline.projects import generate_all
from pipeline.render import PipelineFile
from stacks import config
from stacks.partitions import registry_host
from stacks.problems import Problem, SettingsError, nearest


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    parser.add_argument("--stack", required=True, help="the stack, as in stacks/Pulumi.STACK.yaml")
    parser.add_argument("--project", metavar="PATH", help="only this GitLab project; default: all of the stack")
    options = parser.parse_args(arguments)
    try:
        for file in _files(options.stack, options.project):
            print(f"---\n# {file.path}\n{file.text}", end="")
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _files(stack: str, wanted: str | None) -> Iterator[PipelineFile]:
    settings = config.read_file(stack)
    source = f"stacks/Pulumi.{stack}.yaml"
    paths = [project.path for project in settings.projects]
    if wanted is not None and wanted not in paths:
        problem = Problem(path="buildyard:projects", message=f"the stack has no {wanted}", hint=nearest(wanted, paths))
        raise SettingsError([problem], source=source)
    account = settings.registry.account or "AWS_ACCOUNT_ID"
    region = config.region(stack) or "AWS_REGION"
    projects = [project for project in settings.projects if wanted in (None, project.path)]
    for files in generate_all(settings, projects, registry_host(account, region), source=source).values():
        yield from files


if __name__ == "__main__":
    sys.exit(main())
