"""What may be behind a divergence; the first explanation that fits is the finding's."""
