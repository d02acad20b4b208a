"""How good colours are: figures of each picture, their intervals, drawings and words."""
