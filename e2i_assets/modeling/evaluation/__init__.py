"""How good a trained model is, beside simpler ones and in groups of patients."""
