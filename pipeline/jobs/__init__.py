"""The jobs of the published pipeline, one kind a file. `templates` holds what they share."""
