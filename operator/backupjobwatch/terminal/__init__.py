"""What people and scripts see of watches at a terminal. The operator never loads it."""
