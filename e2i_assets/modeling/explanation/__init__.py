"""What a model has learnt, by its SHAP values."""
