"""`fastwavenet bench`: the engine and its peers, timed in one run.

Importing this imports neither torch nor onnxruntime; a peer's module does with its first use.
"""
