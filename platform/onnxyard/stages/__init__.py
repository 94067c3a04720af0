"""HOW: one folder per stage, each with a `request` and a `stage` (`run(request, workspace, ...) -> result`).

Results travel from stage to stage and are types of the lifecycle (`onnxyard.lifecycle.handover`).
A stage writes only below its workspace: each artifact it names in its result is a folder of the workspace called after
the artifact's role. It uses no network and no unseeded randomness, and knows nothing of Prefect, MLflow, SQL or HTTP.
A request's `key()` digests all that the result depends on; under that key a result may be reused.
"""
