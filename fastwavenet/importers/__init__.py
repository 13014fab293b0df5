"""Networks of other WaveNet projects, as models: one module for each project.

    path -> reading.py -> Checkpoint -> project.convert -> spec, weights -> Model

reading.py recognises a file by its first bytes and finds the hyperparameters beside it.  The result
is a `Checkpoint`: arrays by the names that the file gives them, and plain values, nothing of a
project.  A project's module has

    NAME              as in `--format`
    CONFIG            usual names of its hyperparameter files, which lie beside the weights
    HYPERPARAMETERS   names of all values that it reads, in the project's own words; a caller gives
                      by these names whatever a file does not hold
    matches(tensors)  whether names of tensors are this project's
    convert(tensors, values)
                      tensors: name -> array, values: `Hyperparameters`; returns the spec and its
                      float32 weights

and reads as a table of foreign names: `named_parts` (parts.py) turns tensors into `Parts` by such a
table, folding.py holds every fold of algebra, and `assembled` (parts.py) makes spec and weights of
the parts, with all sizes from the shapes.  `Hyperparameters.agree` compares each size that a config
states with the tensors'.

A new project: its module, its entry in projects.py, and where its files are of a new kind a reader
in reading.py.  Everything raises ModelFormatError for a file that is not as expected and ValueError
for a hyperparameter that is missing or contradicts the tensors, with both values.
"""
