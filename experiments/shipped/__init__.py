"""The networks that come with the package: how each was trained and cut."""
