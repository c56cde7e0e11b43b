"""What the hub costs and how fast it is: figures for people, never assertions about time."""
