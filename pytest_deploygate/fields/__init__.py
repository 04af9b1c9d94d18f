"""What inventories are made of: types of values, references to values that stand elsewhere, and sections that several subjects share."""
