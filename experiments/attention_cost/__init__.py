"""Which attention costs what, and what is it worth?"""
