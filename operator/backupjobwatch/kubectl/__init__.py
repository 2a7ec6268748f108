"""``kubectl bjw``: what people do with watches at a terminal, under their own rights. The operator never loads it."""
