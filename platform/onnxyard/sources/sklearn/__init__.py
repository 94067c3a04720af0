"""scikit-learn as a source."""
