"""How good a result is: fields and photographs, one table, one report."""
