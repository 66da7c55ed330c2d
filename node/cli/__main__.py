"""`python -m node.cli`: the command line without its console script."""

from node.cli import main

main()
