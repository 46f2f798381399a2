"""The checks of a graph document, one kind each; `pipelines.check` runs them all."""
