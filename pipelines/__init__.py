"""The pipelines that come with cloak, as TOML files; read them through `cloak.pipeline.load`."""
