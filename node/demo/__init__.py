"""The demo: a whole alliance from one command, on real parts and real data, judged at the end by an auditor.

Four hospitals, each with its own node in its own process, share the records of UCI's heart-disease study under contract
and learn from them together; `run` tells the story, step by step, and returns one document that says what held.

    document = run(folder, show=Quiet())
    assert document["held"]
"""

from node.demo.story import run

__all__ = ["run"]
