"""Real builds in the sandbox: the published pipeline's own jobs, with real parts on this machine."""
