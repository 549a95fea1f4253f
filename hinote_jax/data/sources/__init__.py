"""Where fields come from, one file a source."""
