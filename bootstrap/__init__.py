"""What must exist before the first `pulumi up` of a stack: a Pulumi project of its own, which an administrator runs."""
