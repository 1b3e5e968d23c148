"""Pulumi's plugin: the platform as a component, for programs in any language and other projects."""

import sys
from pathlib import Path

# Pulumi runs this directory. The platform's modules are beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pulumi.provider.experimental import component_provider_host

from plugin.component import Platform

if __name__ == "__main__":
    component_provider_host([Platform], "buildyard")
