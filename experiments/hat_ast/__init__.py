"""What of HAT+AST costs: the sparse attention, the window or the FRFN?"""
