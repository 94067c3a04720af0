"""Describing rows as columns: what a request is logged as and what drift is measured on."""
