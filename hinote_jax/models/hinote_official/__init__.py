"""The released HiNOTE network, number for number."""
