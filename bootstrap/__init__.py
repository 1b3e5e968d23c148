"""A Pulumi project that an administrator runs once: it creates what the first `pulumi up` of a stack needs."""
