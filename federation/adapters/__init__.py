"""Models of other libraries as learners of `averaging`. Each imports its library when it is used, not before.

scikit       MLPClassifier, MLPRegressor, SGDClassifier, SGDRegressor of scikit-learn
keras_model  any Keras 3 model (`pip install hanse[keras]`)

What they compute is theirs: not the same on every processor, and only as repeatable as the library is with its seed. A
plan cannot name them, since a model is code; members agree on it beforehand.
"""
