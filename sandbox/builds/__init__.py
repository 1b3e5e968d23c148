"""Real builds in the sandbox: the jobs of the published pipeline, run on this machine with real BuildKit."""
