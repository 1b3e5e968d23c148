"""The Pulumi program: what the stack's settings say becomes a platform."""

from components.platform import deploy
from stacks.config import load

deploy(load)
