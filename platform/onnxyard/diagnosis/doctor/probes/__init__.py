"""One question to a case each: `probe(case) -> Iterator[Finding]`."""
