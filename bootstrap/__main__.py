"""The Pulumi program of the administrator."""

import sys
from pathlib import Path

# Pulumi runs this folder alone; the packages that it uses lie beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bootstrap.program import deploy
from bootstrap.settings import load

deploy(load)
