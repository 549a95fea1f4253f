"""hinote and its peers at equal time and at equal steps, on six sets."""
