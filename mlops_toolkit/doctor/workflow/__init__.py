"""Workflow files, read and judged without running them: pure functions over what they say."""
