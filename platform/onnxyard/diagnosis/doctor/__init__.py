"""The doctor: what is wrong with a model and its export, where, and how to mend it. Found by running, not by pattern.

from onnxyard.diagnosis.doctor import Subject, examine

examination = examine(Subject.of_module(module, {"x": example}))
for finding in examination.findings:
print(finding.severity, finding.code, finding.module, finding.source, finding.what)
"""

from onnxyard.diagnosis.doctor.examination import Examination, examine, look
from onnxyard.diagnosis.doctor.subject import Subject

__all__ = ["Examination", "Subject", "examine", "look"]
