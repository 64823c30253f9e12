"""Gates: the rules that protect a model, one module per stage, and verdicts. Pure; stages ask them."""
