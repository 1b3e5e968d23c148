"""The settings that exist (`settings`), and those of each environment (`Pulumi.*.yaml`)."""
