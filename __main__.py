"""The Pulumi program: deploys the platform that the stack's settings describe."""

from components.platform import deploy
from stacks.config import load

deploy(load)
