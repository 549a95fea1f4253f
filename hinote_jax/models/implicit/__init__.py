"""LIIF, LTE, MetaSR and SRNO."""
