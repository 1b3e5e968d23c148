"""The engine that deploys to the sandbox: Pulumi's own command line."""
