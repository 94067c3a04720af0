"""The search's report: `onnxyard.stages.optimize.report.writing.write_report`."""
