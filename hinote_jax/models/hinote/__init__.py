"""HiNOTE, the flagship."""
