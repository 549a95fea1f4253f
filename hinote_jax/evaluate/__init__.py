"""How good a result is: fields, photographs, scores, the report."""
