"""The published pipeline: from a project's settings to the text of its GitLab CI file.

Pure Python: no engine, no cloud, no component. `generate` makes an immutable `Pipeline` of `PipelineInputs` and refuses
a wrong one; `render` writes it.
"""
