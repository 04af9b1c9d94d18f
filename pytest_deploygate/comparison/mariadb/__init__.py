"""MariaDB and MySQL as a side of a comparison."""
