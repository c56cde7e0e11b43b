"""The inside of the simulated insurer: fields it checks, its policy, its books, its transactions."""
