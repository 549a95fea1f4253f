"""Photographs: reading them, and the protocols of the published numbers.

`run.evaluate` scores networks on a folder of images as their papers did;
`protocols` says how that was, `evaluation` does it, `report` writes it down.
"""
