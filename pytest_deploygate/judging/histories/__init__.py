"""What clients of a database did and saw: the ids they wrote, the history of each, and what is wrong with it."""
