"""Deep unfolding: a closed form that meets the data, and a learned prior."""
