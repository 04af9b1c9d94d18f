"""What an inventory says of it."""
