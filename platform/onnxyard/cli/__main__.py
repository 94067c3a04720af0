"""`python -m onnxyard.cli`: the command without its script, for processes that start one another."""

from onnxyard.cli.main import main

if __name__ == "__main__":
    main()
