"""The jobs of the published pipeline, one kind per file. `templates` contains what they share."""
