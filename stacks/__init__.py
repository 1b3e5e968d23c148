"""What an environment may say (`settings`), and what each one says (`Pulumi.*.yaml`)."""
