"""The published pipeline, made from a project's settings as the text of its GitLab CI file.

Pure Python, without Pulumi, cloud or components. `generate` makes an immutable `Pipeline` from `PipelineInputs` and
refuses one that is wrong; `render` writes it as YAML.
"""
